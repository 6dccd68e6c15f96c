//! The shape of one sample.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shape of one sample. Numbers lie row after row, the last dimension next to each other.
///
/// ```
/// use wgrad::Shape;
///
/// assert_eq!(Shape::from([28, 28]).features(), 784);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Numbers in a sample; `usize::MAX` if there are more.
    pub fn features(&self) -> usize {
        self.0.iter().fold(1, |features, &size| features.saturating_mul(size))
    }

    /// The sizes of its dimensions.
    pub fn dimensions(&self) -> &[usize] {
        &self.0
    }

    /// Whether a sample is one row of numbers.
    pub(crate) fn is_flat(&self) -> bool {
        self.0.len() == 1
    }
}

/// As Python writes it: `[28, 28]`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<usize> for Shape {
    fn from(features: usize) -> Self {
        Shape(vec![features])
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dimensions: [usize; N]) -> Self {
        Shape(dimensions.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dimensions: &[usize]) -> Self {
        Shape(dimensions.to_vec())
    }
}

/// Features of a sample or units of a layer, at most: a kernel's loop takes four at a time, and software drivers end all
/// loops of an invocation after 65,535 turns without a word.
pub const MAX_FEATURES: usize = 4 * 65_000;
