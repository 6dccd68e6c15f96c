//! Flatten: several dimensions become one. The numbers stay where they are, so it costs nothing.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::net::describe::Describe;
use crate::net::shape::Shape;

/// Makes one row of samples of several dimensions, row after row, as Keras's `Flatten` does. A `Dense` that is the first
/// layer does so by itself.
///
/// ```
/// use wgrad::{Dense, Device, Flatten, Loss, Rescaling, Sequential, Sgd};
///
/// let model = Sequential::new([28, 28])
///     .add(Rescaling::new(1.0 / 255.0))
///     .add(Flatten)
///     .add(Dense::new(10))
///     .compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// assert_eq!(model.parameter_count(), 7850);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flatten;

impl Describe for Flatten {
    fn output_shape(&self, _name: &str, input: &Shape) -> Result<Shape> {
        Ok(input.features().into())
    }

    fn is_identity(&self) -> bool {
        true
    }
}
