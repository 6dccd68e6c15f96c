//! The optimizers of cases of both formats, with Keras's names. Every number is given; null is off.

use serde_json::{Map, Value};
use wgrad::{
    Adadelta, Adagrad, Adam, AdamW, Adamax, Clip, CosineDecay, CosineDecayRestarts, ExponentialDecay, Ftrl,
    InverseTimeDecay, LearningRate, Lion, Nadam, Optimizer, PiecewiseConstantDecay, PolynomialDecay, RmsProp, Sgd,
};

use crate::settings::Settings;

/// The optimizer of a case: an arm for each.
pub fn optimizer(settings: &Map<String, Value>) -> Result<Optimizer, String> {
    let mut settings = Settings::new("the optimizer", settings);
    let name: String = settings.get("name")?;
    settings.are_of(&name);
    let s = &mut settings;
    let (decay, clip) = (s.get_or("weight_decay", 0.0)?, clip(s)?);
    let excluded: Vec<String> = s.get_or("exclude_from_weight_decay", Vec::new())?;
    let use_ema = s.get_or("use_ema", false)?;
    let (ema_momentum, overwrite) = (s.get_or("ema_momentum", 0.99)?, s.find::<u32>("ema_overwrite_frequency")?);
    let steps = s.get_or("gradient_accumulation_steps", 1)?;
    let rate = learning_rate(s.get("learning_rate")?)?;
    macro_rules! finished {
        ($plain:expr) => {{
            let decayed = $plain.weight_decay(decay).exclude_from_weight_decay(excluded).clip(clip);
            let decayed = decayed.learning_rate(rate);
            let averaged = decayed.use_ema(use_ema).ema_momentum(ema_momentum).ema_overwrite_frequency(overwrite);
            averaged.gradient_accumulation_steps(steps).into()
        }};
    }
    let built: Optimizer = match name.as_str() {
        "rmsprop" => {
            let plain = RmsProp::default().rho(s.get("rho")?).momentum(s.get("momentum")?);
            let plain = plain.epsilon(s.get("epsilon")?).centered(s.get("centered")?);
            finished!(plain)
        }
        "sgd" => {
            let plain = Sgd::default().momentum(s.get("momentum")?).nesterov(s.get("nesterov")?);
            finished!(plain)
        }
        "adam" => {
            let plain =
                Adam::default().amsgrad(s.get_or("amsgrad", false)?).beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?);
            finished!(plain.epsilon(s.get("epsilon")?))
        }
        "adamw" => {
            let plain =
                AdamW::default().amsgrad(s.get_or("amsgrad", false)?).beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?);
            finished!(plain.epsilon(s.get("epsilon")?))
        }
        "adagrad" => {
            let plain = Adagrad::default().initial_accumulator_value(s.get("initial_accumulator_value")?);
            finished!(plain.epsilon(s.get("epsilon")?))
        }
        "nadam" => {
            let plain = Nadam::default().beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?);
            finished!(plain.epsilon(s.get("epsilon")?))
        }
        "lion" => finished!(Lion::default().beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?)),
        "adamax" => {
            let plain = Adamax::default().beta_1(s.get("beta_1")?).beta_2(s.get("beta_2")?);
            finished!(plain.epsilon(s.get("epsilon")?))
        }
        "adadelta" => finished!(Adadelta::default().rho(s.get("rho")?).epsilon(s.get("epsilon")?)),
        "ftrl" => {
            let plain = Ftrl::default().learning_rate_power(s.get("learning_rate_power")?);
            let plain = plain.initial_accumulator_value(s.get("initial_accumulator_value")?).beta(s.get("beta")?);
            let plain = plain.l1_regularization_strength(s.get("l1_regularization_strength")?);
            let plain = plain.l2_regularization_strength(s.get("l2_regularization_strength")?);
            let shrinkage = s.get("l2_shrinkage_regularization_strength")?;
            finished!(plain.l2_shrinkage_regularization_strength(shrinkage))
        }
        _ => return Err(format!("unknown optimizer {name:?}")),
    };
    settings.finish()?;
    Ok(built)
}

/// A number, or a schedule: an arm for each.
fn learning_rate(value: Value) -> Result<LearningRate, String> {
    let settings = match value {
        Value::Object(settings) => settings,
        number => {
            let rate = number.as_f64().ok_or_else(|| format!("learning rate {number}"))?;
            return Ok(LearningRate::Constant(rate as f32));
        }
    };
    let mut settings = Settings::new("the schedule", &settings);
    let name: String = settings.get("schedule")?;
    settings.are_of(&name);
    let s = &mut settings;
    let built: LearningRate = match name.as_str() {
        "exponential_decay" => {
            let (initial, steps): (f32, u32) = (s.get("initial_learning_rate")?, s.get("decay_steps")?);
            let schedule = ExponentialDecay::new(initial, steps, s.get::<f32>("decay_rate")?);
            schedule.staircase(s.get_or("staircase", false)?).into()
        }
        "piecewise_constant_decay" => {
            let (boundaries, values): (Vec<u32>, Vec<f32>) = (s.get("boundaries")?, s.get("values")?);
            PiecewiseConstantDecay::new(boundaries, values).into()
        }
        "polynomial_decay" => {
            let (initial, steps): (f32, u32) = (s.get("initial_learning_rate")?, s.get("decay_steps")?);
            let schedule = PolynomialDecay::new(initial, steps).end_learning_rate(s.get_or("end_learning_rate", 1e-4)?);
            schedule.power(s.get_or("power", 1.0)?).cycle(s.get_or("cycle", false)?).into()
        }
        "inverse_time_decay" => {
            let (initial, steps): (f32, u32) = (s.get("initial_learning_rate")?, s.get("decay_steps")?);
            let schedule = InverseTimeDecay::new(initial, steps, s.get::<f32>("decay_rate")?);
            schedule.staircase(s.get_or("staircase", false)?).into()
        }
        "cosine_decay" => {
            let (initial, steps): (f32, u32) = (s.get("initial_learning_rate")?, s.get("decay_steps")?);
            let schedule = CosineDecay::new(initial, steps).alpha(s.get_or("alpha", 0.0)?);
            schedule.warmup_target(s.find("warmup_target")?).warmup_steps(s.get_or("warmup_steps", 0)?).into()
        }
        "cosine_decay_restarts" => {
            let (initial, steps): (f32, u32) = (s.get("initial_learning_rate")?, s.get("first_decay_steps")?);
            let schedule = CosineDecayRestarts::new(initial, steps).t_mul(s.get_or("t_mul", 2.0)?);
            schedule.m_mul(s.get_or("m_mul", 1.0)?).alpha(s.get_or("alpha", 0.0)?).into()
        }
        _ => return Err(format!("unknown schedule {name:?}")),
    };
    settings.finish()?;
    Ok(built)
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
