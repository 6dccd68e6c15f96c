//! Where data and loss meet: targets that do not suit the loss are refused before anything is trained, with what to write
//! instead, and those that suit it are not. Class weights by rows are those by ids.

use wgrad::data::to_categorical;
use wgrad::{Activation, Dataset, Dense, Device, Error, Fit, Loss, Model, Sequential, Sgd, StreamedDataset};

use crate::common::{Outcome, Suite, bits, ids, numbers, refused, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_cpu:
        unsuited_targets_are_refused,
        targets_that_keras_takes_are_taken,
        rows_of_a_streamed_set_are_counted_from_its_start,
        targets_of_a_file_are_refused_with_its_path,
        what_makes_a_set_may_stand_for_it,
        rows_of_one_number_are_not_classes,
        class_weights_of_rows_are_those_of_ids,
    );
}

/// Features of all samples here.
const FEATURES: usize = 3;

/// A model whose last layer suits the loss.
fn model(loss: Loss, outputs: usize) -> wgrad::Result<Model> {
    let last = match loss {
        Loss::CategoricalCrossentropy | Loss::CategoricalFocalCrossentropy { .. } => Activation::Softmax,
        Loss::BinaryCrossentropy | Loss::BinaryFocalCrossentropy { .. } => Activation::Sigmoid,
        Loss::KlDivergence => Activation::Softmax,
        Loss::Poisson => Activation::Softplus,
        _ => Activation::Linear,
    };
    Sequential::new(FEATURES).add(Dense::new(outputs).activation(last)).compile(&Device::cpu(), Sgd::default(), loss)
}

fn rows(targets: &[f32], width: usize) -> wgrad::Result<Dataset> {
    Dataset::from_rows(numbers(FEATURES * targets.len() / width, 3), FEATURES, targets.to_vec(), width)
}

fn unsuited_targets_are_refused(_: &Device) -> Outcome {
    let focal = Loss::BinaryFocalCrossentropy { alpha: None, gamma: 2.0 };
    let cases: [(Loss, usize, &[f32], usize, &str); 14] = [
        (
            Loss::BinaryCrossentropy,
            1,
            &[1.0, -1.0, 1.0],
            1,
            "0 to 1, found -1 in row 1; labels of -1 and 1: map them to 0 and 1, or use hinge",
        ),
        (Loss::BinaryCrossentropy, 1, &[1.0, 1.0, 2.0], 2, "0 to 1, found 2 in row 2; labels of 1 and 2: subtract 1"),
        (
            Loss::BinaryCrossentropy,
            1,
            &[0.0, 255.0],
            1,
            "0 to 1, found 255 in row 1; numbers from 0 to 255: divide by 255",
        ),
        (
            focal,
            2,
            &[0.5, 0.2, 0.1, 1.5],
            1,
            "0 to 1, found 1.5 in row 1; give class ids with Dataset::from_classes, or use mean_…",
        ),
        (
            Loss::CategoricalCrossentropy,
            2,
            &[1.0, 0.0, -1.0, 1.0],
            1,
            "shares from 0 to 1, found -1 in row 1; give class ids…",
        ),
        (
            Loss::CategoricalCrossentropy,
            2,
            &[1.0, 0.0, 1.0, 1.0],
            1,
            "rows of shares that add up to 1, found a sum of 2 in row 1; if a sample may have several classes or none: sigmoid with binary_crossentropy",
        ),
        (
            Loss::CategoricalCrossentropy,
            2,
            &[3.0, 1.0],
            0,
            "shares from 0 to 1, found 3 in row 0; divide each row by its sum",
        ),
        (
            Loss::KlDivergence,
            2,
            &[0.5, 0.5, 0.5, 0.25],
            1,
            "rows of shares that add up to 1, found a sum of 0.75 in row 1; divide each row by its sum",
        ),
        (
            Loss::CategoricalHinge,
            2,
            &[0.0, 0.0],
            0,
            "rows of shares that add up to 1, found a sum of 0 in row 0; if a sample…",
        ),
        (Loss::Hinge, 1, &[1.0, 2.0], 1, "-1 and 1, or 0 and 1, found 2 in row 1; labels of 1 and 2: subtract 1"),
        (
            Loss::SquaredHinge,
            1,
            &[1.0, -1.0, 0.0],
            2,
            "-1 and 1, or 0 and 1, found both -1 and 0 in row 2; give each of two classes one number: 0 and 1",
        ),
        (
            Loss::Hinge,
            1,
            &[0.0, 255.0],
            1,
            "-1 and 1, or 0 and 1, found 255 in row 1; give each of two classes one number: 0 and 1",
        ),
        (
            Loss::Poisson,
            1,
            &[3.0, -0.5],
            1,
            "numbers that are not negative, found -0.5 in row 1; use mean_squared_error for numbers that may be negative",
        ),
        (
            Loss::MeanSquaredLogarithmicError,
            2,
            &[0.0, -2.0],
            0,
            "numbers that are not negative, found -2 in row 0; use…",
        ),
    ];
    for (loss, outputs, targets, expected_row, message) in cases {
        let mut model = model(loss, outputs)?;
        let before = bits(&model)?;
        let data = rows(targets, outputs)?;
        let numbers = if message.starts_with('0') { "numbers from " } else { "" };
        let message = format!("targets for {loss}: expected {numbers}{message}");
        let error = refused(model.fit(&data, Fit::new()), &message);
        assert!(matches!(error, Error::Target { row, .. } if row == expected_row), "{error:?}");
        refused(model.evaluate(&data), &message);
        refused(model.verify(&data, 2, 1), &message);
        assert_eq!((bits(&model)?, model.iterations()), (before, 0));
        assert_eq!(model.predict(&data)?.len(), targets.len(), "a prediction does not look at targets");
    }
    Ok(())
}

fn targets_that_keras_takes_are_taken(_: &Device) -> Outcome {
    let cases: [(Loss, usize, &[f32]); 10] = [
        (Loss::BinaryCrossentropy, 2, &[0.0, 0.3, 1.0, 1.0]),
        (Loss::CategoricalCrossentropy, 3, &[0.33, 0.33, 0.33, 0.2, 0.3, 0.5]), // Rounded to two places.
        (Loss::CategoricalFocalCrossentropy { alpha: 0.25, gamma: 2.0 }, 2, &[0.9, 0.1]),
        (Loss::Hinge, 1, &[-1.0, 1.0]),
        (Loss::SquaredHinge, 2, &[0.0, 1.0, 1.0, 1.0]),
        (Loss::Hinge, 1, &[1.0, 1.0]),
        (Loss::Poisson, 1, &[0.0, 2.5, 1e6]),
        (Loss::MeanSquaredLogarithmicError, 1, &[0.0, 7.0]),
        (Loss::CosineSimilarity, 2, &[-3.0, 4.0]),
        (Loss::Huber { delta: 1.0 }, 1, &[-3.0, 255.0]),
    ];
    for (loss, outputs, targets) in cases {
        let score = model(loss, outputs)?.train_on_batch(&rows(targets, outputs)?)?;
        assert!(score.loss.is_finite(), "{loss}: {score:?}");
    }
    // Ids stand for one-hot rows, and for 0 and 1 where there is one output.
    for loss in Loss::ALL {
        let classes = ids(&numbers(60, 2), FEATURES, 3);
        let data = Dataset::from_classes(numbers(60, 2), FEATURES, classes, 3)?;
        assert!(model(loss, 3)?.train_on_batch(&data)?.loss.is_finite(), "{loss}");
    }
    Ok(())
}

/// A bad target in a late piece, in the order of the samples and shuffled, and behind the start of a part.
fn rows_of_a_streamed_set_are_counted_from_its_start(_: &Device) -> Outcome {
    let data = StreamedDataset::from_fn(300, |rows| {
        let targets: Vec<f32> = rows.clone().map(|row| if row == 217 { 7.0 } else { 1.0 }).collect();
        Ok(Dataset::from_rows(vec![0.5; FEATURES * rows.len()], FEATURES, targets, 1)?)
    })?;
    let data = data.block_size(10)?.shuffle_buffer(40)?;
    let place = "found 7 in row 217; ";
    for (set, shuffle) in [(data.clone(), false), (data.clone(), true), (data.range(200..300)?, true)] {
        let error = model(Loss::BinaryCrossentropy, 1)?.fit(&set, Fit::new().shuffle(shuffle)).unwrap_err();
        assert!(matches!(&error, Error::Reader { rows, .. } if rows.contains(&217)), "{error}");
        assert!(error.to_string().contains(place), "{error}");
        let error = model(Loss::BinaryCrossentropy, 1)?.evaluate(&set).unwrap_err();
        assert!(error.to_string().contains(place), "{error}");
        model(Loss::MeanSquaredError, 1)?.fit(&set, Fit::new().shuffle(shuffle))?;
    }
    Ok(())
}

fn targets_of_a_file_are_refused_with_its_path(_: &Device) -> Outcome {
    use wgrad::data::npy::{Element, Header};
    let directory = tempfile::tempdir()?;
    let write = |name: &str, shape: &[usize], numbers: &[f32]| -> Result<_, Box<dyn std::error::Error>> {
        let header = Header { element: Element::F32, shape: shape.to_vec() };
        let path = directory.path().join(name);
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        std::fs::write(&path, [header.to_bytes(), bytes].concat())?;
        Ok(path)
    };
    let samples = 12;
    let mut targets = vec![0.0; samples];
    targets[9] = 7.0;
    let x = write("x.npy", &[samples, FEATURES], &numbers(FEATURES * samples, 3))?;
    let y = write("y.npy", &[samples], &targets)?;
    let set = StreamedDataset::open_npy(&x, &y, None)?.block_size(4)?;
    let error = model(Loss::BinaryCrossentropy, 1)?.fit(&set, Fit::new().shuffle(false)).expect_err("a target of 7");
    let place = format!("of the streamed data set: {}: targets for", y.display());
    assert!(error.to_string().contains(&place) && error.to_string().contains("found 7 in row 9"), "{error}");
    Ok(())
}

/// `fit` and `evaluate` take the `Result` of a call that makes a set, and pass its error on.
fn what_makes_a_set_may_stand_for_it(_: &Device) -> Outcome {
    let data = rows(&[0.0, 1.0, 0.5, 0.25], 1)?;
    let trained = || -> wgrad::Result<(Model, Model)> {
        let (mut one, mut other) = (model(Loss::MeanSquaredError, 1)?, model(Loss::MeanSquaredError, 1)?);
        one.fit(data.shuffle(7), Fit::new())?;
        other.fit(&data.shuffle(7)?, Fit::new())?;
        Ok((one, other))
    };
    let (one, other) = trained()?;
    assert_eq!(bits(&one)?, bits(&other)?);
    assert_eq!(one.evaluate(data.subset(&[1]))?, one.evaluate(&data.subset(&[1])?)?);
    let error = "a subset: expected rows below 4, the number of samples, found 4 as number 0";
    refused(model(Loss::MeanSquaredError, 1)?.fit(data.subset(&[4]), Fit::new()), error);
    refused(one.evaluate(data.subset(&[4])), error);
    Ok(())
}

fn rows_of_one_number_are_not_classes(_: &Device) -> Outcome {
    refused(
        model(Loss::CategoricalCrossentropy, 3)?.fit(&rows(&[0.0, 2.0, 1.0], 1)?, Fit::new()),
        "targets for layer dense_0: expected 3 outputs, found target rows of 1; Dataset::from_classes takes class ids",
    );
    Ok(())
}

fn class_weights_of_rows_are_those_of_ids(_: &Device) -> Outcome {
    let inputs = numbers(FEATURES * 60, 5);
    let train = |data: &Dataset, loss: Loss, outputs: usize, weights: &[f32]| -> wgrad::Result<_> {
        let mut model = model(loss, outputs)?;
        let history = model.fit(data, Fit::new().epochs(2).class_weight(weights))?;
        Ok((bits(&model)?, history.epochs[1].train.clone()))
    };
    let three = ids(&inputs, FEATURES, 3);
    let by_ids = Dataset::from_classes(inputs.clone(), FEATURES, three.clone(), 3)?;
    let one_hot = Dataset::from_rows(inputs.clone(), FEATURES, to_categorical(&three, 3)?, 3)?;
    let (loss, weights) = (Loss::CategoricalCrossentropy, [0.5, 2.0, 1.0]);
    let expected = train(&by_ids, loss, 3, &weights)?;
    assert_eq!(expected, train(&one_hot, loss, 3, &weights)?);
    assert_ne!(expected, train(&one_hot, loss, 3, &[1.0; 3])?);
    // Of soft labels the largest counts.
    let soft = Dataset::from_rows(inputs[..2 * FEATURES].to_vec(), FEATURES, vec![0.2, 0.5, 0.3, 0.4, 0.4, 0.2], 3)?;
    let weighted = soft.clone().with_sample_weights(vec![2.0, 0.5])?;
    assert_eq!(train(&soft, loss, 3, &weights)?, {
        let mut model = model(loss, 3)?;
        let history = model.fit(&weighted, Fit::new().epochs(2))?;
        (bits(&model)?, history.epochs[1].train.clone())
    });
    let two = ids(&inputs, FEATURES, 2);
    let by_ids = Dataset::from_classes(inputs.clone(), FEATURES, two.clone(), 2)?;
    let numbers = |no: f32| two.iter().map(|&id| if id == 1 { 1.0 } else { no }).collect::<Vec<f32>>();
    let zero_or_one = Dataset::from_rows(inputs.clone(), FEATURES, numbers(0.0), 1)?;
    let signs = Dataset::from_rows(inputs, FEATURES, numbers(-1.0), 1)?;
    for (loss, rows) in [(Loss::BinaryCrossentropy, zero_or_one), (Loss::Hinge, signs)] {
        assert_eq!(train(&by_ids, loss, 1, &[3.0, 0.5])?, train(&rows, loss, 1, &[3.0, 0.5])?, "{loss}");
    }
    Ok(())
}
