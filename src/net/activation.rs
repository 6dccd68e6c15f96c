//! What a layer does to its sums, as plain data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a layer does to its sums, z = x·W + b.
///
/// Written as text these are Keras's names, with Keras's settings: `relu`, `leaky_relu`, `relu6`, … ([`Activation::ALL`]). GELU
/// is the exception: `gelu` is its tanh form here and has been from the first file on; what Keras calls `gelu` is `gelu_exact`.
///
/// ```
/// use wgrad::Activation;
///
/// assert_eq!("relu".parse::<Activation>()?, Activation::Relu);
/// assert_eq!(Activation::default(), Activation::Linear);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// z itself; what a layer without an activation has, as in Keras.
    #[default]
    Linear,
    /// max(z, 0).
    Relu,
    /// z above zero, the given slope times z below; Keras's function has a slope of 0.2.
    LeakyRelu(f32),
    /// z above zero, α·(exp(z) − 1) below; Keras's α is 1.
    Elu(f32),
    /// 1 / (1 + exp(−z)).
    Sigmoid,
    /// tanh(z).
    Tanh,
    /// z · sigmoid(z), also called swish.
    Silu,
    /// GELU in its tanh form (Keras's `gelu` with `approximate=True`): z/2 · (1 + tanh(√(2/π)·(z + 0.044715·z³))). It is
    /// within 5·10⁻⁴ of [`Activation::GeluExact`], and quicker.
    Gelu,
    /// log(1 + exp(z)).
    Softplus,
    /// exp(z) / Σ exp(z) over the row. With a temperature T it is `Rescaling::new(1.0 / T)` before it.
    Softmax,
    /// GELU as it is defined, z/2 · (1 + erf(z/√2)): Keras's `gelu`. WGSL has no erf; the one here is within 4·10⁻⁷.
    GeluExact,
    /// ReLU with Keras's settings (`relu` and `layers.ReLU`): `max_value` where z is above that, z from `threshold` up,
    /// `negative_slope`·(z − `threshold`) below. [`Activation::RELU6`] is one of these.
    ReluWith {
        /// The slope below the threshold; Keras's is 0 unless told otherwise.
        #[serde(default)]
        negative_slope: f32,
        /// The most that comes out; no limit by default.
        #[serde(default)]
        max_value: Option<f32>,
        /// From where on z passes, not below 0; 0 by default.
        #[serde(default)]
        threshold: f32,
    },
    /// 1.0507·z above zero, 1.0507·1.6733·(exp(z) − 1) below (Klambauer et al. 2017).
    Selu,
    /// z above zero, α·(exp(z/α) − 1) below; Keras's α is 1.
    Celu(f32),
    /// z / (1 + |z|).
    Softsign,
    /// z/6 + 1/2, cut at 0 and 1.
    HardSigmoid,
    /// z, cut at −1 and 1.
    HardTanh,
    /// z · hard_sigmoid(z), also called hard swish.
    HardSilu,
    /// z · tanh(softplus(z)).
    Mish,
    /// exp(z).
    Exponential,
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let name = match name {
            "swish" => "silu",
            "hard_swish" => "hard_silu",
            "gelu_tanh" => "gelu",
            name => name,
        };
        Activation::ALL.into_iter().find(|activation| activation.name() == name).ok_or_else(|| {
            let [names @ .., last] = Activation::ALL.map(Activation::name);
            Error::configuration("activation", format!("{} or {last}", names.join(", ")), format!("{name:?}"))
        })
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Activation {
    /// z from 0 to 6, cut at either.
    pub const RELU6: Activation = Activation::ReluWith { negative_slope: 0.0, max_value: Some(6.0), threshold: 0.0 };

    /// Every kind, with the settings that Keras gives it by itself.
    pub const ALL: [Activation; 20] = [
        Activation::Linear,
        Activation::Relu,
        Activation::LeakyRelu(0.2),
        Activation::Elu(1.0),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Gelu,
        Activation::Softplus,
        Activation::Softmax,
        Activation::GeluExact,
        Activation::RELU6,
        Activation::Selu,
        Activation::Celu(1.0),
        Activation::Softsign,
        Activation::HardSigmoid,
        Activation::HardTanh,
        Activation::HardSilu,
        Activation::Mish,
        Activation::Exponential,
    ];

    /// Its name, without its settings.
    fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Elu(_) => "elu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::Softplus => "softplus",
            Activation::Softmax => "softmax",
            Activation::GeluExact => "gelu_exact",
            Activation::RELU6 => "relu6",
            Activation::ReluWith { .. } => "relu_with",
            Activation::Selu => "selu",
            Activation::Celu(_) => "celu",
            Activation::Softsign => "softsign",
            Activation::HardSigmoid => "hard_sigmoid",
            Activation::HardTanh => "hard_tanh",
            Activation::HardSilu => "hard_silu",
            Activation::Mish => "mish",
            Activation::Exponential => "exponential",
        }
    }

    /// Whether its settings make sense; `layer` is for the message.
    pub(crate) fn validate(self, layer: &str) -> Result<()> {
        let refused =
            |expected: String, found: f32| Err(Error::configuration(format!("layer {layer}"), expected, found));
        match self {
            Activation::LeakyRelu(slope) | Activation::Elu(slope) if !(slope.is_finite() && slope >= 0.0) => {
                refused(format!("a slope of {self} that is not negative"), slope)
            }
            Activation::Celu(alpha) if !(alpha.is_finite() && alpha > 0.0) => {
                refused("an α of celu above 0".into(), alpha)
            }
            Activation::ReluWith { negative_slope, max_value, threshold } => {
                if !(negative_slope.is_finite() && negative_slope >= 0.0) {
                    return refused("a negative_slope of relu that is not negative".into(), negative_slope);
                }
                // Below zero Keras's layer refuses it too, and its function does other than its documentation says.
                if !(threshold.is_finite() && threshold >= 0.0) {
                    return refused("a threshold of relu that is not negative".into(), threshold);
                }
                match max_value.filter(|max| !(max.is_finite() && *max >= threshold && *max >= 0.0)) {
                    Some(max) => refused("a max_value of relu not below 0, nor below the threshold".into(), max),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_lead_back() {
        for activation in Activation::ALL {
            assert_eq!(activation.to_string().parse::<Activation>().unwrap(), activation);
            let written = serde_json::to_string(&activation).unwrap();
            assert_eq!(serde_json::from_str::<Activation>(&written).unwrap(), activation, "{written}");
        }
        // What files have said from the first version on.
        assert_eq!(serde_json::from_str::<Activation>("\"gelu\"").unwrap(), Activation::Gelu);
        assert_eq!(serde_json::from_str::<Activation>(r#"{"leaky_relu":0.1}"#).unwrap(), Activation::LeakyRelu(0.1));
        assert_eq!(
            serde_json::from_str::<Activation>(r#"{"relu_with":{"max_value":6.0}}"#).unwrap(),
            Activation::RELU6
        );
        assert_eq!("hard_swish".parse::<Activation>().unwrap(), Activation::HardSilu);
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let relu = |negative_slope, max_value, threshold| Activation::ReluWith { negative_slope, max_value, threshold };
        for (activation, what) in [
            (relu(-0.1, None, 0.0), "negative_slope"),
            (relu(0.0, Some(-1.0), 0.0), "max_value"),
            (relu(0.0, Some(1.0), 2.0), "max_value"),
            (relu(0.0, None, f32::NAN), "threshold"),
            (relu(0.0, None, -0.5), "threshold"),
            (Activation::Celu(0.0), "celu"),
            (Activation::LeakyRelu(-0.1), "leaky_relu"),
        ] {
            let refused = activation.validate("dense_0").unwrap_err().to_string();
            assert!(refused.contains(what) && refused.contains("layer dense_0"), "{refused}");
        }
        assert!(relu(0.1, Some(1.0), 0.5).validate("dense_0").is_ok());
    }
}
