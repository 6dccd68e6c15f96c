//! The description of a model: plain data that is validated when it is compiled.

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::layers::{Activation, Dense};
use crate::losses::{Loss, LossFunction};
use crate::model::Model;
use crate::optimizers::Optimizer;

/// The shape of one sample. Images are read row after row, as Keras's `Flatten` does.
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

/// A stack of layers, each fed by the one before.
///
/// ```
/// use wgrad::{Activation, Dense, Device, Loss, RmsProp, Sequential};
///
/// let model = Sequential::new(784)
///     .add(Dense::new(512).activation(Activation::Relu))
///     .add(Dense::new(10).activation(Activation::Softmax))
///     .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
/// assert_eq!(model.parameter_count(), 407_050);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequential {
    pub(crate) input: Shape,
    pub(crate) layers: Vec<Dense>,
    pub(crate) seed: u64,
}

impl Sequential {
    /// A stack without layers, for samples of the given shape. The seed of its initial weights is 0.
    pub fn new(input: impl Into<Shape>) -> Self {
        Sequential { input: input.into(), layers: Vec::new(), seed: 0 }
    }

    /// Puts a layer on top.
    #[allow(clippy::should_implement_trait, reason = "Keras's word, and nobody adds models up")]
    pub fn add(mut self, layer: Dense) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets the seed of the initial weights; 0 by default.
    pub fn seed(self, seed: u64) -> Self {
        Sequential { seed, ..self }
    }

    /// Checks everything, allocates on the device and initialises.
    ///
    /// # Errors
    /// [`Error::Configuration`] or [`Error::Shape`] naming the layer or setting that makes no sense; [`Error::Limit`] or
    /// [`Error::OutOfMemory`] if the device is too small.
    pub fn compile(
        self,
        device: &Device,
        optimizer: impl Into<Optimizer>,
        loss: impl Into<LossFunction>,
    ) -> Result<Model> {
        Model::new(self, device, optimizer.into(), loss.into())
    }

    /// The shape of one sample.
    pub fn input(&self) -> &Shape {
        &self.input
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Features in and out of each layer.
    pub(crate) fn widths(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let inputs = std::iter::once(self.input.features()).chain(self.layers.iter().map(|layer| layer.units));
        inputs.zip(self.layers.iter().map(|layer| layer.units))
    }

    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.units)
    }

    /// Whether the loss is computed from the last layer's sums rather than its activation.
    pub(crate) fn loss_takes_logits(&self, loss: &LossFunction) -> bool {
        loss.loss != Loss::MeanSquaredError
    }

    pub(crate) fn validate(&self, loss: &LossFunction) -> Result<()> {
        if self.input.features() == 0 {
            return Err(Error::configuration("input shape", "at least one feature", format!("{:?}", self.input.0)));
        }
        if self.input.features() > MAX_FEATURES {
            let expected = format!("at most {MAX_FEATURES} features");
            return Err(Error::configuration("input shape", expected, self.input.features()));
        }
        let Some(last) = self.layers.last() else {
            return Err(Error::configuration("model", "at least one layer", "none"));
        };
        for (index, layer) in self.layers.iter().enumerate() {
            validate_layer(index, layer)?;
        }
        // Whatever is counted later then fits in 64 bits, and each index in a shader's 32.
        for (index, (inputs, units)) in self.widths().enumerate() {
            let weights = inputs as u128 * units as u128;
            if weights > u128::from(u32::MAX) {
                let expected = format!("at most {} weights", u32::MAX);
                return Err(Error::configuration(format!("layer dense_{index}"), expected, weights));
            }
        }
        loss.validate()?;
        let wanted = match loss.loss {
            Loss::CategoricalCrossentropy => Activation::Softmax,
            Loss::BinaryCrossentropy => Activation::Sigmoid,
            Loss::MeanSquaredError => return Ok(()),
        };
        if last.activation == wanted || (loss.from_logits && last.activation == Activation::Linear) {
            return Ok(());
        }
        Err(Error::configuration(
            format!("{} after layer dense_{}", loss.loss, self.layers.len() - 1),
            format!("activation {wanted}, or linear with a loss that says from_logits"),
            last.activation,
        ))
    }
}

/// Features of a sample or units of a layer, at most: a kernel's loop takes four at a time, and software drivers end all
/// loops of an invocation after 65,535 turns without a word.
pub const MAX_FEATURES: usize = 4 * 65_000;

fn validate_layer(index: usize, layer: &Dense) -> Result<()> {
    if layer.units > MAX_FEATURES {
        let expected = format!("at most {MAX_FEATURES} units");
        return Err(Error::configuration(format!("layer dense_{index}"), expected, layer.units));
    }
    if layer.units == 0 {
        return Err(Error::configuration(format!("layer dense_{index}"), "at least one unit", 0));
    }
    if !(layer.l2.is_finite() && layer.l2 >= 0.0) {
        let expected = "an L2 coefficient that is not negative";
        return Err(Error::configuration(format!("layer dense_{index}"), expected, layer.l2));
    }
    match layer.activation {
        Activation::LeakyRelu(slope) | Activation::Elu(slope) if !(slope.is_finite() && slope >= 0.0) => {
            let expected = format!("a slope of {} that is not negative", layer.activation);
            Err(Error::configuration(format!("layer dense_{index}"), expected, slope))
        }
        _ => Ok(()),
    }
}
