//! Callbacks that change the learning rate.

use std::ops::ControlFlow;

use futures::future::LocalBoxFuture;

use super::monitor::Monitor;
use super::{Callback, Training, state};
use crate::error::{Error, Result};
use crate::records::history::EpochRecord;

/// Lowers the learning rate when a figure no longer gets better: Keras's `ReduceLROnPlateau`, with its defaults. The new
/// rate holds from the next epoch on. The optimizer's rate is a number; one with a schedule is refused.
///
/// ```
/// use wgrad::{Dataset, Dense, Device, Fit, Loss, Monitor, ReduceLrOnPlateau, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1).trainable(false)).add(Dense::new(1).trainable(false));
/// let mut model = net.compile(&Device::cpu(), Sgd::default().learning_rate(0.5), Loss::MeanSquaredError)?;
/// let reduce = ReduceLrOnPlateau::new().monitor(Monitor::Loss).factor(0.5).patience(2);
/// let history = model.fit(&data, Fit::new().epochs(5).callback(reduce))?;
/// let rates: Vec<_> = history.epochs.iter().map(|epoch| epoch.learning_rate).collect();
/// assert_eq!(rates, [0.5, 0.5, 0.5, 0.25, 0.25]); // the first is the best, and two were no better
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLrOnPlateau {
    monitor: Monitor,
    factor: f32,
    patience: usize,
    min_delta: f64,
    cooldown: usize,
    min_learning_rate: f32,
    best: f64,
    /// Epochs since then, and those in which nothing is counted yet.
    waited: usize,
    cooling: usize,
}

impl Default for ReduceLrOnPlateau {
    fn default() -> Self {
        ReduceLrOnPlateau {
            monitor: Monitor::ValidationLoss,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_learning_rate: 0.0,
            best: f64::INFINITY,
            waited: 0,
            cooling: 0,
        }
    }
}

impl ReduceLrOnPlateau {
    /// By the validation loss.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the figure; the validation loss by default.
    pub fn monitor(self, monitor: Monitor) -> Self {
        ReduceLrOnPlateau { monitor, ..self }
    }

    /// Sets what the rate is multiplied by, from 0 up to, not including, 1; 0.1 by default. `fit` refuses others.
    pub fn factor(self, factor: f32) -> Self {
        ReduceLrOnPlateau { factor, ..self }
    }

    /// Sets after how many epochs without a better one the rate is lowered; 10 by default.
    pub fn patience(self, patience: usize) -> Self {
        ReduceLrOnPlateau { patience, ..self }
    }

    /// Sets by how much an epoch must be better to count; 10⁻⁴ by default.
    pub fn min_delta(self, min_delta: f64) -> Self {
        ReduceLrOnPlateau { min_delta: min_delta.abs(), ..self }
    }

    /// Sets how many epochs after a change are not counted; 0 by default.
    pub fn cooldown(self, cooldown: usize) -> Self {
        ReduceLrOnPlateau { cooldown, ..self }
    }

    /// Sets the rate below which it does not go; 0 by default. Keras's `min_lr`.
    pub fn min_learning_rate(self, min_learning_rate: f32) -> Self {
        ReduceLrOnPlateau { min_learning_rate, ..self }
    }

    /// Whether the rate is to be lowered after an epoch.
    fn judge(&mut self, cost: f64) -> bool {
        if self.cooling > 0 {
            (self.cooling, self.waited) = (self.cooling - 1, 0);
        }
        if cost < self.best - self.min_delta {
            (self.best, self.waited) = (cost, 0);
            return false;
        }
        if self.cooling > 0 {
            return false;
        }
        self.waited += 1;
        self.waited >= self.patience
    }
}

impl Callback for ReduceLrOnPlateau {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move {
            if !(0.0..1.0).contains(&self.factor) {
                let expected = "a factor from 0 up to, not including, 1";
                return Err(Error::configuration("learning rate on a plateau", expected, self.factor));
            }
            let cost = self.monitor.cost(record)?;
            let rate = training.learning_rate();
            if self.judge(cost) && rate > self.min_learning_rate {
                training.set_learning_rate((rate * self.factor).max(self.min_learning_rate))?;
                (self.cooling, self.waited) = (self.cooldown, 0);
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn train_end<'c>(&'c mut self, _training: &'c mut Training<'_>) -> LocalBoxFuture<'c, Result<()>> {
        // The next training is judged by itself.
        (self.best, self.waited, self.cooling) = (f64::INFINITY, 0, 0);
        Box::pin(async { Ok(()) })
    }

    fn state(&self) -> Option<String> {
        state::text("reduce_lr_on_plateau", (self.best.to_bits(), self.waited, self.cooling))
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        let (best, waited, cooling) = state::parsed("reduce_lr_on_plateau", state)?;
        (self.best, self.waited, self.cooling) = (f64::from_bits(best), waited, cooling);
        Ok(())
    }
}
