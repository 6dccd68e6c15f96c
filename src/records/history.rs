//! What `fit` returns: the figures of every epoch.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::error::{Carried, Error};
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

impl Error {
    /// The epochs of a training that [diverged](Error::Diverged), the last one with what it had seen; `None` of other errors.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Error, Fit, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![1e3, 2e3], 1, vec![1.0, 2.0], 1)?;
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// let error = model.fit(&data, Fit::new().epochs(50)).unwrap_err();
    /// let Error::Diverged { epoch, .. } = error else { panic!("{error}") };
    /// assert_eq!(error.history().map(|history| history.epochs.len()), Some(epoch));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn history(&self) -> Option<&History> {
        match self {
            Error::Diverged { history, .. } => history.get(),
            _ => None,
        }
    }
}

impl History {
    /// To go with an error.
    pub(crate) fn carried(self) -> Carried {
        Carried::new(self)
    }
}
