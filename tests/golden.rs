//! Replays trainings recorded with Keras, on the CPU device and on a GPU device: the same initial weights, the same
//! samples in the same order, and so, up to f32 rounding, the same losses and weights.
//!
//! The cases in `tests/golden` were recorded with Keras 3.15.1 on TensorFlow. `WGRAD_GOLDEN_DIR` names a directory with
//! further cases of the same form, `WGRAD_GOLDEN_ROOT` one that stands in for `tests/golden`, where there is no source
//! tree, and `MNIST_DIR` the MNIST files that some of them train on. Each case is a test of its
//! own on each device; one that cannot run here is shown as ignored.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "common/gpus.rs"]
mod gpus;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::SafeTensors;
use serde::Deserialize;
use wgrad::data::{InputRows, TargetRows};
use wgrad::{
    Activation, Adagrad, Adam, AdamW, Clip, Dataset, Dense, Device, Event, Fit, Loss, Model, Optimizer, Precision,
    RmsProp, Sequential, Sgd, mnist,
};

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
    optimizer: HashMap<String, serde_json::Value>,
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

type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// How close a replay must come; why these numbers is argued in `check`.
struct Tolerance {
    loss_relative: f64,
    loss_absolute: f64,
    outputs: f64,
    accuracy: f64,
    weights: f64,
}

const TOLERANCE: Tolerance =
    Tolerance { loss_relative: 1e-5, loss_absolute: 2e-6, outputs: 1e-5, accuracy: 1e-6, weights: 1e-3 };

/// For half precision, against Keras's trainings in single. Rounding to 11 bits changes every activation and every gradient
/// by up to 2⁻¹¹ = 5e-4 of its size, at random, so losses differ by about that at first (measured: 1e-6 to 6e-4), and drift
/// apart as trainings do (1e-3, over 100 steps of the tutorial's net 9e-3): 2e-2 is twice the most. The weights' way is off
/// by more where the gradients' signs decide, as in the first steps of RMSprop and with momentum (3e-2). An output is off by
/// what its logits are, at most a quarter of that; one answer of 200 may change.
const HALF_TOLERANCE: Tolerance =
    Tolerance { loss_relative: 2e-2, loss_absolute: 1e-4, outputs: 1e-2, accuracy: 0.006, weights: 6e-2 };

/// Steps beyond which rounding has flipped single ReLUs, so that two Keras backends drift apart from each other.
const COMPARABLE_STEPS: usize = 100;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let (cpu, gpu, cooperative) = (Some(Device::cpu()), gpus::gpu(), gpus::cooperative_gpu());
    let unchecked = gpus::unchecked_gpu();
    let half = gpu.clone().filter(|gpu| gpu.info().has_half_precision());
    for path in cases() {
        let case = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let needs_mnist = !path.with_extension("safetensors").exists() || trains_on_mnist(&path);
        let no_mnist = needs_mnist && std::env::var_os("MNIST_DIR").is_none();
        let mut add = |way: &str, device: Option<&Device>, precision| {
            let (path, device) = (path.clone(), device.cloned());
            let ignored = device.is_none() || no_mnist;
            let run = move || match &device {
                Some(device) => replay(&path, device, precision).map_err(Failed::from),
                None => Err("no such device".into()),
            };
            trials.push(Trial::test(format!("{case}::{way}"), run).with_ignored_flag(ignored));
        };
        add("cpu", cpu.as_ref(), Precision::F32);
        add("gpu", gpu.as_ref(), Precision::F32);
        add("gpu_unchecked", unchecked.as_ref(), Precision::F32);
        // How far half precision drifts depends on a training, so its tolerance holds for those that it was argued for.
        if own_cases().join(&case).with_extension("json").exists() || case == "tutorial_one_epoch" {
            add("gpu_half", half.as_ref(), Precision::F16);
            add("gpu_cooperative", cooperative.as_ref(), Precision::F16);
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every case of `tests/golden` and of `WGRAD_GOLDEN_DIR`, each name once.
fn cases() -> Vec<PathBuf> {
    let mut found: HashMap<_, PathBuf> = HashMap::new();
    for directory in [Some(own_cases()), std::env::var_os("WGRAD_GOLDEN_DIR").map(PathBuf::from)].into_iter().flatten()
    {
        let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        for path in entries.map(|entry| entry.expect("a directory entry").path()) {
            if path.extension().is_some_and(|extension| extension == "json") {
                found.insert(path.file_stem().expect("a file name").to_owned(), path);
            }
        }
    }
    let mut paths: Vec<_> = found.into_values().collect();
    paths.sort();
    paths
}

fn own_cases() -> PathBuf {
    let root = std::env::var_os("WGRAD_GOLDEN_ROOT").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
}

fn trains_on_mnist(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("mnist_train_first"))
}

fn read(path: &Path) -> Result<(Case, Tensors), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let case = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let path = path.with_extension("safetensors");
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        (name, (view.shape().to_vec(), bytemuck::pod_collect_to_vec(view.data())))
    };
    Ok((case, file.tensors().into_iter().map(tensor).collect()))
}

fn replay(path: &Path, device: &Device, precision: Precision) -> Result<(), String> {
    let (case, tensors) = read(path)?;
    let (train, test) = data(&case, &tensors)?;
    let mut model = compile(&case, device)?;
    model.set_precision(precision).map_err(|error| error.to_string())?;
    let initial: Vec<_> = tensors
        .iter()
        .filter_map(|(name, (_, values))| Some((name.strip_prefix("initial/")?, values.as_slice())))
        .collect();
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
    check(&case, &tensors, &mut model, &losses, &test, tolerance)
}

/// The tolerances are those that the recordings' README asks for. Two Keras backends differ by 3e-7 in a step's loss and
/// 5e-7 in the weights on the short cases: f32 rounding. A driver's `exp` and `log` are not exact (1.2e-6 on lavapipe),
/// which gives the outputs their 1e-5. The weights' bound is wide because a near-zero gradient may flip its sign, and
/// RMSprop divides by its size.
fn check(
    case: &Case,
    tensors: &Tensors,
    model: &mut Model,
    losses: &[f64],
    test: &Dataset,
    tolerance: &Tolerance,
) -> Result<(), String> {
    if losses.len() != case.step_loss.len() {
        return Err(format!("{} steps were made, Keras made {}", losses.len(), case.step_loss.len()));
    }
    for (step, (found, expected)) in losses.iter().zip(&case.step_loss).enumerate().take(COMPARABLE_STEPS) {
        let bound = tolerance.loss_relative * expected.abs() + tolerance.loss_absolute;
        if (found - expected).abs() > bound || found.is_nan() {
            return Err(format!("loss of step {step}: {found}, Keras has {expected}, at most {bound:e} apart"));
        }
    }
    let score = model.evaluate(test).map_err(|error| error.to_string())?;
    let accuracy = score.accuracy.ok_or("no accuracy was counted")?;
    let long = losses.len() > COMPARABLE_STEPS;
    let (loss_bound, accuracy_bound) = match long {
        true => (0.01, 0.005),
        false => (tolerance.loss_relative * case.eval_loss.abs() + tolerance.loss_absolute, tolerance.accuracy),
    };
    if (score.loss - case.eval_loss).abs() > loss_bound {
        return Err(format!("evaluation loss {}, Keras has {}", score.loss, case.eval_loss));
    }
    if (accuracy - case.eval_accuracy).abs() > accuracy_bound {
        return Err(format!("evaluation accuracy {accuracy}, Keras has {}", case.eval_accuracy));
    }
    if long {
        return Ok(());
    }
    let outputs = model.predict(test).map_err(|error| error.to_string())?;
    let expected = &tensors.get("eval_outputs").ok_or("no tensor eval_outputs")?.1;
    if outputs.len() != expected.len() {
        return Err(format!("{} outputs, Keras has {}", outputs.len(), expected.len()));
    }
    for (index, (found, expected)) in outputs.iter().zip(expected).enumerate() {
        if f64::from((found - expected).abs()) > tolerance.outputs || found.is_nan() {
            return Err(format!("output {index}: {found}, Keras has {expected}"));
        }
    }
    let names: Vec<_> = model.parameter_names().map(|(name, _)| name.to_string()).collect();
    names.iter().try_for_each(|name| check_weights(name, tensors, model, tolerance))
}

/// ‖W − W'‖ against the way the weights have come, ‖W' − W₀‖.
fn check_weights(name: &str, tensors: &Tensors, model: &Model, tolerance: &Tolerance) -> Result<(), String> {
    let tensor = |kind: &str| tensors.get(&format!("{kind}/{name}")).ok_or(format!("no tensor {kind}/{name}"));
    let (initial, expected) = (&tensor("initial")?.1, &tensor("final")?.1);
    let found = model.parameter(name).map_err(|error| error.to_string())?;
    let norm = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let (apart, way) = (norm(&found, expected), norm(expected, initial));
    let close = apart <= tolerance.weights * way;
    if close { Ok(()) } else { Err(format!("{name} is {apart:e} apart after a way of {way:e}")) }
}

fn data(case: &Case, tensors: &Tensors) -> Result<(Dataset, Dataset), String> {
    let message = |error: wgrad::Error| error.to_string();
    let classes = case.layers.last().ok_or("no layers")?.units.max(2);
    match &case.data {
        Data::Named(name) if name == "embedded" => {
            let set = |inputs: &str, labels: &str| {
                let inputs = &tensors.get(inputs).ok_or(format!("no tensor {inputs}"))?.1;
                let labels = &tensors.get(labels).ok_or(format!("no tensor {labels}"))?.1;
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

/// The optimizer of a case. Every key must be used: an unknown one is a failure.
fn optimizer(settings: &HashMap<String, serde_json::Value>) -> Result<Optimizer, String> {
    let mut settings = settings.clone();
    let name = settings.remove("name").and_then(|name| name.as_str().map(String::from)).ok_or("no optimizer name")?;
    let clip = clip(&mut settings)?;
    let settings = std::cell::RefCell::new(settings);
    let take = |key: &str| match settings.borrow_mut().remove(key) {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::Bool(value)) => Some(f32::from(u8::from(value))),
        Some(value) => value.as_f64().map(|value| value as f32),
    };
    let number = |key: &str| take(key).ok_or(format!("optimizer {name} without {key}"));
    let learning_rate = number("learning_rate")?;
    let built: Optimizer = match name.as_str() {
        "rmsprop" => RmsProp {
            learning_rate,
            rho: number("rho")?,
            momentum: number("momentum")?,
            epsilon: number("epsilon")?,
            centered: number("centered")? != 0.0,
            weight_decay: take("weight_decay").unwrap_or(0.0),
            clip,
            ..RmsProp::default()
        }
        .into(),
        "sgd" => Sgd {
            learning_rate,
            momentum: number("momentum")?,
            nesterov: number("nesterov")? != 0.0,
            weight_decay: take("weight_decay").unwrap_or(0.0),
            clip,
            ..Sgd::default()
        }
        .into(),
        "adam" => Adam {
            learning_rate,
            beta_1: number("beta_1")?,
            beta_2: number("beta_2")?,
            epsilon: number("epsilon")?,
            weight_decay: take("weight_decay").unwrap_or(0.0),
            clip,
            ..Adam::default()
        }
        .into(),
        "adamw" => AdamW {
            learning_rate,
            beta_1: number("beta_1")?,
            beta_2: number("beta_2")?,
            epsilon: number("epsilon")?,
            weight_decay: take("weight_decay").unwrap_or(0.0),
            clip,
            ..AdamW::default()
        }
        .into(),
        "adagrad" => Adagrad {
            learning_rate,
            initial_accumulator_value: number("initial_accumulator_value")?,
            epsilon: number("epsilon")?,
            weight_decay: take("weight_decay").unwrap_or(0.0),
            clip,
            ..Adagrad::default()
        }
        .into(),
        _ => return Err(format!("unknown optimizer {name:?}")),
    };
    let left = settings.into_inner();
    if left.is_empty() { Ok(built) } else { Err(format!("unknown settings of {name}: {left:?}")) }
}

fn clip(settings: &mut HashMap<String, serde_json::Value>) -> Result<Clip, String> {
    let mut limit = |key: &str| settings.remove(key).and_then(|value| value.as_f64()).map(|value| value as f32);
    match (limit("clipnorm"), limit("global_clipnorm"), limit("clipvalue")) {
        (None, None, None) => Ok(Clip::None),
        (Some(limit), None, None) => Ok(Clip::Norm(limit)),
        (None, Some(limit), None) => Ok(Clip::GlobalNorm(limit)),
        (None, None, Some(limit)) => Ok(Clip::Value(limit)),
        several => Err(format!("more than one kind of clipping: {several:?}")),
    }
}
