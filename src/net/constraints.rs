//! What a tensor's numbers are held to after each update.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What is done to a tensor's numbers after each batch of training, as Keras does it. A norm is that of a unit's incoming
/// weights, a column of a kernel (Keras's axis 0); of a bias it is that of the whole bias. 10⁻⁷ is added to a norm that
/// divides.
///
/// ```
/// use wgrad::{Constraint, Dense};
///
/// let layer = Dense::new(10).kernel_constraint(Constraint::max_norm(3.0)).bias_constraint(Constraint::NonNeg);
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Constraint {
    /// Nothing; the default.
    #[default]
    None,
    /// What is below zero becomes zero.
    NonNeg,
    /// A norm n becomes min(n, max_value).
    MaxNorm {
        /// The largest norm.
        max_value: f32,
    },
    /// Every norm becomes 1.
    UnitNorm,
    /// A norm n becomes rate·clip(n, min_value, max_value) + (1 − rate)·n.
    MinMaxNorm {
        /// The least norm.
        min_value: f32,
        /// The largest norm.
        max_value: f32,
        /// How much of the way is gone at once.
        rate: f32,
    },
}

impl Constraint {
    /// Norms of at most this; 2 is Keras's default.
    pub fn max_norm(max_value: f32) -> Self {
        Constraint::MaxNorm { max_value }
    }

    /// Norms from one to the other, at once; 0 and 1 are Keras's defaults.
    pub fn min_max_norm(min_value: f32, max_value: f32) -> Self {
        Constraint::MinMaxNorm { min_value, max_value, rate: 1.0 }
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Constraint::None
    }

    pub(crate) fn validate(&self, layer: &str) -> Result<()> {
        let norm = |value: f32| value.is_finite() && value >= 0.0;
        let (expected, good) = match *self {
            Constraint::None | Constraint::NonNeg | Constraint::UnitNorm => return Ok(()),
            Constraint::MaxNorm { max_value } => ("a max_value that is not negative", norm(max_value)),
            Constraint::MinMaxNorm { min_value, max_value, rate } => (
                "min_value from 0 up to max_value, and a rate from 0 to 1",
                norm(min_value) && norm(max_value) && min_value <= max_value && (0.0..=1.0).contains(&rate),
            ),
        };
        if good { Ok(()) } else { Err(Error::configuration(format!("layer {layer}"), expected, format!("{self:?}"))) }
    }
}
