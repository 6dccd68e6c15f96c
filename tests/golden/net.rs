//! The nets and losses of cases of the second format: an arm for each type of layer and for each loss. What is left out
//! is Keras's default.

use std::collections::HashMap;

use serde_json::{Map, Value};
use wgrad::{
    Activation, ActivationLayer, BatchNormalization, Constraint, Dense, Dropout, Flatten, GaussianNoise, Layer,
    LayerNormalization, Loss, LossFunction, Prelu, Regularizer, Rescaling, Sequential,
};

use crate::settings::Settings;

fn message(error: wgrad::Error) -> String {
    error.to_string()
}

/// The stack of a case. Its layers must have the names that the library gives them.
pub fn net(input_shape: &[usize], layers: &[Map<String, Value>]) -> Result<Sequential, String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut net = Sequential::new(input_shape);
    for settings in layers {
        let mut settings = Settings::new("a layer", settings);
        let name: String = settings.get("name")?;
        settings.are_of(&name);
        let layer = layer(&mut settings)?;
        settings.finish()?;
        let count = counts.entry(layer.type_name()).or_default();
        let expected = format!("{}_{count}", layer.type_name());
        if name != expected {
            return Err(format!("layer {name} would be called {expected}"));
        }
        *count += 1;
        net = net.add(layer);
    }
    Ok(net)
}

/// A layer by its type.
fn layer(settings: &mut Settings) -> Result<Layer, String> {
    let layer_type: String = settings.get("type")?;
    Ok(match layer_type.as_str() {
        "dense" => Dense::new(settings.get("units")?)
            .activation(activation(settings.get_or("activation", Value::from("linear"))?)?)
            .use_bias(settings.get_or("use_bias", true)?)
            .kernel_regularizer(regularizer(settings, "kernel_regularizer")?)
            .bias_regularizer(regularizer(settings, "bias_regularizer")?)
            .kernel_constraint(constraint(settings, "kernel_constraint")?)
            .bias_constraint(constraint(settings, "bias_constraint")?)
            .trainable(settings.get_or("trainable", true)?)
            .into(),
        "activation" => ActivationLayer::new(activation(settings.get("activation")?)?).into(),
        "dropout" => Dropout::new(settings.get("rate")?).into(),
        "gaussian_noise" => GaussianNoise::new(settings.get("stddev")?).into(),
        "prelu" => Prelu::new()
            .alpha_regularizer(regularizer(settings, "alpha_regularizer")?)
            .trainable(settings.get_or("trainable", true)?)
            .into(),
        "batch_normalization" => BatchNormalization::new()
            .momentum(settings.get_or("momentum", 0.99)?)
            .epsilon(settings.get_or("epsilon", 1e-3)?)
            .center(settings.get_or("center", true)?)
            .scale(settings.get_or("scale", true)?)
            .trainable(settings.get_or("trainable", true)?)
            .into(),
        "layer_normalization" => LayerNormalization::new()
            .epsilon(settings.get_or("epsilon", 1e-3)?)
            .center(settings.get_or("center", true)?)
            .scale(settings.get_or("scale", true)?)
            .trainable(settings.get_or("trainable", true)?)
            .into(),
        "flatten" => Flatten.into(),
        "rescaling" => Rescaling::new(settings.get("scale")?).offset(settings.get_or("offset", 0.0)?).into(),
        _ => return Err(format!("unknown layer type {layer_type:?}")),
    })
}

/// An activation by Keras's name, or by that and its settings, `{"name": "leaky_relu", "negative_slope": 0.1}`. Keras's
/// `gelu` is the exact one.
fn activation(value: Value) -> Result<Activation, String> {
    let settings = match value {
        Value::String(name) if name == "gelu" => return Ok(Activation::GeluExact),
        Value::String(name) => return name.parse().map_err(message),
        Value::Object(settings) => settings,
        other => return Err(format!("an activation is a name or an object, not {other}")),
    };
    let mut settings = Settings::new("an activation", &settings);
    let name: String = settings.get("name")?;
    settings.are_of(&name);
    let built = match name.parse().map_err(message)? {
        Activation::Relu => Activation::ReluWith {
            negative_slope: settings.get_or("negative_slope", 0.0)?,
            max_value: settings.find("max_value")?,
            threshold: settings.get_or("threshold", 0.0)?,
        },
        Activation::Celu(_) => Activation::Celu(settings.get("alpha")?),
        Activation::LeakyRelu(_) => Activation::LeakyRelu(settings.get("negative_slope")?),
        Activation::Elu(_) => Activation::Elu(settings.get("alpha")?),
        plain => plain,
    };
    settings.finish()?;
    Ok(built)
}

fn regularizer(settings: &mut Settings, key: &str) -> Result<Regularizer, String> {
    let Some(factors) = settings.find::<Map<String, Value>>(key)? else { return Ok(Regularizer::NONE) };
    let mut factors = Settings::new(key, &factors);
    let built = Regularizer::l1_l2(factors.get_or("l1", 0.0)?, factors.get_or("l2", 0.0)?);
    factors.finish()?;
    Ok(built)
}

/// A constraint by its name, by its name and settings, or as Keras's configurations have it, with its class's name.
fn constraint(settings: &mut Settings, key: &str) -> Result<Constraint, String> {
    let (name, own) = match settings.find::<Value>(key)? {
        None => return Ok(Constraint::None),
        Some(Value::String(name)) => (name, Map::new()),
        Some(Value::Object(mut own)) => {
            let name = own.remove("name").or_else(|| own.remove("class_name"));
            let name =
                name.as_ref().and_then(Value::as_str).ok_or_else(|| format!("{key} without a name"))?.to_string();
            if let Some(Value::Object(config)) = own.remove("config") {
                own.extend(config);
            }
            // How Keras finds the class.
            ["module", "registered_name"].into_iter().for_each(|key| drop(own.remove(key)));
            (name, own)
        }
        Some(other) => return Err(format!("{key} is a name or an object, not {other}")),
    };
    let mut own = Settings::new(key, &own);
    let built = match name.as_str() {
        "non_neg" | "NonNeg" => Constraint::NonNeg,
        "max_norm" | "MaxNorm" => Constraint::max_norm(own.get_or("max_value", 2.0)?),
        "unit_norm" | "UnitNorm" => Constraint::UnitNorm,
        "min_max_norm" | "MinMaxNorm" => {
            let (min_value, max_value) = (own.get_or("min_value", 0.0)?, own.get_or("max_value", 1.0)?);
            Constraint::MinMaxNorm { min_value, max_value, rate: own.get_or("rate", 1.0)? }
        }
        _ => return Err(format!("unknown constraint {name:?}")),
    };
    match own.get_or("axis", 0)? {
        0 => own.finish().map(|()| built),
        axis => Err(format!("axis {axis} of {key}: norms are those of columns, axis 0")),
    }
}

/// A loss by its name.
pub fn loss(settings: &Map<String, Value>) -> Result<LossFunction, String> {
    let mut settings = Settings::new("the loss", settings);
    let name: String = settings.get("name")?;
    settings.are_of(&name);
    let loss = name.parse().map_err(|_| format!("unknown loss {name:?}"))?;
    let loss = match loss {
        Loss::Huber { delta } => Loss::Huber { delta: settings.get_or("delta", delta)? },
        Loss::CategoricalFocalCrossentropy { alpha, gamma } => Loss::CategoricalFocalCrossentropy {
            alpha: settings.get_or("alpha", alpha)?,
            gamma: settings.get_or("gamma", gamma)?,
        },
        Loss::BinaryFocalCrossentropy { gamma, .. } => {
            let (balanced, alpha) = (settings.get_or("apply_class_balancing", false)?, settings.get_or("alpha", 0.25)?);
            Loss::BinaryFocalCrossentropy { alpha: balanced.then_some(alpha), gamma: settings.get_or("gamma", gamma)? }
        }
        other => other,
    };
    let smoothing = settings.get_or("label_smoothing", 0.0)?;
    let smoothed = LossFunction::from(loss).label_smoothing(smoothing);
    let built = if settings.get_or("from_logits", false)? { smoothed.from_logits() } else { smoothed };
    settings.finish()?;
    Ok(built)
}
