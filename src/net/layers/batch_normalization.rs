//! Batch normalization: each feature gets mean 0 and variance 1 over the batch.

use serde::{Deserialize, Serialize};

use super::norm;
use crate::error::{Error, Result};
use crate::net::describe::{Describe, check_learning_rate_factor, is_one};
use crate::net::initializers::Initializer;
use crate::net::shape::Shape;
use crate::net::tensor::{Kind, TensorSpec};

/// y = γ·(x − mean)/√(variance + ε) + β (Ioffe & Szegedy 2015; Keras's `BatchNormalization`). In training, mean and variance
/// are those of a feature over the batch, the variance being the biased one; moving averages of them are kept beside the
/// parameters. In evaluation and prediction, and where the layer is not trainable, the moving averages are used.
///
/// ```
/// use wgrad::{Activation, BatchNormalization, Dense, Device, Loss, Sequential, Sgd};
///
/// let model = Sequential::new(8)
///     .add(Dense::new(16).use_bias(false))
///     .add(BatchNormalization::new())
///     .add(Activation::Relu)
///     .add(Dense::new(1))
///     .compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// assert_eq!(model.parameter("batch_normalization_0.moving_variance")?, [1.0; 16]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchNormalization {
    pub(crate) momentum: f32,
    pub(crate) epsilon: f32,
    pub(crate) center: bool,
    pub(crate) scale: bool,
    pub(crate) trainable: bool,
    #[serde(skip_serializing_if = "is_one")]
    pub(crate) learning_rate_factor: f32,
    #[serde(skip_serializing_if = "Initializer::is_ones")]
    pub(crate) gamma_initializer: Initializer,
    #[serde(skip_serializing_if = "Initializer::is_zeros")]
    pub(crate) beta_initializer: Initializer,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        BatchNormalization {
            momentum: 0.99,
            epsilon: 1e-3,
            center: true,
            scale: true,
            trainable: true,
            learning_rate_factor: 1.0,
            gamma_initializer: Initializer::Ones,
            beta_initializer: Initializer::Zeros,
        }
    }
}

impl BatchNormalization {
    /// Keras's defaults: momentum 0.99, ε 0.001, with γ and β, trainable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the moving averages keep of themselves with each batch, from 0 to 1; 0.99 by default.
    pub fn momentum(self, momentum: f32) -> Self {
        BatchNormalization { momentum, ..self }
    }

    /// Sets ε, what is added to the variance; 0.001 by default.
    pub fn epsilon(self, epsilon: f32) -> Self {
        BatchNormalization { epsilon, ..self }
    }

    /// Whether there is a β; there is one by default.
    pub fn center(self, center: bool) -> Self {
        BatchNormalization { center, ..self }
    }

    /// Whether there is a γ; there is one by default.
    pub fn scale(self, scale: bool) -> Self {
        BatchNormalization { scale, ..self }
    }

    /// How γ starts; at one by default.
    pub fn gamma_initializer(self, gamma_initializer: Initializer) -> Self {
        BatchNormalization { gamma_initializer, ..self }
    }

    /// How β starts; at zero by default.
    pub fn beta_initializer(self, beta_initializer: Initializer) -> Self {
        BatchNormalization { beta_initializer, ..self }
    }

    /// Whether training changes the layer; it does by default. One that it does not change uses its moving averages, as in
    /// Keras.
    pub fn trainable(self, trainable: bool) -> Self {
        BatchNormalization { trainable, ..self }
    }

    /// What the learning rate is multiplied by for this layer's tensors; 1 by default. 0 is not frozen: the numbers stay, but
    /// their gradients are made, count in norms for clipping and move the optimizer's state, and regularizers count in
    /// the loss. For a layer that is not trained there is `trainable(false)`.
    pub fn learning_rate_factor(self, learning_rate_factor: f32) -> Self {
        BatchNormalization { learning_rate_factor, ..self }
    }
}

impl Describe for BatchNormalization {
    fn validate(&self, name: &str) -> Result<()> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::configuration(format!("layer {name}"), "a momentum from 0 to 1", self.momentum));
        }
        check_learning_rate_factor(name, self.learning_rate_factor)?;
        norm::check_epsilon(name, self.epsilon)
    }

    fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        norm::flat(name, input)
    }

    fn tensors(&self, input: &Shape) -> Vec<TensorSpec> {
        let mut tensors = norm::affine(
            input,
            [
                self.scale.then_some(("gamma", &self.gamma_initializer)),
                self.center.then_some(("beta", &self.beta_initializer)),
            ],
        );
        tensors.push(norm::vector("moving_mean", input, Initializer::Zeros, Kind::Moving));
        tensors.push(norm::vector("moving_variance", input, Initializer::Ones, Kind::Moving));
        tensors
    }

    fn is_trainable(&self) -> bool {
        self.trainable
    }

    fn learning_rate_factor(&self) -> f32 {
        self.learning_rate_factor
    }

    fn set_trainable(&mut self, trainable: bool) -> bool {
        self.trainable = trainable;
        true
    }
}
