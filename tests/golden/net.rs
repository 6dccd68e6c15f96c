//! The nets and losses of cases of the second format: an arm for each type of layer and for each loss. What is left out
//! is Keras's default.

use std::collections::HashMap;

use serde_json::{Map, Value};
use wgrad::{
    Activation, ActivationLayer, BatchNormalization, Dense, Dropout, Flatten, GaussianNoise, Layer, LayerNormalization,
    Loss, LossFunction, Prelu, Regularizer, Rescaling, Sequential,
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

/// A loss by its name.
pub fn loss(settings: &Map<String, Value>) -> Result<LossFunction, String> {
    let mut settings = Settings::new("the loss", settings);
    let name: String = settings.get("name")?;
    settings.are_of(&name);
    let smoothed = |loss: Loss, settings: &mut Settings| {
        let smoothing = settings.get_or("label_smoothing", 0.0)?;
        Ok::<_, String>(loss.label_smoothing(smoothing))
    };
    let built = match name.as_str() {
        "categorical_crossentropy" => smoothed(Loss::CategoricalCrossentropy, &mut settings)?,
        // Labels are class ids either way.
        "sparse_categorical_crossentropy" => Loss::CategoricalCrossentropy.into(),
        "binary_crossentropy" => smoothed(Loss::BinaryCrossentropy, &mut settings)?,
        "mean_squared_error" => Loss::MeanSquaredError.into(),
        _ => return Err(format!("unknown loss {name:?}")),
    };
    settings.finish()?;
    Ok(built)
}
