//! Dropout: in training, a share of the numbers becomes zero.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::describe::Describe;

/// Drops a share of the numbers in training, each for itself, and makes the others larger by 1 / (1 − share), so that their
/// sum is to be expected as before (Srivastava et al. 2014; Keras's `Dropout`). In evaluation and prediction it does nothing.
///
/// Which numbers are dropped follows from the model's seed, the layer's place, and how many batches the model has seen: the
/// same on every device, and after a resume.
///
/// ```
/// use wgrad::{Activation, Dense, Device, Dropout, Loss, RmsProp, Sequential};
///
/// let model = Sequential::new(784)
///     .add(Dense::new(512).activation(Activation::Relu))
///     .add(Dropout::new(0.2))
///     .add(Dense::new(10).activation(Activation::Softmax))
///     .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
/// # let _ = model;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    pub(crate) rate: f32,
}

impl Dropout {
    /// Drops this share of the numbers, from 0 up to, not including, 1.
    pub fn new(rate: f32) -> Self {
        Dropout { rate }
    }
}

impl Describe for Dropout {
    fn validate(&self, name: &str) -> Result<()> {
        if (0.0..1.0).contains(&self.rate) {
            return Ok(());
        }
        let expected = "a rate from 0 up to, not including, 1";
        Err(Error::configuration(format!("layer {name}"), expected, self.rate))
    }
}
