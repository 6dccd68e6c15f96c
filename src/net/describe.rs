//! What every layer says of itself.

use super::activation::Activation;
use super::shape::Shape;
use super::tensor::TensorSpec;
use crate::error::Result;

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
