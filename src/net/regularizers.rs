//! Penalties on the size of parameters.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What is added to the loss for each number w of a tensor: l1·|w| + l2·w². Keras's `L1`, `L2` and `L1L2`.
///
/// ```
/// use wgrad::{Dense, Regularizer};
///
/// let layer = Dense::new(10).kernel_regularizer(Regularizer::l1_l2(1e-5, 1e-4)).bias_regularizer(Regularizer::l2(1e-4));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Regularizer {
    /// The factor of |w|; 0 for none.
    pub l1: f32,
    /// The factor of w²; 0 for none.
    pub l2: f32,
}

impl Regularizer {
    /// None at all; the default.
    pub const NONE: Regularizer = Regularizer { l1: 0.0, l2: 0.0 };

    /// l1·Σ |w|.
    pub fn l1(l1: f32) -> Self {
        Regularizer { l1, l2: 0.0 }
    }

    /// l2·Σ w².
    pub fn l2(l2: f32) -> Self {
        Regularizer { l1: 0.0, l2 }
    }

    /// Both.
    pub fn l1_l2(l1: f32, l2: f32) -> Self {
        Regularizer { l1, l2 }
    }

    /// Whether nothing is added.
    pub fn is_none(&self) -> bool {
        *self == Regularizer::NONE
    }

    pub(crate) fn validate(&self, layer: &str) -> Result<()> {
        for (name, factor) in [("L1", self.l1), ("L2", self.l2)] {
            if !(factor.is_finite() && factor >= 0.0) {
                let expected = format!("an {name} coefficient that is not negative");
                return Err(Error::configuration(format!("layer {layer}"), expected, factor));
            }
        }
        Ok(())
    }
}
