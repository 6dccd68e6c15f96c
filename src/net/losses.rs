//! Losses as plain data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use crate::error::{Error, Result};

/// What training makes small. Each is a mean over the batch, as in Keras.
///
/// Targets may be class ids (then they stand for one-hot rows) or rows of numbers.
///
/// ```
/// use wgrad::Loss;
///
/// let smoothed = Loss::CategoricalCrossentropy.label_smoothing(0.1);
/// let from_scores = Loss::BinaryCrossentropy.from_logits();
/// # let _ = (smoothed, from_scores);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// −Σ t·log p over the classes. The model ends in softmax, or says [`from_logits`](Loss::from_logits); either way the
    /// loss is computed from the logits, and is finite for logits of any size.
    CategoricalCrossentropy,
    /// −(t·log p + (1 − t)·log(1 − p)), mean over the outputs. The model ends in sigmoid, or says
    /// [`from_logits`](Loss::from_logits). Accuracy asks on which side of one half the one output lies; with several
    /// outputs, as in Keras, whether the largest stands where the largest target does.
    BinaryCrossentropy,
    /// (y − t)², mean over the outputs.
    MeanSquaredError,
}

impl Loss {
    /// Softens the targets by a share s from 0, the default, up to, not including, 1: t·(1 − s) + s/classes, or t·(1 −
    /// s) + s/2 for binary cross-entropy, as in Keras. Only training sees it, so that evaluation measures the targets
    /// themselves; Keras's `evaluate` smooths too. Mean squared error spreads the share as if there were classes.
    pub fn label_smoothing(self, smoothing: f32) -> LossFunction {
        LossFunction { label_smoothing: smoothing, ..self.into() }
    }

    /// Says that a linear output gives logits, so that cross-entropy may follow it; `predict` then returns logits.
    pub fn from_logits(self) -> LossFunction {
        LossFunction { from_logits: true, ..self.into() }
    }
}

impl Loss {
    /// The activation before the loss that it takes upon itself: it is computed from the logits, in one stable formula.
    pub(crate) fn activation(self) -> Option<Activation> {
        match self {
            Loss::CategoricalCrossentropy => Some(Activation::Softmax),
            Loss::BinaryCrossentropy => Some(Activation::Sigmoid),
            Loss::MeanSquaredError => None,
        }
    }
}

/// A [`Loss`] with its options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossFunction {
    /// Which loss.
    pub loss: Loss,
    /// The share that is taken off the right class and spread over all; 0 by default.
    pub label_smoothing: f32,
    /// Whether a linear output counts as logits.
    pub from_logits: bool,
}

impl LossFunction {
    /// See [`Loss::label_smoothing`].
    pub fn label_smoothing(self, smoothing: f32) -> Self {
        LossFunction { label_smoothing: smoothing, ..self }
    }

    /// See [`Loss::from_logits`].
    pub fn from_logits(self) -> Self {
        LossFunction { from_logits: true, ..self }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.loss == Loss::MeanSquaredError && self.label_smoothing != 0.0 {
            return Err(Error::configuration("label smoothing", "a cross-entropy", self.loss));
        }
        if (0.0..1.0).contains(&self.label_smoothing) {
            return Ok(());
        }
        Err(Error::configuration("label smoothing", "a share from 0 up to, not including, 1", self.label_smoothing))
    }
}

impl From<Loss> for LossFunction {
    fn from(loss: Loss) -> Self {
        LossFunction { loss, label_smoothing: 0.0, from_logits: false }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "categorical_crossentropy" => Ok(Loss::CategoricalCrossentropy),
            "binary_crossentropy" => Ok(Loss::BinaryCrossentropy),
            "mean_squared_error" => Ok(Loss::MeanSquaredError),
            _ => Err(Error::configuration(
                "loss",
                "categorical_crossentropy, binary_crossentropy or mean_squared_error",
                format!("{name:?}"),
            )),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::CategoricalCrossentropy => "categorical_crossentropy",
            Loss::BinaryCrossentropy => "binary_crossentropy",
            Loss::MeanSquaredError => "mean_squared_error",
        })
    }
}
