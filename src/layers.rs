//! Layers and activations as plain data: what a model is made of, before anything is allocated.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::init::Initializer;

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

/// A fully connected layer: y = f(x·W + b), with x \[batch, in\], W \[in, units\] and b \[units\].
///
/// ```
/// use wgrad::{Activation, Dense};
///
/// let hidden = Dense::new(512).activation(Activation::Relu);
/// let plain = Dense::new(10).use_bias(false).l2(1e-4);
/// # let _ = (hidden, plain);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    pub(crate) units: usize,
    pub(crate) activation: Activation,
    pub(crate) use_bias: bool,
    pub(crate) kernel_initializer: Initializer,
    pub(crate) l2: f32,
    pub(crate) trainable: bool,
}

impl Dense {
    /// A layer with `units` outputs, Keras's defaults elsewhere: linear, with a bias that starts at zero, a
    /// glorot-uniform kernel, no regularisation, trainable.
    pub fn new(units: usize) -> Self {
        Dense {
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            l2: 0.0,
            trainable: true,
        }
    }

    /// Sets f; linear by default.
    pub fn activation(self, activation: Activation) -> Self {
        Dense { activation, ..self }
    }

    /// Whether there is a b; there is one by default.
    pub fn use_bias(self, use_bias: bool) -> Self {
        Dense { use_bias, ..self }
    }

    /// How the kernel starts; glorot-uniform by default.
    pub fn kernel_initializer(self, kernel_initializer: Initializer) -> Self {
        Dense { kernel_initializer, ..self }
    }

    /// Adds λ·Σ W² to the loss, as Keras's `kernel_regularizer=L2(λ)`; 0 by default.
    pub fn l2(self, lambda: f32) -> Self {
        Dense { l2: lambda, ..self }
    }

    /// Whether training changes this layer; it does by default.
    pub fn trainable(self, trainable: bool) -> Self {
        Dense { trainable, ..self }
    }

    /// How many outputs the layer has.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Its activation.
    pub fn activation_kind(&self) -> Activation {
        self.activation
    }
}
