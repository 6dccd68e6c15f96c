//! The losses as `evaluate` and `fit` see them, each against its formula: class ids and rows, logits and probabilities,
//! regression, and logits so large that a careless formula gives NaN.

use wgrad::data::to_categorical;
use wgrad::{Activation, Dataset, Dense, Device, Fit, Loss, LossFunction, Model, RmsProp, Sequential, Sgd};

use crate::common::{
    Outcome, Suite, assert_close, assert_same_net, bits, classifier, ids, labelled, numbers, parameters, trials,
    with_rows,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        one_hot_rows_are_class_ids,
        soft_labels_by_hand,
        regression_by_hand,
        regression_finds_a_line,
        binary_by_hand,
        binary_ids_are_rows,
        logits_or_probabilities_train_alike,
        squared_error_counts_answers_for_ids_alone,
        l2_and_smoothing_count_in_training_alone,
        huge_logits_stay_finite,
    );
}

/// Mean over the rows of what `loss` says of outputs and targets.
fn by_hand(model: &mut Model, data: &Dataset, targets: &[f32], loss: fn(&[f32], &[f32]) -> f64) -> wgrad::Result<f64> {
    let outputs = model.predict(data)?;
    let width = model.outputs();
    let rows = outputs.chunks_exact(width).zip(targets.chunks_exact(width));
    Ok(rows.map(|(outputs, targets)| loss(outputs, targets)).sum::<f64>() / data.len() as f64)
}

fn cross_entropy(outputs: &[f32], targets: &[f32]) -> f64 {
    -outputs.iter().zip(targets).map(|(&p, &t)| f64::from(t) * f64::from(p).ln()).sum::<f64>()
}

fn squared_error(outputs: &[f32], targets: &[f32]) -> f64 {
    outputs.iter().zip(targets).map(|(y, t)| f64::from(y - t).powi(2)).sum::<f64>() / outputs.len() as f64
}

fn binary_cross_entropy(outputs: &[f32], targets: &[f32]) -> f64 {
    let one = |(&p, &t): (&f32, &f32)| {
        let (p, t) = (f64::from(p), f64::from(t));
        -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
    };
    outputs.iter().zip(targets).map(one).sum::<f64>() / outputs.len() as f64
}

#[track_caller]
fn assert_loss(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-5 * expected.abs() + 1e-6, "loss {found}, by hand {expected}");
}

fn one_hot_rows_are_class_ids(device: &Device) -> Outcome {
    let inputs = numbers(50 * 6, 1);
    let classes = ids(&inputs, 6, 3);
    let as_rows = Dataset::from_rows(inputs, 6, to_categorical(&classes, 3)?, 3)?;
    for (last, loss) in
        [(Activation::Softmax, Loss::CategoricalCrossentropy), (Activation::Sigmoid, Loss::BinaryCrossentropy)]
    {
        let train = |data: &Dataset| -> wgrad::Result<_> {
            let description = Sequential::new(6).add(Dense::new(3).activation(last));
            let mut model = description.compile(device, RmsProp::default(), loss)?;
            model.fit(data, Fit::new().epochs(2))?;
            let score = model.evaluate(data)?;
            Ok((bits(&model)?, score))
        };
        assert_eq!(train(&labelled(50, 6, 3))?, train(&as_rows)?, "{loss}");
    }
    Ok(())
}

fn soft_labels_by_hand(device: &Device) -> Outcome {
    let mut targets: Vec<f32> = numbers(50 * 3, 2).iter().map(|x| 1.5 + x).collect();
    for row in targets.chunks_exact_mut(3) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|t| *t /= sum);
    }
    let data = Dataset::from_rows(numbers(50 * 6, 1), 6, targets.clone(), 3)?;
    let mut model = classifier(6, 8, 3).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    let expected = by_hand(&mut model, &data, &targets, cross_entropy)?;
    assert_loss(model.evaluate(&data)?.loss, expected);
    assert_loss(model.train_on_batch(&data)?.loss, expected);
    Ok(())
}

fn regression_by_hand(device: &Device) -> Outcome {
    let data = with_rows(50, 6, 5);
    let targets: Vec<f32> = numbers(50 * 5, 2).iter().map(|x| 0.5 + 0.5 * x).collect();
    let description = Sequential::new(6).add(Dense::new(5).activation(Activation::Softmax));
    let mut model = description.compile(device, RmsProp::default(), Loss::MeanSquaredError)?;
    let expected = by_hand(&mut model, &data, &targets, squared_error)?;
    let score = model.evaluate(&data)?;
    assert_loss(score.loss, expected);
    assert_eq!(score.accuracy, None, "regression has no right answers");
    assert_loss(model.train_on_batch(&data)?.loss, expected);
    Ok(())
}

fn regression_finds_a_line(device: &Device) -> Outcome {
    let inputs = numbers(60, 1);
    let targets = inputs.chunks_exact(2).flat_map(|x| [2.0 * x[0] - x[1] + 0.5, x[1]]).collect();
    let data = Dataset::from_rows(inputs, 2, targets, 2)?;
    let optimizer = Sgd { learning_rate: 0.5, momentum: 0.5, ..Sgd::default() };
    let mut model = Sequential::new(2).add(Dense::new(2)).compile(device, optimizer, Loss::MeanSquaredError)?;
    model.fit(&data, Fit::new().epochs(200).batch_size(30))?;
    assert_close("kernel", &model.parameter("dense_0.kernel")?, &[2.0, 0.0, -1.0, 1.0], 1e-4);
    assert_close("bias", &model.parameter("dense_0.bias")?, &[0.5, 0.0], 1e-4);
    Ok(())
}

fn binary_by_hand(device: &Device) -> Outcome {
    let data = with_rows(50, 6, 3);
    let targets: Vec<f32> = numbers(50 * 3, 2).iter().map(|x| 0.5 + 0.5 * x).collect();
    let description = Sequential::new(6).add(Dense::new(3).activation(Activation::Sigmoid));
    let mut model = description.compile(device, RmsProp::default(), Loss::BinaryCrossentropy)?;
    let expected = by_hand(&mut model, &data, &targets, binary_cross_entropy)?;
    assert_loss(model.evaluate(&data)?.loss, expected);
    Ok(())
}

/// One output takes ids of two classes: the output is the probability of class 1.
fn binary_ids_are_rows(device: &Device) -> Outcome {
    let inputs = numbers(40 * 4, 1);
    let classes = ids(&inputs, 4, 2);
    let rows = classes.iter().map(|&id| id as f32).collect();
    let train = |data: &Dataset, loss: Loss| -> wgrad::Result<_> {
        let description = Sequential::new(4).add(Dense::new(1).activation(Activation::Sigmoid));
        let mut model = description.compile(device, RmsProp::default(), loss)?;
        model.fit(data, Fit::new().epochs(2))?;
        Ok((bits(&model)?, model.evaluate(data)?.loss))
    };
    let as_ids = Dataset::from_classes(inputs.clone(), 4, classes, 2)?;
    let as_rows = Dataset::from_rows(inputs, 4, rows, 1)?;
    for loss in [Loss::BinaryCrossentropy, Loss::MeanSquaredError] {
        assert_eq!(train(&as_ids, loss)?, train(&as_rows, loss)?, "{loss}");
    }
    Ok(())
}

fn logits_or_probabilities_train_alike(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let train = |last, loss: LossFunction| -> wgrad::Result<_> {
        let description = Sequential::new(6).add(Dense::new(3).activation(last));
        let mut model = description.compile(device, RmsProp::default(), loss)?;
        model.fit(&data, Fit::new().epochs(2))?;
        Ok(model)
    };
    let of_logits = train(Activation::Linear, Loss::CategoricalCrossentropy.from_logits())?;
    let of_probabilities = train(Activation::Softmax, Loss::CategoricalCrossentropy.into())?;
    assert_same_net("weights", &of_logits, &of_probabilities, 0.0)?;
    assert_eq!(of_logits.evaluate(&data)?, of_probabilities.evaluate(&data)?);
    let mut logits = of_logits.predict(&data)?;
    for row in logits.chunks_exact_mut(3) {
        row.iter_mut().for_each(|z| *z = z.exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|z| *z /= sum);
    }
    assert_close("softmax of the logits", &of_probabilities.predict(&data)?, &logits, 1e-5);
    Ok(())
}

fn squared_error_counts_answers_for_ids_alone(device: &Device) -> Outcome {
    let mut model = Sequential::new(6).add(Dense::new(3)).compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    let (ids, rows) = (labelled(20, 6, 3), with_rows(20, 6, 3));
    let history = model.fit(&ids, Fit::new().validation_data(&rows))?;
    let record = &history.epochs[0];
    assert!(record.train.accuracy.is_some());
    assert_eq!(record.validation.as_ref().map(|score| score.accuracy), Some(None));
    let mut steps_count = Vec::new();
    let observer = |event: &wgrad::Event| {
        if let wgrad::Event::Step(step) = event {
            steps_count.push(step.so_far.accuracy.is_some());
        }
        std::ops::ControlFlow::Continue(())
    };
    model.fit(&ids, Fit::new().validation_data(&rows).observer(observer))?;
    assert_eq!(steps_count, [true]);
    Ok(())
}

fn l2_and_smoothing_count_in_training_alone(device: &Device) -> Outcome {
    let data = labelled(30, 6, 3);
    let compile = |l2, loss: LossFunction| {
        let layer = Dense::new(3).activation(Activation::Softmax).l2(l2);
        Sequential::new(6).add(layer).compile(device, Sgd::default(), loss)
    };
    let plain = compile(0.0, Loss::CategoricalCrossentropy.into())?;
    let mut penalised = compile(0.1, Loss::CategoricalCrossentropy.into())?;
    let mut smoothed = compile(0.0, Loss::CategoricalCrossentropy.label_smoothing(0.2))?;
    let expected = plain.evaluate(&data)?;
    assert_eq!(penalised.evaluate(&data)?, expected);
    assert_eq!(smoothed.evaluate(&data)?, expected);
    let squares: f64 = parameters(&plain)?[0].1.iter().map(|&w| f64::from(w).powi(2)).sum();
    assert_loss(penalised.train_on_batch(&data)?.loss, expected.loss + 0.1 * squares);
    assert!((smoothed.train_on_batch(&data)?.loss - expected.loss).abs() > 1e-3);
    Ok(())
}

/// Logits of ±1e4: exp overflows there and the probability of the right class may be 0.
fn huge_logits_stay_finite(device: &Device) -> Outcome {
    let inputs = vec![1e4, -1e4, -1e4, 1e4, 1e4, 1e4];
    let cases = [
        (Activation::Softmax, Loss::CategoricalCrossentropy),
        (Activation::Sigmoid, Loss::BinaryCrossentropy),
        (Activation::Softmax, Loss::MeanSquaredError),
        (Activation::Softplus, Loss::MeanSquaredError),
    ];
    for (last, loss) in cases {
        let description = Sequential::new(2).add(Dense::new(2).activation(last));
        let mut model = description.compile(device, RmsProp::default(), loss)?;
        model.set_parameters([("dense_0.kernel", &[1.0, 0.0, 0.0, 1.0][..])])?;
        // The first row is right, the second wrong by 2e4, the third undecided.
        let data = Dataset::from_classes(inputs.clone(), 2, vec![0, 0, 0], 2)?;
        let score = model.evaluate(&data)?;
        let expected = match loss {
            Loss::CategoricalCrossentropy => Some((2e4 + 2f64.ln()) / 3.0),
            Loss::BinaryCrossentropy => Some(5e3),
            _ => None,
        };
        expected.into_iter().for_each(|expected| assert_loss(score.loss, expected));
        let history = model.fit(&data, Fit::new().epochs(3).batch_size(2))?;
        assert!(history.epochs.iter().all(|epoch| epoch.train.loss.is_finite()), "{last} with {loss}: {history:?}");
        assert!(model.predict(&data)?.iter().all(|y| y.is_finite()), "{last} with {loss}");
        assert!(parameters(&model)?.iter().all(|(_, values)| values.iter().all(|w| w.is_finite())));
    }
    Ok(())
}
