//! Every sample stays with its target and weight, whatever is chosen.

use super::*;

/// Sample i is (i, −i) of class i % 3, or the same as a one-hot row, with the weight i.
fn numbered(samples: usize, one_hot: bool, weighted: bool) -> Dataset {
    let rows: Vec<[f32; 2]> = (0..samples).map(|i| [i as f32, -(i as f32)]).collect();
    let ids: Vec<usize> = (0..samples).map(|i| i % 3).collect();
    let data = match one_hot {
        true => Dataset::from_rows(rows, 2, crate::data::to_categorical(&ids, 3).unwrap(), 3),
        false => Dataset::from_classes(rows, 2, ids, 3),
    };
    let weights = (0..samples).map(|i| i as f32).collect();
    if weighted { data.unwrap().with_sample_weights(weights).unwrap() } else { data.unwrap() }
}

/// The numbers of the samples, after a look that everything of each is there.
fn numbers(data: &Dataset) -> Vec<usize> {
    let InputRows::Floats(values) = data.inputs() else { panic!("floats stay floats") };
    let ids = data.class_ids().unwrap();
    assert!(values.len() == 2 * data.len() && ids.len() == data.len());
    let number = |(row, pair): (usize, &[f32])| {
        let number = pair[0] as usize;
        assert!(pair[1] == -pair[0] && ids[row] as usize == number % 3);
        assert!(data.sample_weights().is_none_or(|weights| weights[row] == pair[0]));
        number
    };
    values.chunks_exact(2).enumerate().map(number).collect()
}

fn kinds() -> impl Iterator<Item = Dataset> {
    [(false, false), (false, true), (true, false), (true, true)].into_iter().map(|(one_hot, weighted)| {
        // A part of a larger set, so that what is counted from where shows.
        numbered(50, one_hot, weighted).range(3..43).unwrap()
    })
}

#[test]
fn shuffling_keeps_all_samples_and_depends_on_the_seed() {
    for data in kinds() {
        let (once, again, other) = (data.shuffle(7).unwrap(), data.shuffle(7).unwrap(), data.shuffle(8).unwrap());
        assert_eq!(numbers(&once), numbers(&again));
        assert_ne!(numbers(&once), numbers(&other));
        let mut sorted = numbers(&once);
        assert!(!sorted.is_sorted());
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(3..43));
        assert!(data.take(0).shuffle(7).unwrap().is_empty());
    }
}

#[test]
fn subsets_are_what_was_named() {
    for data in kinds() {
        let subset = data.subset(&[39, 0, 0, 5]).unwrap();
        assert_eq!(numbers(&subset), [42, 3, 3, 8]);
        assert_eq!(subset.sample_weights().is_some(), data.sample_weights().is_some());
        assert!(data.subset(&[]).unwrap().is_empty());
        let message = data.subset(&[1, 40]).unwrap_err().to_string();
        assert_eq!(message, "a subset: expected rows below 40, the number of samples, found 40 as number 1");
    }
    let bytes = Dataset::from_images(vec![1, 2, 3, 4], 2, vec![1_u8, 0], 2).unwrap();
    let turned = bytes.subset(&[1, 0]).unwrap();
    assert!(matches!(turned.inputs(), InputRows::Bytes { values: [3, 4, 1, 2], scale } if scale == 1.0 / 255.0));
}

#[test]
fn sets_of_a_kind_are_joined_and_others_are_not() {
    for data in kinds() {
        let joined =
            Dataset::concat([&data.range(0..2).unwrap(), &data.take(0), &data.range(38..40).unwrap()]).unwrap();
        assert_eq!(numbers(&joined), [3, 4, 41, 42]);
    }
    let message = |sets: &[Dataset]| Dataset::concat(sets).unwrap_err().to_string();
    assert_eq!(message(&[]), "sets to join: expected at least one, found none");
    let (ids, rows) = (numbered(4, false, false), numbered(4, true, false));
    let expected = "set 2 of those to join: expected 2 floats with one of 3 classes, as in set 0, found ";
    assert_eq!(message(&[ids.clone(), ids.clone(), rows]), format!("{expected}2 floats with a row of 3 targets"));
    let weighted = numbered(4, false, true);
    assert_eq!(
        message(&[ids.clone(), ids, weighted]),
        format!("{expected}2 floats with one of 3 classes and a weight")
    );
}

#[test]
fn splits_are_apart_and_whole() {
    for data in kinds() {
        for stratified in [false, true] {
            let split = |seed| if stratified { data.split_stratified(0.3, seed) } else { data.split(0.3, seed) };
            let (training, validation) = split(1).unwrap();
            assert_eq!((training.len(), validation.len()), (28, 12));
            let mut all = [numbers(&training), numbers(&validation)].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(3..43));
            assert_ne!(numbers(&validation), numbers(&split(2).unwrap().1));
            assert!(split(1).is_ok() && data.take(1).split(0.5, 1).is_err());
        }
    }
}

#[test]
fn each_class_keeps_its_share_however_the_samples_are_sorted() {
    // 100 of class 0, 10 of class 1, 3 of class 2, none of class 3; sorted, as `validation_split` would spoil it.
    let ids: Vec<u8> = [vec![0; 100], vec![1; 10], vec![2; 3]].concat();
    let data = Dataset::from_classes(vec![0.0; 113], 1, ids, 4).unwrap();
    for (fraction, training, validation) in
        [(0.1, [89, 9, 3, 0], [11, 1, 0, 0]), (0.5, [50, 5, 1, 0], [50, 5, 2, 0]), (0.9, [10, 1, 0, 0], [90, 9, 3, 0])]
    {
        let (left, right) = data.split_stratified(fraction, 3).unwrap();
        assert_eq!(left.len(), data.split_validation(fraction).unwrap().0.len());
        assert_eq!((left.class_counts(), right.class_counts()), (Some(training.into()), Some(validation.into())));
    }
    let soft = Dataset::from_rows(vec![0.0; 2], 1, vec![[0.0, 1.0], [0.25, 0.75]], 2).unwrap();
    let message = "the classes of the targets: expected class ids, one-hot rows, or rows of a single 0 or 1, found \
                   [0.25, 0.75] in row 1";
    assert_eq!(soft.split_stratified(0.5, 0).unwrap_err().to_string(), message);
}

#[test]
fn class_weights_suit_every_form_of_classes() {
    let weights = |data: Dataset, classes: &[f32]| {
        data.with_class_weights(classes).map(|data| data.sample_weights().unwrap().to_vec())
    };
    let by_number = numbered(6, false, true);
    assert_eq!(weights(by_number.clone(), &[1.0, 10.0, 0.0]).unwrap(), [0.0, 10.0, 0.0, 3.0, 40.0, 0.0]);
    assert_eq!(weights(numbered(3, true, false), &[1.0, 2.0, 3.0]).unwrap(), [1.0, 2.0, 3.0]);
    let single = Dataset::from_rows(vec![0.0; 3], 1, vec![0.0, 1.0, 0.0], 1).unwrap();
    assert_eq!(weights(single.clone(), &[0.5, 2.0]).unwrap(), [0.5, 2.0, 0.5]);
    let refused = |data: Dataset, classes: &[f32]| weights(data, classes).unwrap_err().to_string();
    assert_eq!(refused(single.clone(), &[1.0]), "the class weights: expected 2, one a class, found 1");
    assert_eq!(
        refused(single, &[1.0, -1.0]),
        "the class weights: expected finite numbers, none below 0, found -1 for class 1"
    );
    let numbers = Dataset::from_rows(vec![0.0; 2], 1, vec![1.0, 2.0], 1).unwrap();
    assert!(refused(numbers, &[1.0, 1.0]).ends_with(", found 2 in row 1"));
}

#[test]
fn labels_and_rows_may_be_of_many_types() {
    macro_rules! of {
        ($($integer:ty)*) => {
            $({
                let ids: Vec<$integer> = vec![1, 0, 2];
                let data = Dataset::from_classes(vec![0.0; 3], 1, ids.clone(), 3).unwrap();
                assert_eq!(*data.class_ids().unwrap(), [1, 0, 2]);
                let images = Dataset::from_images(vec![0; 3], 1, ids, 2).unwrap_err().to_string();
                assert_eq!(images, "label 2 in row 2 is out of range: expected a class below 2");
            })*
        };
    }
    of!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
    let message = |ids: Vec<i64>| Dataset::from_classes(vec![0.0; 2], 1, ids, 3).unwrap_err().to_string();
    assert_eq!(message(vec![0, -1]), "label -1 in row 1 is out of range: expected a class below 3");
    assert_eq!(message(vec![1 << 40, 0]), "label 1099511627776 in row 0 is out of range: expected a class below 3");
    assert!(Dataset::from_classes(vec![0.0; 2], 1, vec![true, false], 2).is_ok());
    let images: Vec<[[f32; 3]; 2]> = vec![[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]];
    let data = Dataset::from_classes(images.clone(), 6, vec![0], 1).unwrap();
    assert!(matches!(data.inputs(), InputRows::Floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
    let message = |found: Result<Dataset>| found.unwrap_err().to_string();
    let expected = "the inputs: expected rows of 3 numbers, found rows of 6";
    assert_eq!(message(Dataset::from_classes(images, 3, vec![0, 0], 1)), expected);
    let ragged = vec![vec![1.0, 2.0], vec![3.0]];
    let expected = "the inputs: expected rows of 2 numbers, found 1 in row 1";
    assert_eq!(message(Dataset::from_classes(ragged, 2, vec![0, 0], 1)), expected);
    assert!(Dataset::from_rows(vec![vec![1.0, 2.0]], 2, vec![[1.0]], 1).is_ok());
}

#[test]
fn a_set_that_is_sorted_by_class_is_noticed_and_chance_is_not() {
    let warning = |ids: Vec<usize>, share: f64| {
        let data = Dataset::from_classes(vec![0.0; ids.len()], 1, ids, 10).unwrap();
        let (training, validation) = data.split_validation(share).unwrap();
        sorted_by_class(&training, &validation)
    };
    let sorted: Vec<usize> = (0..1000).map(|row| row / 100).collect();
    let found = warning(sorted.clone(), 0.1).unwrap();
    assert!(found.starts_with("validation split: no training sample is of class 9, which validation"), "{found}");
    // The last class is on both sides; the others are not.
    let found = warning(sorted.clone(), 0.05).unwrap();
    assert!(found.contains("no validation sample is of classes 0, 1, 2, 3, 4, 5, 6, 7, 8, which"), "{found}");
    let mixed = (0..1000).map(|row| row * 7 % 10).collect();
    assert_eq!(warning(mixed, 0.1), None);
    // A class of two samples may well be on one side, and so may those of a set of few.
    let rare = (0..1000).map(|row| if row < 2 { 9 } else { row % 9 }).collect();
    assert_eq!(warning(rare, 0.1), None);
    assert_eq!(warning((0..10).collect(), 0.2), None);
    // One-hot rows name classes too; regression does not.
    let rows = crate::data::to_categorical(&sorted, 10).unwrap();
    for (targets, expected) in [(rows, true), (vec![0.5; 10_000], false)] {
        let data = Dataset::from_rows(vec![0.0; 1000], 1, targets, 10).unwrap();
        let (training, validation) = data.split_validation(0.1).unwrap();
        assert_eq!(sorted_by_class(&training, &validation).is_some(), expected);
    }
}
