//! The tensors that a layer has: all that layout, summary and files need to know of them.

use super::initializers::Initializer;
use super::regularizers::Regularizer;

/// One tensor of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorSpec {
    /// Its name within the layer: `kernel`, `bias`, …
    pub name: &'static str,
    /// \[in, out\], or \[out\].
    pub shape: Vec<usize>,
    /// How its numbers start.
    pub initializer: Initializer,
    /// What its size costs.
    pub regularizer: Regularizer,
    /// Who changes it.
    pub kind: Kind,
}

/// Who changes a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The optimizer, by its gradient.
    Trained,
    /// The forward pass in training: a moving average.
    Moving,
}
