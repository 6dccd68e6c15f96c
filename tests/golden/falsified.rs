//! Whether the replay of the second format can fail: a case with one thing falsified, in memory, must be refused, and
//! for that reason. Numbers are falsified by two or three times what is allowed, so a bound that were wider would show.
//! Each kind of thing is falsified in the first case that has it.

use serde_json::{Map, Value, json};
use wgrad::{Device, Precision};

use crate::case::Recorded;
use crate::compare::{TOLERANCE, way};
use crate::metrics::{BOUND, NAMES};
use crate::replay;
use crate::replay2::LEARNING_RATE_BOUND;

/// Falsifies one thing, and says what the refusal must speak of; `None` if a case does not have it.
type Falsify = Box<dyn Fn(&mut Recorded) -> Option<String> + Send>;

/// One kind of falsification.
pub struct Falsification {
    pub what: String,
    falsify: Falsify,
}

impl Falsification {
    fn new(what: impl Into<String>, falsify: impl Fn(&mut Recorded) -> Option<String> + Send + 'static) -> Self {
        Falsification { what: what.into(), falsify: Box::new(falsify) }
    }

    /// Whether the case has what this falsifies.
    pub fn suits(&self, recorded: &Recorded) -> bool {
        (self.falsify)(&mut recorded.clone()).is_some()
    }

    /// Fails unless the falsified case is refused.
    pub fn check(&self, mut recorded: Recorded, device: &Device) -> Result<(), String> {
        let reason = (self.falsify)(&mut recorded).ok_or("the case has nothing of that kind")?;
        match replay(&recorded, device, Precision::F32) {
            Ok(()) => Err("the falsified case passed".into()),
            Err(error) if error.contains(&reason) => Ok(()),
            Err(error) => Err(format!("refused for {error:?}, which does not speak of {reason:?}")),
        }
    }
}

/// All kinds.
pub fn all() -> Vec<Falsification> {
    let mut all = numbers();
    all.extend(NAMES.map(|name| Falsification::new(name, move |recorded| metric(name, recorded))));
    all.extend(names());
    all.extend(tensors());
    all
}

fn numbers() -> Vec<Falsification> {
    vec![
        Falsification::new("step_loss", |recorded| {
            let losses = recorded.specification.get_mut("step_loss")?.as_array_mut()?;
            let last = losses.len() - 1;
            add(&mut losses[last], |loss| 2.0 * TOLERANCE.loss(loss))?;
            Some(format!("loss of step {last}"))
        }),
        Falsification::new("step_learning_rate", |recorded| {
            let rates = recorded.specification.get_mut("step_learning_rate")?.as_array_mut()?;
            let last = rates.len() - 1;
            add(&mut rates[last], |rate| 2.0 * LEARNING_RATE_BOUND * rate)?;
            Some(format!("learning rate of step {last}"))
        }),
        Falsification::new("one_step_fewer", |recorded| {
            recorded.specification.get_mut("step_loss")?.as_array_mut()?.pop()?;
            Some("steps were made".into())
        }),
        Falsification::new("eval_loss", |recorded| {
            add(recorded.specification.get_mut("eval_loss")?, |loss| 2.0 * TOLERANCE.loss(loss))?;
            Some("evaluation loss".into())
        }),
        Falsification::new("eval_outputs", |recorded| {
            let outputs = &mut recorded.tensors.0.get_mut("eval_outputs")?.values;
            let last = outputs.len() - 1;
            outputs[last] += 2.0 * TOLERANCE.outputs as f32;
            Some(format!("output {last}"))
        }),
    ]
}

/// The first number of a metric: a count by one, another by twice what is allowed.
fn metric(name: &'static str, recorded: &mut Recorded) -> Option<String> {
    let mut value = recorded.specification.get_mut("eval_metrics")?.get_mut(name)?;
    while value.is_array() {
        value = value.get_mut(0)?;
    }
    match value.as_u64() {
        Some(count) => *value = (count + 1).into(),
        None => add(value, |_| 2.0 * BOUND)?,
    }
    Some(name.into())
}

/// Things that no case has, or by names that nothing has: where they are put, under which key, and what must be said.
fn names() -> Vec<Falsification> {
    let put = |what: &str, place: &'static str, key: &'static str, value: Value, reason: &'static str| {
        Falsification::new(what, move |recorded| {
            object(recorded, place)?.insert(key.into(), value.clone());
            Some(reason.into())
        })
    };
    let sawtooth = json!({"schedule": "sawtooth", "initial_learning_rate": 0.1});
    vec![
        put("unknown_key", "", "padding", json!(1), "unknown field `padding`"),
        put("unknown_format", "", "format", json!(3), "unknown format 3"),
        put("unknown_data", "", "data", json!("iris"), "unknown data \"iris\""),
        put("another_name", "", "name", json!("another"), "is the name of"),
        put("another_count_of_samples", "", "samples", json!(7), "samples, expected 7"),
        put("unknown_layer_type", "dense_0", "type", json!("conv_2d"), "unknown layer type \"conv_2d\""),
        put("unknown_layer_setting", "dense_0", "dilation", json!(1), "unknown settings of dense_0: dilation"),
        put("another_layer_name", "dense_0", "name", json!("dense_7"), "layer dense_7 would be called dense_0"),
        put("unknown_activation", "dense_0", "activation", json!("maxout"), "\"maxout\""),
        put("unknown_regularizer", "dense_0", "kernel_regularizer", json!({"l3": 1}), "of kernel_regularizer: l3"),
        put("unknown_loss", "loss", "name", json!("log_sinh"), "unknown loss \"log_sinh\""),
        put("unknown_loss_setting", "loss", "axis", json!(0), ": axis"),
        put("unknown_optimizer", "optimizer", "name", json!("sgdw"), "unknown optimizer \"sgdw\""),
        put("unknown_optimizer_setting", "optimizer", "rho_2", json!(0.9), ": rho_2"),
        put("gradient_accumulation", "optimizer", "gradient_accumulation_steps", json!(2), "loss of step"),
        put("average_momentum", "optimizer", "ema_momentum", json!(1.5), "ema_momentum: expected a share"),
        put(
            "unknown_constraint",
            "dense_0",
            "kernel_constraint",
            json!("orthogonal"),
            "unknown constraint \"orthogonal\"",
        ),
        put("another_constraint", "dense_0", "kernel_constraint", json!("unit_norm"), "loss of step"),
        put("unknown_schedule", "optimizer", "learning_rate", sawtooth, "unknown schedule \"sawtooth\""),
        put("unknown_metric", "eval_metrics", "speed", json!(1.0), "unknown metric \"speed\""),
    ]
}

fn tensors() -> Vec<Falsification> {
    vec![
        Falsification::new("trained_tensor", |recorded| {
            let (name, way) = trained(recorded)?;
            recorded.tensors.0.get_mut(&format!("final/{name}"))?.values[0] += (2.0 * TOLERANCE.weights * way) as f32;
            Some(format!("{name} is "))
        }),
        Falsification::new("average_tensor", |recorded| {
            let (name, _) = trained(recorded)?;
            let initial = recorded.tensors.get(&format!("initial/{name}")).ok()?.clone();
            let average = recorded.tensors.0.get_mut(&format!("average/{name}"))?;
            let way = way(&initial, average);
            average.values[0] += (2.0 * TOLERANCE.weights * way) as f32;
            Some(format!("of the averages {name} is "))
        }),
        Falsification::new("trained_tensor_said_to_be_frozen", |recorded| {
            let (name, _) = trained(recorded)?;
            let initial = recorded.tensors.get(&format!("initial/{name}")).ok()?.clone();
            recorded.tensors.0.insert(format!("final/{name}"), initial);
            Some(format!("{name} has changed"))
        }),
        Falsification::new("bit_of_a_frozen_tensor", |recorded| {
            let name = format!("{}.kernel", frozen(recorded)?.get("name")?.as_str()?);
            let first = &mut recorded.tensors.0.get_mut(&format!("final/{name}"))?.values[0];
            *first = f32::from_bits(first.to_bits() ^ 1);
            Some(format!("{name} is "))
        }),
        Falsification::new("frozen_layer_that_trains", |recorded| {
            frozen(recorded)?.remove("trainable");
            Some("loss of step".into())
        }),
        Falsification::new("unknown_tensor", |recorded| {
            let copy = recorded.tensors.0.get("final/dense_0.kernel")?.clone();
            recorded.tensors.0.insert("final/dense_0.scale".into(), copy);
            Some("unknown tensor final/dense_0.scale".into())
        }),
        Falsification::new("missing_tensor", |recorded| {
            recorded.tensors.0.remove("initial/dense_0.bias")?;
            Some("no tensor initial/dense_0.bias".into())
        }),
        Falsification::new("sample_weights", |recorded| {
            recorded.specification.insert("sample_weights".into(), false.into());
            recorded.tensors.0.get("sample_weights").map(|_| "unknown tensor sample_weights".into())
        }),
        Falsification::new("unknown_undetermined", |recorded| {
            recorded.specification.insert("undetermined".into(), json!(["dense_0.scale"]));
            Some("unknown tensor dense_0.scale".into())
        }),
    ]
}

/// Moves a number by what the function makes of it.
fn add(value: &mut Value, by: impl Fn(f64) -> f64) -> Option<()> {
    let number = value.as_f64()?;
    *value = json!(number + by(number));
    Some(())
}

/// The case itself, a layer by its name, or what lies under a key.
fn object<'a>(recorded: &'a mut Recorded, place: &str) -> Option<&'a mut Map<String, Value>> {
    let specification = &mut recorded.specification;
    match place {
        "" => Some(specification),
        "loss" | "optimizer" | "eval_metrics" => specification.get_mut(place)?.as_object_mut(),
        layer => layers(specification)?.find(|settings| settings.get("name") == Some(&json!(layer))),
    }
}

fn layers(specification: &mut Map<String, Value>) -> Option<impl Iterator<Item = &mut Map<String, Value>>> {
    Some(specification.get_mut("layers")?.as_array_mut()?.iter_mut().filter_map(Value::as_object_mut))
}

/// The first layer that is not trained.
fn frozen(recorded: &mut Recorded) -> Option<&mut Map<String, Value>> {
    layers(&mut recorded.specification)?.find(|layer| layer.get("trainable") == Some(&json!(false)))
}

/// The first tensor that has moved and is compared, and its way.
fn trained(recorded: &Recorded) -> Option<(String, f64)> {
    let undetermined = recorded.specification.get("undetermined")?.as_array()?;
    let compared = recorded.tensors.of_kind("final").filter(|(name, _)| !undetermined.contains(&json!(name)));
    let mut ways = compared.filter_map(|(name, last)| {
        let initial = recorded.tensors.get(&format!("initial/{name}")).ok()?;
        Some((name.to_string(), way(initial, last)))
    });
    ways.find(|(_, way)| *way > 0.0)
}
