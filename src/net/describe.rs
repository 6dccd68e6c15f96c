//! What every layer says of itself.

use super::activation::Activation;
use super::constraints::Constraint;
use super::shape::Shape;
use super::tensor::TensorSpec;
use crate::error::{Error, Result};

/// What a layer says of itself. `name` is its own, for messages: `dense_0`.
pub(crate) trait Describe {
    /// Whether its settings make sense.
    fn validate(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    /// The shape of what it makes of a sample of shape `input`.
    fn output_shape(&self, _name: &str, input: &Shape) -> Result<Shape> {
        Ok(input.clone())
    }

    /// Its tensors, in the order in which they lie.
    fn tensors(&self, _input: &Shape) -> Vec<TensorSpec> {
        Vec::new()
    }

    /// Whether training changes its tensors.
    fn is_trainable(&self) -> bool {
        true
    }

    /// What the learning rate is multiplied by for its tensors.
    fn learning_rate_factor(&self) -> f32 {
        1.0
    }

    /// What one of its tensors is held to.
    fn constraint(&self, _tensor: &str) -> Constraint {
        Constraint::None
    }

    /// Says whether training changes its tensors; `false` from a kind that never has any.
    fn set_trainable(&mut self, _trainable: bool) -> bool {
        false
    }

    /// The activation that it ends with.
    fn activation(&self) -> Activation {
        Activation::Linear
    }

    /// Whether it hands on its input as it is.
    fn is_identity(&self) -> bool {
        false
    }
}

/// What a learning rate may be multiplied by.
pub(crate) fn check_learning_rate_factor(layer: &str, factor: f32) -> Result<()> {
    if factor.is_finite() && factor >= 0.0 {
        return Ok(());
    }
    let expected = "a learning_rate_factor that is not negative";
    Err(Error::configuration(format!("layer {layer}"), expected, factor))
}

/// The factor of a layer that says nothing.
pub(crate) fn one() -> f32 {
    1.0
}

/// Files are told what is unusual.
pub(crate) fn is_one(factor: &f32) -> bool {
    *factor == 1.0
}
