//! Where a training stands: what decides which samples make which step, and how far it has come. A model keeps that of its
//! last `fit`, and files hold it with the optimizer's state, so that the training goes on in another process as if it had
//! never stopped.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::data::AnyDataset;
use crate::error::{Error, Result};
use crate::kernels::storage::Precision;

/// A training, between two of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingState {
    /// Epochs of the whole training.
    pub epochs: usize,
    pub batch_size: usize,
    pub shuffle: bool,
    pub seed: u64,
    /// The number of the first epoch's order.
    pub first_epoch: usize,
    pub validation_split: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f32>>,
    /// Samples of an epoch.
    pub samples: usize,
    /// Samples of a block and of the shuffle buffer, if they are streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<(usize, usize)>,
    pub precision: Precision,
    pub fused: bool,
    /// What the model had seen then: if it has seen other batches since, the training cannot go on from it.
    pub batches: u32,
    /// Whole epochs that are done.
    pub epoch: usize,
    /// Steps of the next one that are done.
    pub step: usize,
    /// What the figures of those steps add up to, as the bits of an f64 each: JSON has no NaN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<u64>,
    /// What the callbacks remember that remember something, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<String>,
}

impl TrainingState {
    /// Takes down that `step` of an epoch's `steps` steps are done, whose figures add up to `sums`.
    pub fn reached(&mut self, step: usize, steps: usize, sums: &[f64]) {
        if step >= steps {
            (self.epoch, self.step, self.sums) = (self.epoch + 1, 0, Vec::new());
        } else {
            (self.step, self.sums) = (step, sums.iter().map(|sum| sum.to_bits()).collect());
        }
    }

    /// The sums of the epoch under way.
    pub fn sums(&self) -> Vec<f64> {
        self.sums.iter().map(|&bits| f64::from_bits(bits)).collect()
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> usize {
        self.samples.div_ceil(self.batch_size.clamp(1, self.samples.max(1)))
    }

    /// Whether a training with what is given now is this one; it says what differs.
    pub fn check(&self, given: &TrainingState) -> Result<()> {
        differs("samples of an epoch", self.samples, given.samples)?;
        differs("batch size", self.batch_size, given.batch_size)?;
        differs("shuffling", self.shuffle, given.shuffle)?;
        differs("seed", self.seed, given.seed)?;
        differs("initial epoch", self.first_epoch, given.first_epoch)?;
        differs("class weights", &self.class_weight, &given.class_weight)?;
        differs("block size and shuffle buffer of a streamed set", self.stream, given.stream)?;
        differs("precision (Model::set_precision)", self.precision, given.precision)?;
        differs("fusion (Model::set_fusion)", self.fused, given.fused)?;
        differs("training batches of the model", self.batches, given.batches)?;
        if self.step < self.steps() {
            return Ok(());
        }
        let expected = format!("fewer than {} steps of the epoch", self.steps());
        Err(Error::configuration("training to be resumed", expected, self.step))
    }
}

fn differs<T: PartialEq + Debug>(what: &str, expected: T, found: T) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let what = format!("training to be resumed: {what}");
    Err(Error::configuration(what, format!("{expected:?}"), format!("{found:?}")))
}

/// The sizes that decide in which order a streamed set is read.
pub(crate) fn stream_of(data: &AnyDataset) -> Option<(usize, usize)> {
    match data {
        AnyDataset::InMemory(_) => None,
        AnyDataset::Streamed(data) => Some(data.sizes()),
    }
}
