//! The replay of cases of the first format: stacks of `Dense`, with one L2 coefficient for all kernels, on embedded
//! data or on MNIST.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::{Map, Value};
use wgrad::data::{InputRows, TargetRows};
use wgrad::{Activation, Dataset, Dense, Device, Event, Fit, Loss, Model, Precision, Sequential, mnist};

use crate::case::{Recorded, Tensors};
use crate::compare::{COMPARABLE_STEPS, HALF_TOLERANCE, TOLERANCE, Tolerance, near};
use crate::optimizers::optimizer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "the file's name says it too")]
    name: String,
    #[allow(dead_code, reason = "for the reader")]
    producer: String,
    data: Data,
    features: usize,
    samples: usize,
    layers: Vec<Layer>,
    kernel_l2: f32,
    loss: String,
    label_smoothing: f32,
    class_weight: Option<ClassWeight>,
    optimizer: Map<String, Value>,
    batch_size: usize,
    epochs: usize,
    shuffle: bool,
    step_loss: Vec<f64>,
    eval_loss: f64,
    eval_accuracy: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Named(String),
    Mnist { mnist_train_first: usize, mnist_test_first: usize, pixel_divisor: f32 },
}

/// One number a class, as a list or by class id.
#[derive(Deserialize)]
#[serde(untagged)]
enum ClassWeight {
    List(Vec<f32>),
    ById(HashMap<String, f32>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    units: usize,
    activation: String,
}

pub fn replay(recorded: &Recorded, device: &Device, precision: Precision) -> Result<(), String> {
    let tensors = &recorded.tensors;
    let case: Case = serde_json::from_value(Value::Object(recorded.specification.clone()))
        .map_err(|error| format!("{}: {error}", recorded.name))?;
    let (train, test) = data(&case, tensors)?;
    let mut model = compile(&case, device)?;
    model.set_precision(precision).map_err(|error| error.to_string())?;
    let initial: Vec<_> = tensors.of_kind("initial").map(|(name, tensor)| (name, tensor.values.as_slice())).collect();
    let count = model.parameter_names().count();
    if initial.len() != count {
        return Err(format!("the case has {} initial tensors and the model {count}", initial.len()));
    }
    model.set_parameters(initial).map_err(|error| error.to_string())?;
    let mut losses = Vec::new();
    let observe = |event: &Event| {
        if let Event::Step(record) = event {
            losses.push(record.loss);
        }
        ControlFlow::Continue(())
    };
    let mut fit = Fit::new().epochs(case.epochs).batch_size(case.batch_size).shuffle(case.shuffle).observer(observe);
    if let Some(weights) = &case.class_weight {
        fit = fit.class_weight(class_weights(weights)?);
    }
    model.fit(&train, fit).map_err(|error| error.to_string())?;
    let tolerance = if precision == Precision::F16 { &HALF_TOLERANCE } else { &TOLERANCE };
    check(&case, tensors, &mut model, &losses, &test, tolerance)
}

fn check(
    case: &Case,
    tensors: &Tensors,
    model: &mut Model,
    losses: &[f64],
    test: &Dataset,
    tolerance: &Tolerance,
) -> Result<(), String> {
    tolerance.step_losses(losses, &case.step_loss)?;
    let score = model.evaluate(test).map_err(|error| error.to_string())?;
    let accuracy = score.accuracy.ok_or("no accuracy was counted")?;
    let long = losses.len() > COMPARABLE_STEPS;
    let (loss_bound, accuracy_bound) = match long {
        true => (0.01, 0.005),
        false => (tolerance.loss(case.eval_loss), tolerance.accuracy),
    };
    near("evaluation loss", score.loss, case.eval_loss, loss_bound)?;
    near("evaluation accuracy", accuracy, case.eval_accuracy, accuracy_bound)?;
    if long {
        return Ok(());
    }
    let outputs = model.predict(test).map_err(|error| error.to_string())?;
    tolerance.outputs(&outputs, &tensors.get("eval_outputs")?.values)?;
    let names: Vec<_> = model.parameter_names().map(|(name, _)| name.to_string()).collect();
    names.iter().try_for_each(|name| tolerance.weights(name, tensors, model))
}

fn data(case: &Case, tensors: &Tensors) -> Result<(Dataset, Dataset), String> {
    let message = |error: wgrad::Error| error.to_string();
    let classes = case.layers.last().ok_or("no layers")?.units.max(2);
    match &case.data {
        Data::Named(name) if name == "embedded" => {
            let set = |inputs: &str, labels: &str| {
                let (inputs, labels) = (&tensors.get(inputs)?.values, &tensors.get(labels)?.values);
                let ids = labels.iter().map(|&label| label as u32).collect();
                Dataset::from_classes(inputs.clone(), case.features, ids, classes).map_err(message)
            };
            let train = set("inputs", "labels")?;
            if train.len() != case.samples {
                return Err(format!("{} samples, expected {}", train.len(), case.samples));
            }
            Ok((train, set("eval_inputs", "eval_labels")?))
        }
        Data::Named(name) => Err(format!("unknown data {name:?}")),
        Data::Mnist { mnist_train_first, mnist_test_first, pixel_divisor } => {
            let digits = mnist::load().map_err(message)?;
            let train = rescaled(&digits.train.take(*mnist_train_first), *pixel_divisor)?;
            Ok((train, rescaled(&digits.test.take(*mnist_test_first), *pixel_divisor)?))
        }
    }
}

/// The same pixels, divided by another number than 255 where a case says so.
fn rescaled(data: &Dataset, divisor: f32) -> Result<Dataset, String> {
    if divisor == 255.0 {
        return Ok(data.clone());
    }
    let (InputRows::Bytes { values, .. }, TargetRows::Classes { ids, classes }) = (data.inputs(), data.targets())
    else {
        return Err("MNIST should be bytes with class ids".into());
    };
    let inputs = values.iter().map(|&byte| f32::from(byte) / divisor).collect();
    Dataset::from_classes(inputs, data.features(), ids.to_vec(), classes).map_err(|error| error.to_string())
}

fn class_weights(weights: &ClassWeight) -> Result<Vec<f32>, String> {
    match weights {
        ClassWeight::List(list) => Ok(list.clone()),
        ClassWeight::ById(by_id) => (0..by_id.len())
            .map(|id| by_id.get(&id.to_string()).copied().ok_or(format!("no weight for class {id}")))
            .collect(),
    }
}

fn compile(case: &Case, device: &Device) -> Result<Model, String> {
    let message = |error: wgrad::Error| error.to_string();
    let mut description = Sequential::new(case.features);
    for layer in &case.layers {
        let activation: Activation = layer.activation.parse().map_err(message)?;
        description = description.add(Dense::new(layer.units).activation(activation).l2(case.kernel_l2));
    }
    let loss: Loss = case.loss.parse().map_err(message)?;
    let loss = loss.label_smoothing(case.label_smoothing);
    description.compile(device, optimizer(&case.optimizer)?, loss).map_err(message)
}
