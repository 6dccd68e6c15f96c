//! The replay of cases of the second format: any net, loss, optimizer and metric that there is. Everything in a case is
//! used; what is unknown is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::{Map, Value};
use wgrad::{Dataset, Device, Event, Fit, Model};

use crate::case::{Recorded, Tensor, Tensors};
use crate::compare::{TOLERANCE, near};
use crate::metrics::{asked, check as check_metric};
use crate::net::{loss, net};
use crate::optimizers::optimizer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it decided that the case is replayed here")]
    format: u8,
    name: String,
    #[allow(dead_code, reason = "for the reader")]
    producer: String,
    data: String,
    input_shape: Vec<usize>,
    samples: usize,
    layers: Vec<Map<String, Value>>,
    loss: Map<String, Value>,
    sample_weights: bool,
    optimizer: Map<String, Value>,
    batch_size: usize,
    epochs: usize,
    shuffle: bool,
    step_loss: Vec<f64>,
    step_learning_rate: Vec<f64>,
    eval_loss: f64,
    eval_metrics: BTreeMap<String, Value>,
    undetermined: Vec<String>,
}

enum Labels {
    Classes(Vec<u32>),
    Rows(Vec<f32>),
}

/// How far a learning rate may be from Keras's, relative: a few roundings of a schedule's formula.
pub const LEARNING_RATE_BOUND: f64 = 1e-6;

fn message(error: wgrad::Error) -> String {
    error.to_string()
}

/// What the steps of a training were.
struct Steps {
    losses: Vec<f64>,
    learning_rates: Vec<f32>,
}

pub fn replay(recorded: &Recorded, device: &Device) -> Result<(), String> {
    let tensors = &recorded.tensors;
    let case: Case = serde_json::from_value(Value::Object(recorded.specification.clone()))
        .map_err(|error| format!("{}: {error}", recorded.name))?;
    if case.name != recorded.name {
        return Err(format!("{:?} is the name of {}", case.name, recorded.name));
    }
    if case.data != "embedded" {
        return Err(format!("unknown data {:?}", case.data));
    }
    let net = net(&case.input_shape, &case.layers)?;
    let mut model = net.compile(device, optimizer(&case.optimizer)?, loss(&case.loss)?).map_err(message)?;
    check_tensors(&case, tensors, &model)?;
    let initial = tensors.of_kind("initial").map(|(name, tensor)| (name, tensor.values.as_slice()));
    model.set_parameters(initial).map_err(message)?;
    let steps = train(&case, tensors, &mut model)?;
    check_steps(&case, &steps)?;
    check_evaluation(&case, tensors, &mut model)?;
    let compared = tensors.of_kind("final").filter(|(name, _)| !case.undetermined.iter().any(|one| one == name));
    compared.map(|(name, _)| name).try_for_each(|name| TOLERANCE.weights(name, tensors, &model))?;
    check_averages(tensors, &mut model)
}

/// The averages of the weights, if the case has them, which are compared as if they were the weights.
fn check_averages(tensors: &Tensors, model: &mut Model) -> Result<(), String> {
    let averages: Vec<_> =
        tensors.of_kind("average").map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
    if averages.is_empty() {
        return Ok(());
    }
    model.swap_averages().map_err(message)?;
    let mut as_weights = tensors.clone();
    for (name, tensor) in &averages {
        as_weights.0.insert(format!("final/{name}"), tensor.clone());
    }
    averages.iter().try_for_each(|(name, _)| {
        TOLERANCE.weights(name, &as_weights, model).map_err(|error| format!("of the averages {error}"))
    })
}

/// Whether the case has the tensors that the model has and those that a case needs, and no others.
fn check_tensors(case: &Case, tensors: &Tensors, model: &Model) -> Result<(), String> {
    let mut expected: BTreeSet<_> =
        ["inputs", "labels", "eval_inputs", "eval_labels", "eval_outputs"].map(String::from).into();
    expected.extend(case.sample_weights.then(|| "sample_weights".to_string()));
    for (name, shape) in model.parameter_names() {
        for kind in ["initial", "final"] {
            let name = format!("{kind}/{name}");
            let found = &tensors.get(&name)?.shape;
            if *found != shape {
                return Err(format!("{name} has shape {found:?}, the model's has {shape:?}"));
            }
            expected.insert(name);
        }
        let average = format!("average/{name}");
        if tensors.get(&average).is_ok_and(|tensor| tensor.shape == shape) {
            expected.insert(average);
        }
    }
    if let Some(name) = tensors.0.keys().find(|name| !expected.contains(*name)) {
        return Err(format!("unknown tensor {name}"));
    }
    match case.undetermined.iter().find(|name| !expected.contains(&format!("final/{name}"))) {
        None => Ok(()),
        Some(name) => Err(format!("unknown tensor {name} is undetermined")),
    }
}

fn train(case: &Case, tensors: &Tensors, model: &mut Model) -> Result<Steps, String> {
    let mut data = dataset(case, tensors, model, "")?;
    if data.len() != case.samples {
        return Err(format!("{} samples, expected {}", data.len(), case.samples));
    }
    if case.sample_weights {
        data = data.with_sample_weights(tensors.get("sample_weights")?.values.clone()).map_err(message)?;
    }
    let (mut losses, mut learning_rates) = (Vec::new(), Vec::new());
    let observe = |event: &Event| {
        if let Event::Step(record) = event {
            losses.push(record.loss);
            learning_rates.push(record.learning_rate);
        }
        ControlFlow::Continue(())
    };
    let fit = Fit::new().epochs(case.epochs).batch_size(case.batch_size).shuffle(case.shuffle);
    // Cases are recorded batch by batch, after which Keras leaves averages where they are.
    let fit = fit.average_at_end(false).observer(observe);
    model.fit(&data, fit).map_err(message)?;
    Ok(Steps { losses, learning_rates })
}

/// The samples whose tensors begin with `prefix`.
fn dataset(case: &Case, tensors: &Tensors, model: &Model, prefix: &str) -> Result<Dataset, String> {
    let inputs = tensors.get(&format!("{prefix}inputs"))?;
    let features = case.input_shape.iter().product();
    if inputs.shape.len() != 2 || inputs.shape[1] != features {
        return Err(format!("{prefix}inputs have shape {:?}, expected [samples, {features}]", inputs.shape));
    }
    let labels = labels(tensors.get(&format!("{prefix}labels"))?, model.outputs())?;
    let inputs = inputs.values.clone();
    let data = match labels {
        Labels::Classes(ids) => Dataset::from_classes(inputs, features, ids, model.outputs().max(2)),
        Labels::Rows(rows) => Dataset::from_rows(inputs, features, rows, model.outputs()),
    };
    data.map_err(message)
}

/// One number a sample is the id of its class, or the target of a net's one output; a row is its targets.
fn labels(tensor: &Tensor, outputs: usize) -> Result<Labels, String> {
    let is_class = |label: &f32| label.fract() == 0.0 && *label >= 0.0;
    match tensor.shape.as_slice() {
        [_] if outputs == 1 && !tensor.values.iter().all(is_class) => Ok(Labels::Rows(tensor.values.clone())),
        [_] => match tensor.values.iter().find(|label| !is_class(label)) {
            None => Ok(Labels::Classes(tensor.values.iter().map(|&label| label as u32).collect())),
            Some(label) => Err(format!("label {label} is no class")),
        },
        [_, width] if *width == outputs => Ok(Labels::Rows(tensor.values.clone())),
        other => Err(format!("labels have shape {other:?}, expected [samples] or [samples, {outputs}]")),
    }
}

fn check_steps(case: &Case, steps: &Steps) -> Result<(), String> {
    TOLERANCE.step_losses(&steps.losses, &case.step_loss)?;
    let (found, expected) = (&steps.learning_rates, &case.step_learning_rate);
    if found.len() != expected.len() {
        return Err(format!("{} steps were made, Keras has {} learning rates", found.len(), expected.len()));
    }
    let mut pairs = found.iter().zip(expected).enumerate();
    pairs.try_for_each(|(step, (&found, &expected))| {
        near(&format!("learning rate of step {step}"), found.into(), expected, LEARNING_RATE_BOUND * expected.abs())
    })
}

fn check_evaluation(case: &Case, tensors: &Tensors, model: &mut Model) -> Result<(), String> {
    let data = dataset(case, tensors, model, "eval_")?;
    model.set_metrics(asked(case.eval_metrics.keys())?).map_err(message)?;
    let score = model.evaluate(&data).map_err(message)?;
    near("evaluation loss", score.loss, case.eval_loss, TOLERANCE.loss(case.eval_loss))?;
    let outputs = model.predict(&data).map_err(message)?;
    TOLERANCE.outputs(&outputs, &tensors.get("eval_outputs")?.values)?;
    case.eval_metrics.iter().try_for_each(|(name, expected)| check_metric(name, expected, &score))
}
