//! Dense: y = f(x·W + b).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::activation::Activation;
use crate::net::constraints::Constraint;
use crate::net::describe::{Describe, check_learning_rate_factor, is_one, one};
use crate::net::initializers::Initializer;
use crate::net::regularizers::Regularizer;
use crate::net::shape::{MAX_FEATURES, Shape};
use crate::net::tensor::{Kind, TensorSpec};

/// A fully connected layer: y = f(x·W + b), with x \[batch, in\], W \[in, units\] and b \[units\]. As the first layer it takes
/// samples of any shape, row after row.
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
    #[serde(default)]
    pub(crate) activation: Activation,
    #[serde(default = "yes")]
    pub(crate) use_bias: bool,
    #[serde(default)]
    pub(crate) kernel_initializer: Initializer,
    #[serde(default = "Initializer::zeros", skip_serializing_if = "Initializer::is_zeros")]
    pub(crate) bias_initializer: Initializer,
    #[serde(default)]
    pub(crate) kernel_regularizer: Regularizer,
    #[serde(default)]
    pub(crate) bias_regularizer: Regularizer,
    #[serde(default, skip_serializing_if = "Constraint::is_none")]
    pub(crate) kernel_constraint: Constraint,
    #[serde(default, skip_serializing_if = "Constraint::is_none")]
    pub(crate) bias_constraint: Constraint,
    #[serde(default = "yes")]
    pub(crate) trainable: bool,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) learning_rate_factor: f32,
}

fn yes() -> bool {
    true
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
            bias_initializer: Initializer::Zeros,
            kernel_regularizer: Regularizer::NONE,
            bias_regularizer: Regularizer::NONE,
            kernel_constraint: Constraint::None,
            bias_constraint: Constraint::None,
            trainable: true,
            learning_rate_factor: 1.0,
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

    /// How the bias starts; at zero by default.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> Self {
        Dense { bias_initializer, ..self }
    }

    /// What the size of W costs; nothing by default.
    pub fn kernel_regularizer(self, kernel_regularizer: Regularizer) -> Self {
        Dense { kernel_regularizer, ..self }
    }

    /// What the size of b costs; nothing by default.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> Self {
        Dense { bias_regularizer, ..self }
    }

    /// What W is held to after each update; nothing by default.
    pub fn kernel_constraint(self, kernel_constraint: Constraint) -> Self {
        Dense { kernel_constraint, ..self }
    }

    /// What b is held to after each update; nothing by default.
    pub fn bias_constraint(self, bias_constraint: Constraint) -> Self {
        Dense { bias_constraint, ..self }
    }

    /// Adds λ·Σ W² to the loss: short for `kernel_regularizer(Regularizer::l2(λ))`.
    pub fn l2(self, lambda: f32) -> Self {
        self.kernel_regularizer(Regularizer::l2(lambda))
    }

    /// Whether training changes this layer; it does by default. Of one that it does not change the regularizers count
    /// nowhere, as in Keras.
    pub fn trainable(self, trainable: bool) -> Self {
        Dense { trainable, ..self }
    }

    /// What the learning rate is multiplied by for this layer's tensors; 1 by default. 0 is not frozen: the numbers stay, but
    /// their gradients are made, count in norms for clipping and move the optimizer's state, and regularizers count in
    /// the loss. For a layer that is not trained there is `trainable(false)`.
    pub fn learning_rate_factor(self, learning_rate_factor: f32) -> Self {
        Dense { learning_rate_factor, ..self }
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

impl Describe for Dense {
    fn validate(&self, name: &str) -> Result<()> {
        if self.units == 0 || self.units > MAX_FEATURES {
            let expected =
                if self.units == 0 { "at least one unit".into() } else { format!("at most {MAX_FEATURES} units") };
            return Err(Error::configuration(format!("layer {name}"), expected, self.units));
        }
        check_learning_rate_factor(name, self.learning_rate_factor)?;
        self.kernel_constraint.validate(name)?;
        self.bias_constraint.validate(name)?;
        self.kernel_regularizer.validate(name)?;
        self.bias_regularizer.validate(name)?;
        self.activation.validate(name)
    }

    fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        if !input.is_flat() {
            let expected = "samples of one dimension; put Flatten before it";
            return Err(Error::shape(format!("layer {name}"), expected, format!("shape {input}")));
        }
        Ok(self.units.into())
    }

    fn tensors(&self, input: &Shape) -> Vec<TensorSpec> {
        let kernel = TensorSpec {
            name: "kernel",
            shape: vec![input.features(), self.units],
            initializer: self.kernel_initializer.clone(),
            regularizer: self.kernel_regularizer,
            kind: Kind::Trained,
        };
        let bias = TensorSpec {
            name: "bias",
            shape: vec![self.units],
            initializer: self.bias_initializer.clone(),
            regularizer: self.bias_regularizer,
            kind: Kind::Trained,
        };
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn is_trainable(&self) -> bool {
        self.trainable
    }

    fn constraint(&self, tensor: &str) -> Constraint {
        if tensor == "kernel" { self.kernel_constraint } else { self.bias_constraint }
    }

    fn learning_rate_factor(&self) -> f32 {
        self.learning_rate_factor
    }

    fn set_trainable(&mut self, trainable: bool) -> bool {
        self.trainable = trainable;
        true
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}
