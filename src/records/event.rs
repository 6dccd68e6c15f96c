//! What an observer of a training is told.

use crate::records::history::EpochRecord;
use crate::records::metrics::Score;

/// The figures of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// How many epochs there are.
    pub epochs: usize,
    /// Which step of the epoch, counted from 1.
    pub step: usize,
    /// How many steps an epoch has.
    pub steps: usize,
    /// This step's mean loss before its update, L2 penalty included.
    pub loss: f64,
    /// The learning rate of this batch.
    pub learning_rate: f32,
    /// Mean loss and accuracy of the epoch so far; metrics come with the epoch's end.
    pub so_far: Score,
    /// Samples seen in this epoch so far.
    pub samples: usize,
    /// Seconds since the epoch began; 0 without a clock.
    pub seconds: f64,
}

/// What happened in a training.
///
/// Many steps go to the device at once, so step events come in bursts; none is left out, and their order is kept. An
/// observer that answers `ControlFlow::Break` ends the training; steps that are on the device already still count.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A step is done.
    Step(StepRecord),
    /// An epoch is done, validation included.
    Epoch(EpochRecord),
    /// The device was lost, and the training goes on from a snapshot on another one: see
    /// [`Fit::on_device_loss`](crate::Fit::on_device_loss). Steps that are made again are not told again.
    Recovered(RecoveryRecord),
}

/// A loss of the device that a training has survived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRecord {
    /// The epoch that goes on, counted from 1.
    pub epoch: usize,
    /// Its steps that are done and not made again.
    pub step: usize,
    /// What [`Error::DeviceLost`](crate::Error::DeviceLost) said.
    pub reason: String,
}
