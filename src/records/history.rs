//! What `fit` returns: the figures of every epoch.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::records::metrics::Score;

/// The figures of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// Mean training loss and accuracy, taken as the epoch went on (before each update), as Keras reports them.
    pub train: Score,
    /// Validation loss and accuracy after the epoch, where there is validation data.
    pub validation: Option<Score>,
    /// How long it took, validation excluded; 0 without a clock.
    pub seconds: f64,
    /// Training samples seen.
    pub samples: usize,
}

/// The figures of a training, epoch by epoch. An epoch that an observer ended early is in it, with what it had seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One record an epoch.
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// The last epoch's record.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }

    /// A table with a header line: `epoch,loss,accuracy,val_loss,val_accuracy,seconds`. What was not measured is empty.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("epoch,loss,accuracy,val_loss,val_accuracy,seconds\n");
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for record in &self.epochs {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{},{},{},{},{},{}",
                record.epoch,
                record.train.loss,
                cell(record.train.accuracy),
                cell(record.validation.map(|score| score.loss)),
                cell(record.validation.and_then(|score| score.accuracy)),
                record.seconds,
            );
        }
        text
    }
}
