//! Layer normalization: each sample's numbers get mean 0 and variance 1.

use serde::{Deserialize, Serialize};

use super::norm;
use crate::error::Result;
use crate::net::describe::{Describe, check_learning_rate_factor, is_one};
use crate::net::initializers::Initializer;
use crate::net::shape::Shape;
use crate::net::tensor::TensorSpec;

/// y = γ·(x − mean)/√(variance + ε) + β, mean and variance being those of a sample's numbers (Ba et al. 2016; Keras's
/// `LayerNormalization`). The variance is the biased one.
///
/// ```
/// use wgrad::{Dense, Device, LayerNormalization, Loss, Sequential, Sgd};
///
/// let model = Sequential::new(8)
///     .add(Dense::new(16).use_bias(false))
///     .add(LayerNormalization::new())
///     .add(Dense::new(1))
///     .compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// assert_eq!(model.parameter("layer_normalization_0.gamma")?, [1.0; 16]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerNormalization {
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

impl Default for LayerNormalization {
    fn default() -> Self {
        LayerNormalization {
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

impl LayerNormalization {
    /// Keras's defaults: ε 0.001, with γ and β, trainable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets ε, what is added to the variance; 0.001 by default.
    pub fn epsilon(self, epsilon: f32) -> Self {
        LayerNormalization { epsilon, ..self }
    }

    /// Whether there is a β; there is one by default.
    pub fn center(self, center: bool) -> Self {
        LayerNormalization { center, ..self }
    }

    /// Whether there is a γ; there is one by default.
    pub fn scale(self, scale: bool) -> Self {
        LayerNormalization { scale, ..self }
    }

    /// How γ starts; at one by default.
    pub fn gamma_initializer(self, gamma_initializer: Initializer) -> Self {
        LayerNormalization { gamma_initializer, ..self }
    }

    /// How β starts; at zero by default.
    pub fn beta_initializer(self, beta_initializer: Initializer) -> Self {
        LayerNormalization { beta_initializer, ..self }
    }

    /// Whether training changes γ and β; it does by default.
    pub fn trainable(self, trainable: bool) -> Self {
        LayerNormalization { trainable, ..self }
    }

    /// What the learning rate is multiplied by for this layer's tensors; 1 by default. 0 is not frozen: the numbers stay, but
    /// their gradients are made, count in norms for clipping and move the optimizer's state, and regularizers count in
    /// the loss. For a layer that is not trained there is `trainable(false)`.
    pub fn learning_rate_factor(self, learning_rate_factor: f32) -> Self {
        LayerNormalization { learning_rate_factor, ..self }
    }
}

impl Describe for LayerNormalization {
    fn validate(&self, name: &str) -> Result<()> {
        check_learning_rate_factor(name, self.learning_rate_factor)?;
        norm::check_epsilon(name, self.epsilon)
    }

    fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        norm::flat(name, input)
    }

    fn tensors(&self, input: &Shape) -> Vec<TensorSpec> {
        norm::affine(
            input,
            [
                self.scale.then_some(("gamma", &self.gamma_initializer)),
                self.center.then_some(("beta", &self.beta_initializer)),
            ],
        )
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
