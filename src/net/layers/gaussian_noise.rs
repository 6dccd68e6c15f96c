//! Gaussian noise: in training, normal numbers are added.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::describe::Describe;

/// Adds normal numbers of this standard deviation in training, one to each number (Keras's `GaussianNoise`). In evaluation and
/// prediction it does nothing. Gradients pass as they are.
///
/// Which numbers these are follows from the model's seed, the layer's place, and how many batches the model has seen, as for
/// [`Dropout`](crate::Dropout). No number is further from zero than 5.77 deviations.
///
/// ```
/// use wgrad::{Dense, Device, GaussianNoise, Loss, Sequential, Sgd};
///
/// let model = Sequential::new(8)
///     .add(GaussianNoise::new(0.1))
///     .add(Dense::new(1))
///     .compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// assert_eq!(model.parameter_count(), 9);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianNoise {
    pub(crate) stddev: f32,
}

impl GaussianNoise {
    /// Noise of this standard deviation, which is not negative.
    pub fn new(stddev: f32) -> Self {
        GaussianNoise { stddev }
    }
}

impl Describe for GaussianNoise {
    fn validate(&self, name: &str) -> Result<()> {
        if self.stddev.is_finite() && self.stddev >= 0.0 {
            return Ok(());
        }
        Err(Error::configuration(format!("layer {name}"), "a finite stddev that is not negative", self.stddev))
    }
}
