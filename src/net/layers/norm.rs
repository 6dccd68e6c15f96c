//! What the normalizations share.

use crate::error::{Error, Result};
use crate::net::initializers::Initializer;
use crate::net::regularizers::Regularizer;
use crate::net::shape::Shape;
use crate::net::tensor::{Kind, TensorSpec};

/// A vector of one number a feature.
pub(super) fn vector(name: &'static str, input: &Shape, initializer: Initializer, kind: Kind) -> TensorSpec {
    TensorSpec { name, shape: vec![input.features()], initializer, regularizer: Regularizer::NONE, kind }
}

/// γ and β, as far as there are any, each with how it starts.
pub(super) fn affine(input: &Shape, tensors: [Option<(&'static str, &Initializer)>; 2]) -> Vec<TensorSpec> {
    let specs = tensors.into_iter().flatten();
    specs.map(|(name, initializer)| vector(name, input, initializer.clone(), Kind::Trained)).collect()
}

pub(super) fn check_epsilon(layer: &str, epsilon: f32) -> Result<()> {
    if epsilon.is_finite() && epsilon > 0.0 {
        return Ok(());
    }
    Err(Error::configuration(format!("layer {layer}"), "an epsilon above 0", epsilon))
}

/// Keras normalizes along the last dimension alone, which is not what is done with all of a sample's numbers.
pub(super) fn flat(layer: &str, input: &Shape) -> Result<Shape> {
    if input.is_flat() {
        return Ok(input.clone());
    }
    let expected = "samples of one dimension; put Flatten before it";
    Err(Error::shape(format!("layer {layer}"), expected, format!("shape {input}")))
}
