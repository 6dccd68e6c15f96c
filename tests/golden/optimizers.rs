//! The optimizers of cases of both formats, with Keras's names. Every number is given; null is off.

use serde_json::{Map, Value};
use wgrad::{Adagrad, Adam, AdamW, Clip, Optimizer, RmsProp, Sgd};

use crate::settings::Settings;

/// The optimizer of a case: an arm for each.
pub fn optimizer(settings: &Map<String, Value>) -> Result<Optimizer, String> {
    let mut settings = Settings::new("the optimizer", settings);
    let name: String = settings.get("name")?;
    settings.are_of(&name);
    let s = &mut settings;
    let (decay, clip) = (s.get_or("weight_decay", 0.0)?, clip(s)?);
    must_be_off(s)?;
    let built: Optimizer = match name.as_str() {
        "rmsprop" => {
            let plain = RmsProp::default().rho(s.get("rho")?).momentum(s.get("momentum")?);
            let plain = plain.epsilon(s.get("epsilon")?).centered(s.get("centered")?);
            plain.weight_decay(decay).clip(clip).into()
        }
        "sgd" => {
            let plain = Sgd::default().momentum(s.get("momentum")?).nesterov(s.get("nesterov")?);
            plain.weight_decay(decay).clip(clip).into()
        }
        "adam" => {
            s.must_be_off("amsgrad")?;
            let plain = Adam::default().beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?);
            plain.epsilon(s.get("epsilon")?).weight_decay(decay).clip(clip).into()
        }
        "adamw" => {
            s.must_be_off("amsgrad")?;
            let plain = AdamW::default().beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?);
            plain.epsilon(s.get("epsilon")?).weight_decay(decay).clip(clip).into()
        }
        "adagrad" => {
            let plain = Adagrad::default().initial_accumulator_value(s.get("initial_accumulator_value")?);
            plain.epsilon(s.get("epsilon")?).weight_decay(decay).clip(clip).into()
        }
        _ => return Err(format!("unknown optimizer {name:?}")),
    };
    let built = built.with_learning_rate(learning_rate(&settings.get("learning_rate")?)?);
    settings.finish()?;
    Ok(built)
}

/// A number, or a schedule, of which there is none yet: one is an arm here and in the optimizer's settings.
fn learning_rate(value: &Value) -> Result<f32, String> {
    if let Some(constant) = value.as_f64() {
        return Ok(constant as f32);
    }
    let schedule = value.get("schedule").and_then(Value::as_str);
    Err(schedule.map_or_else(|| format!("learning rate {value}"), |name| format!("unknown schedule {name:?}")))
}

/// What Keras's optimizers have and these do not. The momentum of an average that is off means nothing.
fn must_be_off(settings: &mut Settings) -> Result<(), String> {
    settings.must_be_off("gradient_accumulation_steps")?;
    settings.must_be_off("use_ema")?;
    settings.find::<f32>("ema_momentum").map(|_| ())
}

fn clip(settings: &mut Settings) -> Result<Clip, String> {
    match (settings.find("clipnorm")?, settings.find("global_clipnorm")?, settings.find("clipvalue")?) {
        (None, None, None) => Ok(Clip::None),
        (Some(limit), None, None) => Ok(Clip::Norm(limit)),
        (None, Some(limit), None) => Ok(Clip::GlobalNorm(limit)),
        (None, None, Some(limit)) => Ok(Clip::Value(limit)),
        several => Err(format!("more than one kind of clipping: {several:?}")),
    }
}
