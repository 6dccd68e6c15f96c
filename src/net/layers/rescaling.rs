//! Rescaling: y = scale·x + offset.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::describe::Describe;

/// y = scale·x + offset, number by number, as Keras's `Rescaling`: `Rescaling::new(1.0 / 255.0)` makes shares of bytes.
///
/// ```
/// use wgrad::{Dense, Device, Loss, Rescaling, Sequential, Sgd};
///
/// let net = Sequential::new(2).add(Rescaling::new(0.5).offset(-1.0));
/// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// assert_eq!(model.predict(&vec![2.0, 4.0])?, [0.0, 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescaling {
    pub(crate) scale: f32,
    #[serde(default)]
    pub(crate) offset: f32,
}

impl Rescaling {
    /// Multiplies by `scale`; the offset is 0.
    pub fn new(scale: f32) -> Self {
        Rescaling { scale, offset: 0.0 }
    }

    /// Sets what is added; 0 by default.
    pub fn offset(self, offset: f32) -> Self {
        Rescaling { offset, ..self }
    }
}

impl Describe for Rescaling {
    fn validate(&self, name: &str) -> Result<()> {
        for (what, value) in [("scale", self.scale), ("offset", self.offset)] {
            if !value.is_finite() {
                return Err(Error::configuration(format!("layer {name}"), format!("a finite {what}"), value));
            }
        }
        Ok(())
    }
}
