//! What a layer does to its sums, as plain data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a layer does to its sums, z = x·W + b.
///
/// Written as text these are Keras's names: `linear`, `relu`, `leaky_relu`, `elu`, `sigmoid`, `tanh`, `silu`, `gelu`,
/// `softplus`, `softmax`.
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
    /// GELU in its tanh form (Keras's `approximate=True`), since WGSL has no erf:
    /// z/2 · (1 + tanh(√(2/π)·(z + 0.044715·z³))).
    Gelu,
    /// log(1 + exp(z)).
    Softplus,
    /// exp(z) / Σ exp(z) over the row.
    Softmax,
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "linear" => Activation::Linear,
            "relu" => Activation::Relu,
            "leaky_relu" => Activation::LeakyRelu(0.2),
            "elu" => Activation::Elu(1.0),
            "sigmoid" => Activation::Sigmoid,
            "tanh" => Activation::Tanh,
            "silu" | "swish" => Activation::Silu,
            "gelu" | "gelu_tanh" => Activation::Gelu,
            "softplus" => Activation::Softplus,
            "softmax" => Activation::Softmax,
            _ => {
                let known = "linear, relu, leaky_relu, elu, sigmoid, tanh, silu, gelu, softplus or softmax";
                return Err(Error::configuration("activation", known, format!("{name:?}")));
            }
        })
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
        })
    }
}

impl Activation {
    /// Whether its settings make sense; `layer` is for the message.
    pub(crate) fn validate(self, layer: &str) -> Result<()> {
        match self {
            Activation::LeakyRelu(slope) | Activation::Elu(slope) if !(slope.is_finite() && slope >= 0.0) => {
                let expected = format!("a slope of {self} that is not negative");
                Err(Error::configuration(format!("layer {layer}"), expected, slope))
            }
            _ => Ok(()),
        }
    }
}
