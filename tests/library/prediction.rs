//! `evaluate`, `predict` and `predict_classes`: against computations by hand, over many batches, and at the edges.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use wgrad::data::TargetRows;
use wgrad::{
    Activation, Dataset, Dense, Device, Error, Fit, Loss, LossFunction, Model, RmsProp, Sequential, Sgd,
    StreamedDataset, wgpu,
};

use crate::common::{
    Outcome, Suite, assert_close, classifier, host_device, ids, labelled, numbers, refused, refused_for, trials,
    with_rows, with_shares,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        evaluation_by_hand_over_several_batches,
        sample_weights_count_in_evaluation,
        many_rows_are_predicted_as_each_alone,
        predictions_take_any_kind_of_samples,
        probabilities_are_probabilities,
        classes_of_several_outputs,
        classes_of_one_output,
        no_rows_give_no_predictions,
        whatever_trains_is_evaluated_and_predicted,
        rows_come_in_many_forms,
        asynchronous_calls_may_move_to_other_threads,
    );
    trials!(suite.on_gpu: what_trains_can_be_tuned, a_call_that_would_wait_for_ever_is_refused);
}

/// Trains a net of one hidden layer on a few rows, evaluates them as validation data, alone and streamed, and predicts
/// them; returns the outputs.
fn used_in_every_way(device: &Device, [features, hidden, outputs]: [usize; 3], rows: usize) -> wgrad::Result<Vec<f32>> {
    let data = with_rows(rows, features, outputs);
    let net = Sequential::new(features).add(Dense::new(hidden).activation(Activation::Relu)).add(Dense::new(outputs));
    let mut model = net.compile(device, Sgd { learning_rate: 1e-6, ..Sgd::default() }, Loss::MeanSquaredError)?;
    let history = model.fit(&data.take(8), Fit::new().batch_size(4).validation_data(&data))?;
    let score = model.evaluate(&data)?;
    assert_eq!(history.epochs[0].validation, Some(score.clone()));
    let streamed = StreamedDataset::from_fn(rows, {
        let data = data.clone();
        move |rows| Ok(data.range(rows)?)
    })?;
    let again = model.evaluate(&streamed)?;
    assert!((again.loss - score.loss).abs() <= 1e-5 * score.loss.abs(), "{again} streamed and {score}");
    let predicted = model.predict(&data)?;
    let TargetRows::Rows { values, .. } = data.targets() else { panic!("rows of targets") };
    let squares = predicted.iter().zip(values).map(|(y, t)| (f64::from(*y) - f64::from(*t)).powi(2));
    let by_hand = squares.sum::<f64>() / values.len() as f64;
    assert!((score.loss - by_hand).abs() <= 1e-4 * by_hand, "{score} and by hand {by_hand}");
    let last = model.predict(&data.range(rows - 1..rows)?)?;
    let largest = predicted.iter().fold(1e-3_f32, |largest, y| largest.max(y.abs()));
    assert_close("a row alone", &last, &predicted[predicted.len() - outputs..], 1e-4 * largest);
    Ok(predicted)
}

/// Inputs, hidden layers and outputs from 1 to the widest: batches of 1,024 rows of them would not fit in a binding of
/// WebGPU's default size, 128 MiB, which is 32,768 numbers a row.
fn whatever_trains_is_evaluated_and_predicted(device: &Device) -> Outcome {
    let own;
    let device = match device.wgpu() {
        Some(_) => {
            let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
            own = Device::from_wgpu(gpu, queue)?;
            &own
        }
        None => device,
    };
    for (widths, rows) in [
        ([1, 1, 1], 1030),
        ([224 * 224, 3, 2], 9),
        ([40_000, 2, 1], 530),
        ([3, 40_000, 2], 530),
        ([3, 2, 40_000], 530),
        ([260_000, 1, 1], 70),
        ([1, 1, 260_000], 70),
    ] {
        let predicted = used_in_every_way(device, widths, rows).map_err(|error| format!("{widths:?}: {error}"))?;
        assert_eq!(predicted.len(), rows * widths[2]);
    }
    Ok(())
}

fn what_trains_can_be_tuned(_: &Device) -> Outcome {
    let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let device = Device::options().tuned_tilings(false).wrap(gpu, queue)?;
    let net = Sequential::new(70_000).add(Dense::new(1));
    let mut model = net.compile(&device, Sgd::default(), Loss::MeanSquaredError)?;
    model.fit(&with_rows(8, 70_000, 1), Fit::new().batch_size(4))?;
    assert!(!model.tune(4)?.products.is_empty());
    Ok(())
}

#[allow(clippy::needless_borrows_for_generic_args, reason = "borrowed forms are what is tried")]
fn rows_come_in_many_forms(device: &Device) -> Outcome {
    let net = Sequential::new(2).add(Dense::new(1));
    let mut model = net.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    model.set_parameters([("dense_0.kernel", &[2.0, -1.0][..]), ("dense_0.bias", &[0.5][..])])?;
    let (one, two) = (vec![1.0], vec![1.0, 4.5]);
    assert_eq!(model.predict(&[0.5, 0.5])?, one);
    assert_eq!(model.predict([0.5, 0.5])?, one);
    assert_eq!(model.predict(vec![0.5, 0.5, 2.0, 0.0])?, two);
    let rows: Vec<[f32; 2]> = vec![[0.5, 0.5], [2.0, 0.0]];
    assert_eq!(model.predict(&rows[..])?, two);
    assert_eq!(model.predict(&rows)?, two);
    assert_eq!(model.predict(&[[0.5, 0.5], [2.0, 0.0]])?, two);
    assert_eq!(model.predict(rows)?, two);
    let ragged = vec![vec![0.5, 0.5], vec![2.0]];
    assert_eq!(model.predict(&ragged[..1])?, one);
    assert_eq!(model.predict(&[[[0.5], [0.5]]])?, one);
    assert_eq!(model.predict(Dataset::from_classes(vec![0.5, 0.5], 2, vec![0], 1)?)?, one);
    assert_eq!(model.predict_classes(&[[2.0, 0.0]])?, [1]);
    // Six numbers are three rows of two, but not if they came as two rows of three.
    let expected = "samples to predict: expected rows of 2 numbers, found";
    refused(model.predict(&[[0.0; 3]; 2]), &format!("{expected} rows of 3"));
    refused(model.predict(&[0.0; 3]), &format!("{expected} 3"));
    refused(model.predict(&ragged), &format!("{expected} 1 in row 1"));
    let not_finite = "the inputs: expected finite numbers, found inf in row 1, column 0";
    refused(model.predict(&[[0.0, 1.0], [f32::INFINITY, 0.0]]), not_finite);
    Ok(())
}

fn trained(device: &Device, data: &Dataset) -> wgrad::Result<Model> {
    let description = classifier(data.features(), 8, data.target_width());
    let mut model = description.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    model.fit(&data.take(320), Fit::new())?;
    Ok(model)
}

/// 2500 rows are two whole batches of an evaluation and a part of one.
fn evaluation_by_hand_over_several_batches(device: &Device) -> Outcome {
    let data = labelled(2500, 6, 3);
    let ids = ids(&numbers(2500 * 6, 1), 6, 3);
    let model = trained(device, &data)?;
    let outputs = model.predict(&data)?;
    let classes = model.predict_classes(&data)?;
    let rows = outputs.chunks_exact(3).zip(&ids);
    let loss: f64 = rows.map(|(row, &id)| -f64::from(row[id as usize]).ln()).sum::<f64>() / 2500.0;
    let right = classes.iter().zip(&ids).filter(|(found, expected)| found == expected).count();
    let score = model.evaluate(&data)?;
    assert!((score.loss - loss).abs() < 1e-5 * loss, "{} and by hand {loss}", score.loss);
    assert_eq!(score.accuracy, Some(right as f64 / 2500.0));
    assert_eq!(score, model.evaluate(&data)?);
    Ok(())
}

/// As in Keras: the loss is Σ w·l over the number of rows; accuracy counts each row once.
fn sample_weights_count_in_evaluation(device: &Device) -> Outcome {
    let data = labelled(40, 6, 3);
    let model = trained(device, &data)?;
    let plain = model.evaluate(&data)?;
    let tripled = model.evaluate(&data.clone().with_sample_weights(vec![3.0; 40])?)?;
    assert!((tripled.loss - 3.0 * plain.loss).abs() < 1e-5, "{tripled} and {plain}");
    assert_eq!(tripled.accuracy, plain.accuracy);
    let half = model.evaluate(&data.clone().with_sample_weights([[1.0; 20], [0.0; 20]].concat())?)?;
    let first = model.evaluate(&data.take(20))?;
    assert!((half.loss - 0.5 * first.loss).abs() < 1e-5, "{half} and {first}");
    Ok(())
}

fn many_rows_are_predicted_as_each_alone(device: &Device) -> Outcome {
    let data = labelled(1500, 6, 3);
    let model = trained(device, &data)?;
    let together = model.predict(&data)?;
    assert_eq!(together.len(), 1500 * 3);
    for row in [0, 1, 2, 3, 511, 1022, 1023, 1024, 1025, 1498, 1499] {
        let alone = model.predict(&data.range(row..row + 1)?)?;
        assert_close(&format!("row {row}"), &together[3 * row..3 * row + 3], &alone, 1e-6);
    }
    Ok(())
}

fn predictions_take_any_kind_of_samples(device: &Device) -> Outcome {
    let rows = numbers(20 * 6, 1);
    let data = labelled(20, 6, 3);
    let model = trained(device, &data)?;
    let expected = model.predict(&data)?;
    assert_eq!(model.predict(&rows)?, expected);
    assert_eq!(model.predict(&rows[..])?, expected);
    let bytes: Vec<u8> = (0..120).collect();
    let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) * (1.0 / 255.0)).collect();
    let images = Dataset::from_images(bytes, 6, vec![0; 20], 3)?;
    assert_eq!(model.predict(&images)?, model.predict(&floats)?);
    // Targets do not matter: these are of another width.
    assert_eq!(model.predict(&Dataset::from_rows(rows, 6, vec![0.0; 20], 1)?)?, expected);
    Ok(())
}

fn probabilities_are_probabilities(device: &Device) -> Outcome {
    let data = with_shares(30, 6, 4);
    for (activation, loss) in
        [(Activation::Softmax, Loss::CategoricalCrossentropy), (Activation::Sigmoid, Loss::BinaryCrossentropy)]
    {
        let description = Sequential::new(6).add(Dense::new(4).activation(activation));
        let mut model = description.compile(device, RmsProp::default(), loss)?;
        model.fit(&data, Fit::new())?;
        let outputs = model.predict(&data)?;
        assert!(outputs.iter().all(|p| (0.0..=1.0).contains(p)), "{outputs:?}");
        if activation == Activation::Softmax {
            for row in outputs.chunks_exact(4) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
            }
        }
    }
    Ok(())
}

fn classes_of_several_outputs(device: &Device) -> Outcome {
    let description = Sequential::new(3).add(Dense::new(3).use_bias(false));
    let loss = Loss::CategoricalCrossentropy.from_logits();
    let mut model = description.compile(device, Sgd::default(), loss)?;
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    model.set_parameters([("dense_0.kernel", &identity[..])])?;
    // Of equal ones the first counts, as with NumPy's argmax.
    let rows = vec![0.1, 0.3, 0.2, -3.0, -1.0, -2.0, 5.0, 5.0, 1.0, 0.0, 0.0, 0.0, 1.0, 7.0, 7.0];
    assert_eq!(model.predict_classes(&rows)?, [1, 1, 0, 0, 1]);
    Ok(())
}

/// The threshold is one half for a probability and zero for a logit; which of them there is, the activation says.
fn classes_of_one_output(device: &Device) -> Outcome {
    let cases: [(Activation, LossFunction, [u32; 4]); 4] = [
        (Activation::Sigmoid, Loss::BinaryCrossentropy.into(), [0, 0, 1, 1]),
        (Activation::Sigmoid, Loss::BinaryCrossentropy.from_logits(), [0, 0, 1, 1]),
        (Activation::Linear, Loss::BinaryCrossentropy.from_logits(), [0, 0, 1, 1]),
        (Activation::Linear, Loss::MeanSquaredError.into(), [0, 0, 0, 1]),
    ];
    for (activation, loss, expected) in cases {
        let description = Sequential::new(1).add(Dense::new(1).activation(activation).use_bias(false));
        let mut model = description.compile(device, Sgd::default(), loss)?;
        model.set_parameters([("dense_0.kernel", &[1.0][..])])?;
        let found = model.predict_classes(vec![-2.0, 0.0, 0.25, 2.0])?;
        assert_eq!(found, expected, "{activation} with {loss:?}");
        let data = Dataset::from_classes(vec![-2.0, 0.0, 0.25, 2.0], 1, expected.to_vec(), 2)?;
        assert_eq!(model.evaluate(&data)?.accuracy, Some(1.0), "{activation} with {loss:?}");
    }
    Ok(())
}

fn no_rows_give_no_predictions(device: &Device) -> Outcome {
    let data = labelled(20, 6, 3);
    let model = trained(device, &data)?;
    assert!(model.predict(Vec::<f32>::new())?.is_empty());
    assert!(model.predict_classes(data.take(0))?.is_empty());
    Ok(())
}

/// A future that may be sent, as executors with several threads want it.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

fn asynchronous_calls_may_move_to_other_threads(device: &Device) -> Outcome {
    let data = labelled(20, 6, 3);
    let model = trained(device, &data)?;
    let score = pollster::block_on(sent(model.evaluate_async(&data)))?;
    assert_eq!(score, model.evaluate(&data)?);
    assert_eq!(pollster::block_on(sent(model.predict_async(&data)))?, model.predict(&data)?);
    assert_eq!(pollster::block_on(sent(model.predict_classes_async(&data)))?, model.predict_classes(&data)?);
    assert_eq!(pollster::block_on(sent(model.snapshot_async()))?, model.snapshot()?);
    Ok(())
}

/// An evaluation that waits for the device has the model. What is asked of the model meanwhile on the same thread would
/// wait for an evaluation that nobody goes on with.
fn a_call_that_would_wait_for_ever_is_refused(device: &Device) -> Outcome {
    let data = labelled(2500, 6, 3);
    // Wide enough that the first answer is not there at once.
    let wide = || Dense::new(600).activation(Activation::Relu);
    let net = Sequential::new(6).add(wide()).add(wide()).add(Dense::new(3).activation(Activation::Softmax));
    let model = net.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
    let kernel = model.parameter("dense_0.kernel")?;
    let score = model.evaluate(&data)?;
    {
        let mut evaluation = pin!(model.evaluate_async(&data));
        let mut context = Context::from_waker(Waker::noop());
        assert!(evaluation.as_mut().poll(&mut context).is_pending(), "a GPU takes its time");
        let busy = |result: wgrad::Result<()>| assert!(matches!(result, Err(Error::Busy)), "{result:?}");
        busy(model.parameter("dense_0.kernel").map(drop));
        busy(model.snapshot().map(drop));
        busy(model.to_bytes_with_optimizer().map(drop));
        busy(model.evaluate(&data).map(drop));
        busy(model.predict(&data).map(drop));
        busy(model.parameter_view("dense_0.kernel").map(drop));
        refused_for(model.clone().predict(&data), "the model is in use by an asynchronous call");
        // In another thread the same call waits, and gets its answer.
        std::thread::scope(|scope| -> Outcome {
            let other = scope.spawn(|| model.parameter("dense_0.kernel"));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            assert_eq!(pollster::block_on(evaluation.as_mut())?, score);
            assert_eq!(other.join().expect("a thread that ends")?, kernel);
            Ok(())
        })?;
    }
    // One that is given up leaves the model free.
    {
        let mut evaluation = Box::pin(model.evaluate_async(&data));
        assert!(evaluation.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(model.parameter("dense_0.kernel")?, kernel);
    assert_eq!(model.evaluate(&data)?, score);
    Ok(())
}
