use std::collections::BTreeSet;
use std::sync::Mutex;

use super::*;
use crate::data::to_categorical;

/// Sample i has input and target i.
fn numbered(samples: usize) -> StreamedDataset {
    let read = |rows: Range<usize>| {
        let x: Vec<f32> = rows.map(|row| row as f32).collect();
        Ok(Dataset::from_rows(x.clone(), 1, x, 1)?)
    };
    StreamedDataset::from_fn(samples, read).unwrap()
}

fn inputs(data: &Dataset) -> Vec<usize> {
    let InputRows::Floats(values) = data.inputs() else { panic!("these are floats") };
    values.iter().map(|&value| value as usize).collect()
}

/// The samples of each window in the order in which they are visited.
fn visited(set: &StreamedDataset, batch_size: usize, shuffle: Option<(u64, u64)>) -> Vec<Vec<usize>> {
    let windows = Windows::new(set, batch_size, shuffle).map(|window| {
        let window = window.unwrap();
        let rows = inputs(&window.data);
        let TargetRows::Rows { values, .. } = window.data.targets() else { panic!("these are rows") };
        assert!(values.iter().map(|&value| value as usize).eq(rows.iter().copied()), "targets are not the inputs'");
        window.order.iter().map(|&row| rows[row as usize]).collect()
    });
    windows.collect()
}

#[test]
fn a_pass_without_shuffling_is_in_the_order_of_the_samples() {
    let set = numbered(100).shuffle_buffer(30).unwrap();
    let windows = visited(&set, 8, None);
    assert_eq!(windows.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 32, 4]);
    assert!(windows.concat().into_iter().eq(0..100));
}

#[test]
fn a_shuffled_pass_visits_each_sample_once_and_mixes_blocks() {
    for (samples, block, buffer, batch_size) in [(1000, 7, 90, 16), (64, 1, 8, 8), (50, 100, 10, 3), (9, 2, 1000, 4)] {
        let set = numbered(samples).block_size(block).unwrap().shuffle_buffer(buffer).unwrap();
        let windows = visited(&set, batch_size, Some((5, 1)));
        let sizes: Vec<_> = windows.iter().map(Vec::len).collect();
        assert!(sizes[..sizes.len() - 1].iter().all(|size| size % batch_size == 0), "{sizes:?}");
        assert!(sizes.iter().all(|&size| size <= Windows::rows(&set, batch_size)), "{sizes:?}");
        assert!(windows.concat().into_iter().collect::<BTreeSet<_>>().into_iter().eq(0..samples));
    }
    let set = numbered(1000).block_size(7).unwrap().shuffle_buffer(90).unwrap();
    let first = &visited(&set, 16, Some((5, 1)))[0];
    let blocks: BTreeSet<_> = first.iter().map(|row| row / 7).collect();
    assert!(blocks.len() >= 13 && blocks.last().unwrap() - blocks.first().unwrap() > 70, "{blocks:?}");
    assert!(first.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count() < 20, "not shuffled within: {first:?}");
}

#[test]
fn orders_depend_on_seed_and_epoch() {
    let set = numbered(100).block_size(5).unwrap().shuffle_buffer(32).unwrap();
    let order = |seed, epoch| visited(&set, 8, Some((seed, epoch)));
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
}

#[test]
fn windows_hold_every_kind_of_column() {
    let read = |rows: Range<usize>| {
        let ids: Vec<u32> = rows.clone().map(|row| row as u32 % 3).collect();
        let bytes: Vec<u8> = rows.clone().flat_map(|row| [row as u8, row as u8 + 100]).collect();
        let inputs = super::super::Inputs::Bytes { values: bytes.into(), scale: 0.5 };
        let targets = super::super::Targets::Classes { ids: ids.into(), classes: 3 };
        Ok(Dataset::new(inputs, 2, targets)?.with_sample_weights(rows.map(|row| row as f32).collect())?)
    };
    let set = StreamedDataset::from_fn(20, read).unwrap().block_size(3).unwrap();
    let window = Windows::new(&set, 4, Some((0, 0))).next().unwrap().unwrap();
    let InputRows::Bytes { values, scale: 0.5 } = window.data.inputs() else { panic!("these are bytes") };
    let TargetRows::Classes { ids, classes: 3 } = window.data.targets() else { panic!("these are ids") };
    let weights = window.data.sample_weights().unwrap();
    for (row, pair) in values.chunks_exact(2).enumerate() {
        assert_eq!((pair[1], ids[row], weights[row]), (pair[0] + 100, u32::from(pair[0]) % 3, f32::from(pair[0])));
    }
    assert_eq!(weights.len(), 20);
}

/// The thread reads one window beyond the one in use, and no further before that is taken.
#[test]
#[cfg(feature = "native")]
fn reading_runs_one_window_ahead_and_ends_with_the_pass() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let read = move |rows: Range<usize>| {
        log.lock().unwrap().push(rows.clone());
        let count = rows.len();
        Ok(Dataset::from_rows(vec![0.0; count], 1, vec![0.0; count], 1)?)
    };
    let set = StreamedDataset::from_fn(40, read).unwrap().shuffle_buffer(10).unwrap();
    let mut windows = ReadAhead::new(Windows::new(&set, 10, None));
    for _ in 0..2 {
        windows.next().unwrap().unwrap();
    }
    drop(windows);
    let asked = asked.lock().unwrap().clone();
    let whole = [0..1, 0..10, 10..20, 20..30, 30..40];
    assert!(asked == whole[..3] || asked == whole[..4], "{asked:?}");
}

#[test]
#[cfg(feature = "native")]
fn a_panic_of_the_reader_reaches_the_caller() {
    let read = |rows: Range<usize>| {
        assert!(rows.start < 10, "no such row");
        let count = rows.len();
        Ok(Dataset::from_rows(vec![0.0; count], 1, vec![0.0; count], 1)?)
    };
    let set = StreamedDataset::from_fn(40, read).unwrap().shuffle_buffer(10).unwrap();
    let mut windows = ReadAhead::new(Windows::new(&set, 10, None));
    assert!(windows.next().unwrap().is_ok());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| windows.next().is_some()));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"no such row"));
}

#[test]
fn ranges_and_splits_share_the_reader() {
    let set = numbered(10).range(2..9).unwrap();
    assert_eq!((set.len(), inputs(&set.read(1..3).unwrap())), (7, vec![3, 4]));
    assert_eq!(inputs(&set.take(2).read(0..2).unwrap()), [2, 3]);
    let (training, validation) = set.split_validation(0.3).unwrap();
    assert_eq!((training.len(), inputs(&validation.read(0..validation.len()).unwrap())), (4, vec![6, 7, 8]));
    assert!(set.range(3..8).is_err() && set.read(0..8).is_err() && set.split_validation(1.5).is_err());
}

#[test]
fn what_a_reader_returns_is_checked() {
    let message = |result: Result<Dataset>| result.unwrap_err().to_string();
    let other = |rows: Range<usize>| {
        let count = rows.len();
        Ok(match rows.start {
            0 => Dataset::from_classes(vec![0.0; 2 * count], 2, vec![0; count], 3)?,
            1 => Dataset::from_classes(vec![0.0; 4 * count], 4, vec![0; count], 3)?,
            2 => Dataset::from_rows(vec![0.0; 2 * count], 2, to_categorical(&vec![0; count], 3)?, 3)?,
            3 => Dataset::from_classes(vec![0.0; 2 * count], 2, vec![0; count], 3)?.take(count - 1),
            _ => Dataset::from_classes(vec![f32::NAN; 2 * count], 2, vec![0; count], 3)?,
        })
    };
    let set = StreamedDataset::from_fn(9, other).unwrap();
    let cannot = "of the streamed data set: ";
    for (rows, expected) in [
        (
            1..2,
            "each sample: expected 2 floats with one of 3 classes, as in the first, found 4 floats with one of 3 classes",
        ),
        (
            2..3,
            "each sample: expected 2 floats with one of 3 classes, as in the first, found 2 floats with a row of 3 targets",
        ),
        (3..6, "what the reader returned: expected 3 samples, found 2"),
        (4..6, "the inputs: expected finite numbers, found NaN in row 4, column 0"),
    ] {
        let expected = format!("cannot read samples {}..{} {cannot}{expected}", rows.start, rows.end);
        assert_eq!(message(set.read(rows)), expected);
    }
    assert!(StreamedDataset::from_fn(0, other).is_err());
    assert!(numbered(3).block_size(0).is_err() && numbered(3).shuffle_buffer(0).is_err());
}

#[test]
fn rows_in_errors_are_those_of_the_whole_set() {
    let labels = |bad: usize| {
        StreamedDataset::from_fn(100_000, move |rows| {
            let ids: Vec<i64> = rows.map(|row| if row == bad { 7 } else { 0 }).collect();
            Ok(Dataset::from_classes(vec![0.5; ids.len()], 1, ids, 2)?)
        })
    };
    let message = labels(90_000).unwrap().read(85_600..96_300).unwrap_err().to_string();
    let start = "cannot read samples 85600..96300 of the streamed data set: ";
    assert_eq!(message, format!("{start}label 7 in row 90000 is out of range: expected a class below 2"));
    let part = labels(90_000).unwrap().range(50_000..100_000).unwrap();
    assert!(part.read(39_000..41_000).unwrap_err().to_string().contains("label 7 in row 90000 "));
    let inputs = StreamedDataset::from_fn(1000, |rows| {
        let x: Vec<f32> = rows.map(|row| if row == 700 { f32::NAN } else { 0.0 }).collect();
        let targets = x.len();
        Ok(Dataset::from_rows(x, 1, vec![0.0; targets], 1)?)
    });
    let message = inputs.unwrap().read(600..800).unwrap_err().to_string();
    assert!(message.ends_with(": the inputs: expected finite numbers, found NaN in row 700, column 0"), "{message}");
}
