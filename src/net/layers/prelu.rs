//! PReLU: a leaky ReLU whose slopes are trained.

use serde::{Deserialize, Serialize};

use super::norm;
use crate::error::Result;
use crate::net::describe::Describe;
use crate::net::initializers::Initializer;
use crate::net::regularizers::Regularizer;
use crate::net::shape::Shape;
use crate::net::tensor::{Kind, TensorSpec};

/// y = x above zero and α·x below, with an α of its own for each feature, which is trained (He et al. 2015; Keras's `PReLU`).
///
/// ```
/// use wgrad::{Dense, Device, Initializer, Loss, Prelu, Sequential, Sgd};
///
/// let model = Sequential::new(8)
///     .add(Dense::new(16))
///     .add(Prelu::new().alpha_initializer(Initializer::Constant(0.25)))
///     .add(Dense::new(1))
///     .compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// assert_eq!(model.parameter("prelu_0.alpha")?, [0.25; 16]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prelu {
    pub(crate) alpha_initializer: Initializer,
    pub(crate) alpha_regularizer: Regularizer,
    pub(crate) trainable: bool,
}

impl Default for Prelu {
    fn default() -> Self {
        Prelu { alpha_initializer: Initializer::Zeros, alpha_regularizer: Regularizer::NONE, trainable: true }
    }
}

impl Prelu {
    /// Keras's defaults: each α starts at zero, and is trained.
    pub fn new() -> Self {
        Self::default()
    }

    /// How α starts; at zero by default.
    pub fn alpha_initializer(self, alpha_initializer: Initializer) -> Self {
        Prelu { alpha_initializer, ..self }
    }

    /// What the size of α costs; nothing by default.
    pub fn alpha_regularizer(self, alpha_regularizer: Regularizer) -> Self {
        Prelu { alpha_regularizer, ..self }
    }

    /// Whether training changes α; it does by default.
    pub fn trainable(self, trainable: bool) -> Self {
        Prelu { trainable, ..self }
    }
}

impl Describe for Prelu {
    fn validate(&self, name: &str) -> Result<()> {
        self.alpha_regularizer.validate(name)
    }

    fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        norm::flat(name, input)
    }

    fn tensors(&self, input: &Shape) -> Vec<TensorSpec> {
        let alpha = norm::vector("alpha", input, self.alpha_initializer.clone(), Kind::Trained);
        vec![TensorSpec { regularizer: self.alpha_regularizer, ..alpha }]
    }

    fn is_trainable(&self) -> bool {
        self.trainable
    }

    fn set_trainable(&mut self, trainable: bool) -> bool {
        self.trainable = trainable;
        true
    }
}
