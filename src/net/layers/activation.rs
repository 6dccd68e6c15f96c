//! An activation as a layer of its own.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::activation::Activation;
use crate::net::describe::Describe;
use crate::net::shape::Shape;

/// An activation as a layer of its own, Keras's `Activation`: `.add(Activation::Relu)` makes one. After a
/// [`Dense`](crate::Dense) it costs what the same activation in the layer does.
///
/// ```
/// use wgrad::{Activation, Dense, Device, Loss, Sequential, Sgd};
///
/// let model = Sequential::new(2)
///     .add(Dense::new(3))
///     .add(Activation::Softmax)
///     .compile(&Device::cpu(), Sgd::default(), Loss::CategoricalCrossentropy)?;
/// assert!(model.summary().contains("activation_0 (Activation)"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivationLayer {
    pub(crate) activation: Activation,
}

impl ActivationLayer {
    /// y = f(x).
    pub fn new(activation: Activation) -> Self {
        ActivationLayer { activation }
    }
}

impl Describe for ActivationLayer {
    fn validate(&self, name: &str) -> Result<()> {
        self.activation.validate(name)
    }

    fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        if self.activation == Activation::Softmax && !input.is_flat() {
            let expected = "samples of one dimension for softmax; put Flatten before it";
            return Err(Error::shape(format!("layer {name}"), expected, format!("shape {input}")));
        }
        Ok(input.clone())
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn is_identity(&self) -> bool {
        self.activation == Activation::Linear
    }
}
