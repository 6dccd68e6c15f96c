//! The description of a model: a stack of layers, as plain data that is validated when it is compiled.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::layer::Layer;
use super::losses::{LossFunction, Wanted};
use super::shape::{MAX_FEATURES, Shape};
use super::tensor::TensorSpec;
use crate::error::{Error, Result};

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
    pub(crate) layers: Vec<Layer>,
    pub(crate) seed: u64,
}

/// A layer in its place: its name, what goes in and what comes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    /// Type and ordinal among the layers of that type: `dense_1`.
    pub name: String,
    pub input: Shape,
    pub output: Shape,
    pub tensors: Vec<TensorSpec>,
}

impl Sequential {
    /// A stack without layers, for samples of the given shape. The seed of its initial weights is 0.
    pub fn new(input: impl Into<Shape>) -> Self {
        Sequential { input: input.into(), layers: Vec::new(), seed: 0 }
    }

    /// Puts a layer on top: a [`Dense`](crate::Dense), an [`Activation`], or any other [`Layer`].
    #[allow(clippy::should_implement_trait, reason = "Keras's word, and nobody adds models up")]
    pub fn add(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// Takes the last layer off, as Keras's `pop` does: what is left, with another layer on top, is how a model is trained on
    /// for something else ([`Model::copy_layers`](crate::Model::copy_layers)).
    ///
    /// ```
    /// use wgrad::{Dense, Sequential};
    ///
    /// let net = Sequential::new(4).add(Dense::new(8)).add(Dense::new(3));
    /// assert_eq!(net.pop().add(Dense::new(2)).layers().len(), 2);
    /// ```
    pub fn pop(mut self) -> Self {
        self.layers.pop();
        self
    }

    /// Says of a layer, by its name, whether training changes its tensors. Of a compiled model
    /// [`Model::set_trainable`](crate::Model::set_trainable) says it.
    ///
    /// # Errors
    /// [`Error::Configuration`] if no layer with tensors has that name.
    pub fn set_trainable(&mut self, name: &str, trainable: bool) -> Result<()> {
        let names = self.names();
        let found = self.layers.iter_mut().zip(&names).find(|(_, own)| *own == name);
        if found.is_some_and(|(layer, _)| layer.set_trainable(trainable)) {
            return Ok(());
        }
        // Whether a layer can be told so does not depend on what it is told, nor does it change a copy.
        let can = |layer: &Layer| layer.clone().set_trainable(true);
        let known: Vec<_> =
            self.layers.iter().zip(names).filter(|(layer, _)| can(layer)).map(|(_, name)| name).collect();
        let expected = format!("the name of a layer that can be trained: {}", known.join(", "));
        Err(Error::configuration("trainable layer", expected, format!("{name:?}")))
    }

    /// Sets the seed of the initial weights; 0 by default.
    pub fn seed(self, seed: u64) -> Self {
        Sequential { seed, ..self }
    }

    /// The shape of one sample.
    pub fn input(&self) -> &Shape {
        &self.input
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The names of the layers: type and ordinal among the layers of that type.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let name = |layer: &Layer| {
            let count = counts.entry(layer.type_name()).or_default();
            *count += 1;
            format!("{}_{}", layer.type_name(), *count - 1)
        };
        self.layers.iter().map(name).collect()
    }

    /// Every layer in its place.
    ///
    /// # Errors
    /// [`Error::Shape`] if a layer cannot take what the one before makes.
    pub(crate) fn placed(&self) -> Result<Vec<Placed>> {
        let mut input = self.input.clone();
        let mut placed = Vec::new();
        for (index, (layer, name)) in self.layers.iter().zip(self.names()).enumerate() {
            if index == 0 && matches!(layer, Layer::Dense(_)) {
                input = input.features().into(); // As if there were a Flatten.
            }
            let output = layer.output_shape(&name, &input)?;
            let tensors = layer.tensors(&input);
            placed.push(Placed { name, input, output: output.clone(), tensors });
            input = output;
        }
        Ok(placed)
    }

    /// The layer whose activation the loss takes upon itself, softmax or sigmoid at the end of the stack: the loss is computed
    /// from what goes into it.
    pub(crate) fn logits_layer(&self, loss: &LossFunction) -> Option<usize> {
        let wanted = loss.loss.activation()?;
        let last = self.last_layer()?;
        (self.layers[last].activation() == wanted).then_some(last)
    }

    /// The last layer that does anything.
    fn last_layer(&self) -> Option<usize> {
        self.layers.iter().rposition(|layer| !layer.is_identity())
    }

    /// The activation that the stack ends with.
    pub(crate) fn last_activation(&self) -> Activation {
        self.last_layer().map_or(Activation::Linear, |last| self.layers[last].activation())
    }

    pub(crate) fn validate(&self, loss: &LossFunction) -> Result<()> {
        if self.input.features() == 0 {
            return Err(Error::configuration("input shape", "at least one feature", &self.input));
        }
        if self.input.features() > MAX_FEATURES {
            let expected = format!("at most {MAX_FEATURES} features");
            return Err(Error::configuration("input shape", expected, self.input.features()));
        }
        if self.layers.is_empty() {
            return Err(Error::configuration("model", "at least one layer", "none"));
        }
        for (layer, name) in self.layers.iter().zip(self.names()) {
            layer.validate(&name)?;
        }
        let placed = self.placed()?;
        // Whatever is counted later then fits in 64 bits, and each index in a shader's 32.
        for Placed { name, tensors, .. } in &placed {
            for tensor in tensors {
                tensor.initializer.validate(&format!("{name}.{}", tensor.name), &tensor.shape)?;
            }
            let sizes = tensors.iter().map(|tensor| tensor.shape.iter().map(|&size| size as u128).product::<u128>());
            let weights = sizes.max().unwrap_or(0);
            if weights > u128::from(u32::MAX) {
                let expected = format!("at most {} weights", u32::MAX);
                return Err(Error::configuration(format!("layer {name}"), expected, weights));
            }
        }
        loss.validate()?;
        self.check_ending(loss, &placed)
    }

    /// Whether the loss can follow what the stack ends with.
    fn check_ending(&self, loss: &LossFunction, placed: &[Placed]) -> Result<()> {
        let name = self.last_layer().or(placed.len().checked_sub(1)).map_or("none", |last| placed[last].name.as_str());
        let outputs = placed.last().map_or(0, |placed| placed.output.features());
        if loss.loss.targets() == Wanted::Distribution && outputs == 1 {
            let found =
                "1, whose share of the whole is always 1; for two classes end in sigmoid with binary_crossentropy";
            return Err(Error::configuration(format!("{} after layer {name}", loss.loss), "2 outputs or more", found));
        }
        let Some(wanted) = loss.loss.activation() else { return Ok(()) };
        let last = self.last_activation();
        if last == wanted || (loss.from_logits && last == Activation::Linear) {
            return Ok(());
        }
        let found = match (wanted, last) {
            (Activation::Sigmoid, Activation::Softmax) => "softmax, which goes with categorical_crossentropy".into(),
            (Activation::Softmax, Activation::Sigmoid) => "sigmoid, which goes with binary_crossentropy".into(),
            _ => last.to_string(),
        };
        Err(Error::configuration(
            format!("{} after layer {name}", loss.loss),
            format!("activation {wanted}, or linear with a loss that says from_logits"),
            found,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::layers::{ActivationLayer, Dense, Flatten, Rescaling};
    use crate::net::losses::Loss;

    #[test]
    fn names_count_the_layers_of_a_type() {
        let net = Sequential::new([2, 3])
            .add(Rescaling::new(2.0))
            .add(Flatten)
            .add(Dense::new(4))
            .add(Activation::Relu)
            .add(Dense::new(2));
        assert_eq!(net.names(), ["rescaling_0", "flatten_0", "dense_0", "activation_0", "dense_1"]);
        let shapes: Vec<_> = net.placed().unwrap().iter().map(|placed| placed.output.to_string()).collect();
        assert_eq!(shapes, ["[2, 3]", "[6]", "[4]", "[4]", "[2]"]);
    }

    #[test]
    fn only_a_first_dense_flattens_by_itself() {
        let first = Sequential::new([2, 3]).add(Dense::new(4)).placed().unwrap();
        assert_eq!((first[0].input.features(), first[0].tensors[0].shape.clone()), (6, vec![6, 4]));
        let later = Sequential::new([2, 3]).add(Rescaling::new(1.0)).add(Dense::new(4));
        let error = later.placed().unwrap_err().to_string();
        assert!(error.contains("layer dense_0") && error.contains("Flatten") && error.contains("[2, 3]"), "{error}");
        let softmax = Sequential::new([2, 3]).add(Activation::Softmax).placed().unwrap_err().to_string();
        assert!(softmax.contains("layer activation_0") && softmax.contains("Flatten"), "{softmax}");
    }

    #[test]
    fn a_cross_entropy_takes_the_last_activation_upon_itself_wherever_it_stands() {
        let loss = LossFunction::from(Loss::CategoricalCrossentropy);
        let inside = Sequential::new(2).add(Dense::new(3).activation(Activation::Softmax));
        assert_eq!(inside.logits_layer(&loss), Some(0));
        let apart = Sequential::new(2).add(Dense::new(3)).add(Activation::Softmax).add(Flatten);
        assert_eq!(apart.logits_layer(&loss), Some(1));
        assert!(apart.validate(&loss).is_ok());
        let linear = Sequential::new(2).add(Dense::new(3)).add(ActivationLayer::new(Activation::Linear));
        assert_eq!(linear.logits_layer(&loss), None);
        let refused = linear.validate(&loss).unwrap_err().to_string();
        assert!(refused.contains("after layer dense_0") && refused.contains("found linear"), "{refused}");
        assert!(linear.validate(&loss.from_logits()).is_ok());
        assert_eq!(inside.logits_layer(&Loss::MeanSquaredError.into()), None);
    }
}
