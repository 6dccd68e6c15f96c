//! What is done between the epochs of a training: callbacks see the model's numbers and may change them.

mod monitor;
mod rates;
mod state;
mod stops;
#[cfg(feature = "native")]
mod written;

use std::ops::ControlFlow;

use futures::future::LocalBoxFuture;

use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::model::Model;
use crate::records::history::EpochRecord;
use crate::snapshot::Snapshot;
pub use monitor::Monitor;
pub use rates::ReduceLrOnPlateau;
pub(crate) use stops::Until;
pub use stops::{OnEpochEnd, TerminateAfter};
#[cfg(feature = "native")]
pub use written::{Checkpoint, CsvLog, JsonLines};

/// A training between two epochs: what a [`Callback`] may look at and change.
#[derive(Debug)]
pub struct Training<'t> {
    model: &'t mut Model,
    executor: &'t mut Executor,
    /// The copy that the training goes on from if its device is lost: what is changed here is changed there too.
    kept: Option<&'t mut Snapshot>,
    /// Which of the callbacks' states is that of the one under way.
    own: usize,
}

impl<'t> Training<'t> {
    pub(crate) fn new(
        model: &'t mut Model,
        executor: &'t mut Executor,
        kept: Option<&'t mut Snapshot>,
        own: usize,
    ) -> Self {
        Training { model, executor, kept, own }
    }
}

impl Training<'_> {
    /// The model's numbers as they are now, copied to the host.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub async fn snapshot(&mut self) -> Result<Snapshot> {
        self.model.snapshot_of(self.executor).await
    }

    /// Makes the model what it was; see [`Model::restore`].
    ///
    /// # Errors
    /// As [`Model::restore`].
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.model.restore_in(self.executor, snapshot)?;
        self.kept.iter_mut().for_each(|kept| kept.become_like(snapshot));
        Ok(())
    }

    /// Takes parameters and moving averages from a snapshot; see [`Model::restore_weights`].
    ///
    /// # Errors
    /// As [`Model::restore_weights`].
    pub fn restore_weights(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.model.restore_weights_in(self.executor, snapshot)?;
        self.kept.iter_mut().for_each(|kept| kept.take_weights(snapshot));
        Ok(())
    }

    /// Takes down the state of the callback that this is given to, as it will be when it is done. A callback that saves the
    /// model says so before it saves; see [`Callback::state`].
    pub fn note_state(&mut self, state: String) {
        if let Some(own) = self.model.training.as_mut().and_then(|state| state.callbacks.get_mut(self.own)) {
            *own = state;
        }
    }

    /// Writes the model with all that the training needs to go on from here in another process; see
    /// [`Model::save_with_optimizer`] and [`Fit::resume`](crate::Fit::resume).
    ///
    /// # Errors
    /// As [`Model::save_with_optimizer`].
    #[cfg(feature = "native")]
    pub async fn save_with_optimizer(&mut self, path: impl AsRef<std::path::Path>) -> Result<()> {
        crate::files::replace(path.as_ref(), &self.model.serialise(self.executor, true).await?)
    }

    /// Writes weights and description; see [`Model::save`].
    ///
    /// # Errors
    /// As [`Model::save`].
    #[cfg(feature = "native")]
    pub async fn save(&mut self, path: impl AsRef<std::path::Path>) -> Result<()> {
        crate::files::replace(path.as_ref(), &self.model.serialise(self.executor, false).await?)
    }

    /// Updates made so far.
    pub fn iterations(&self) -> u32 {
        self.model.iterations()
    }

    /// The learning rate of the next batch.
    pub fn learning_rate(&self) -> f32 {
        self.model.learning_rate()
    }

    /// Changes the learning rate from the next epoch on.
    ///
    /// # Errors
    /// As [`Model::set_learning_rate`].
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<()> {
        self.model.set_learning_rate(learning_rate)?;
        self.kept.iter_mut().for_each(|kept| kept.set_optimizer(self.model.optimizer()));
        Ok(())
    }
}

/// Something that is done after each epoch, validation included, and at the end of a training. Given to
/// [`Fit::callback`](crate::Fit::callback); `&mut` of a callback is one too, so that it can be looked at afterwards.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use futures::future::LocalBoxFuture;
/// use wgrad::{Callback, Dataset, Dense, Device, EpochRecord, Fit, Loss, Result, Sequential, Sgd, Training};
///
/// /// Halves the learning rate after every epoch.
/// struct Halve;
///
/// impl Callback for Halve {
///     fn epoch_end<'c>(
///         &'c mut self,
///         training: &'c mut Training<'_>,
///         _record: &'c EpochRecord,
///     ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
///         Box::pin(async move {
///             let rate = training.learning_rate();
///             training.set_learning_rate(rate / 2.0)?;
///             Ok(ControlFlow::Continue(()))
///         })
///     }
/// }
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1));
/// let mut model = net.compile(&Device::cpu(), Sgd::default().learning_rate(0.8), Loss::MeanSquaredError)?;
/// model.fit(&data, Fit::new().epochs(3).callback(Halve))?;
/// assert_eq!(model.learning_rate(), 0.1);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Callback {
    /// After an epoch; `Break` ends the training. Not after an epoch that an observer has ended before its last batch.
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>>;

    /// After the last epoch, unless the training ended with an error. Does nothing by default.
    fn train_end<'c>(&'c mut self, _training: &'c mut Training<'_>) -> LocalBoxFuture<'c, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// What it has to remember for a training that goes on in another process, as text of its own; files with the
    /// optimizer's state hold it. None, the default, if it remembers nothing; one that ever has a state has one always.
    fn state(&self) -> Option<String> {
        None
    }

    /// Takes over what [`Callback::state`] of one like this said, when a training is [resumed](crate::Fit::resume); this one
    /// is as new.
    ///
    /// # Errors
    /// [`Error::Configuration`](crate::Error::Configuration) for the state of another callback, and where it cannot go on
    /// from it.
    fn resume(&mut self, _state: &str) -> Result<()> {
        Ok(())
    }

    /// Whether it saves the model with the training's state. Those that do are called after those that do not, so that what
    /// they save has seen the epoch through. False by default.
    fn saves(&self) -> bool {
        false
    }
}

impl<C: Callback> Callback for &mut C {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        (**self).epoch_end(training, record)
    }

    fn train_end<'c>(&'c mut self, training: &'c mut Training<'_>) -> LocalBoxFuture<'c, Result<()>> {
        (**self).train_end(training)
    }

    fn state(&self) -> Option<String> {
        (**self).state()
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        (**self).resume(state)
    }

    fn saves(&self) -> bool {
        (**self).saves()
    }
}

/// Ends a training when a figure no longer gets better: Keras's `EarlyStopping`, with its defaults.
///
/// ```
/// use wgrad::{Dataset, Dense, Device, EarlyStopping, Fit, Loss, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1));
/// let mut model = net.compile(&Device::cpu(), Sgd::default().learning_rate(0.0), Loss::MeanSquaredError)?;
/// let stop = EarlyStopping::new().patience(2).restore_best_weights(true);
/// let history = model.fit(&data, Fit::new().epochs(100).validation_data(&data).callback(stop))?;
/// assert_eq!(history.epochs.len(), 3); // the first, and two that were no better
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EarlyStopping {
    monitor: Monitor,
    min_delta: f64,
    patience: usize,
    restores: bool,
    best: Option<(f64, Option<Snapshot>)>,
    /// Epochs since then.
    waited: usize,
}

impl EarlyStopping {
    /// By the validation loss, after the first epoch that is no better than the best before it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the figure; the validation loss by default.
    pub fn monitor(self, monitor: Monitor) -> Self {
        EarlyStopping { monitor, ..self }
    }

    /// Sets by how much an epoch must be better to count; 0 by default.
    pub fn min_delta(self, min_delta: f64) -> Self {
        EarlyStopping { min_delta: min_delta.abs(), ..self }
    }

    /// Sets how many epochs without a better one are waited for; 0 by default, which counts as 1.
    pub fn patience(self, patience: usize) -> Self {
        EarlyStopping { patience, ..self }
    }

    /// Whether the model gets the best epoch's parameters and moving averages in the end; it does not by default.
    pub fn restore_best_weights(self, restores: bool) -> Self {
        EarlyStopping { restores, ..self }
    }
}

impl Callback for EarlyStopping {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move {
            let cost = self.monitor.cost(record)?;
            let best = self.best.as_ref().map_or(f64::INFINITY, |(best, _)| *best);
            if cost < best - self.min_delta {
                let snapshot = if self.restores { Some(training.snapshot().await?) } else { None };
                self.best = Some((cost, snapshot));
                self.waited = 0;
                return Ok(ControlFlow::Continue(()));
            }
            self.waited += 1;
            let ends = self.waited >= self.patience.max(1);
            Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    fn train_end<'c>(&'c mut self, training: &'c mut Training<'_>) -> LocalBoxFuture<'c, Result<()>> {
        Box::pin(async move {
            if let Some((_, Some(best))) = &self.best {
                training.restore_weights(best)?;
            }
            // The next training is judged by itself.
            (self.waited, self.best) = (0, None);
            Ok(())
        })
    }

    fn state(&self) -> Option<String> {
        state::text("early_stopping", (self.best.as_ref().map(|(best, _)| best.to_bits()), self.waited))
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        let (best, waited): (Option<u64>, usize) = state::parsed("early_stopping", state)?;
        if self.restores && best.is_some() {
            let expected = "no restore_best_weights: files do not hold the best weights; Checkpoint::best saves them";
            return Err(Error::configuration("early stopping of a training to be resumed", expected, "it"));
        }
        (self.best, self.waited) = (best.map(|best| (f64::from_bits(best), None)), waited);
        Ok(())
    }
}

/// Keeps the model of the best epoch.
///
/// ```
/// use wgrad::{Dataset, Dense, Device, Fit, KeepBest, Loss, Monitor, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1));
/// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// let mut best = KeepBest::new(Monitor::Loss);
/// model.fit(&data, Fit::new().epochs(5).callback(&mut best))?;
/// let (epoch, snapshot) = best.best().expect("an epoch was trained");
/// assert_eq!((epoch, snapshot.iterations()), (5, 5));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeepBest {
    monitor: Monitor,
    best: Option<(f64, usize, Snapshot)>,
}

impl KeepBest {
    /// The best by this figure.
    pub fn new(monitor: Monitor) -> Self {
        KeepBest { monitor, best: None }
    }

    /// The best epoch so far, counted from 1, and the model after it.
    pub fn best(&self) -> Option<(usize, &Snapshot)> {
        self.best.as_ref().map(|(_, epoch, snapshot)| (*epoch, snapshot))
    }
}

impl Callback for KeepBest {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move {
            let cost = self.monitor.cost(record)?;
            if cost < self.best.as_ref().map_or(f64::INFINITY, |(best, ..)| *best) {
                self.best = Some((cost, record.epoch, training.snapshot().await?));
            }
            Ok(ControlFlow::Continue(()))
        })
    }
    fn state(&self) -> Option<String> {
        state::text("keep_best", self.best.as_ref().map(|(best, epoch, _)| (best.to_bits(), *epoch)))
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        let best: Option<(u64, usize)> = state::parsed("keep_best", state)?;
        let own = self.best.as_ref().map(|(best, epoch, _)| (best.to_bits(), *epoch));
        match best {
            // The one that was there before may go on.
            Some((_, epoch)) if best != own => {
                let expected = format!(
                    "the one that has the model of epoch {epoch}, the best so far: files do not hold it; Checkpoint::best \
                     saves such models"
                );
                Err(Error::configuration("KeepBest of a training to be resumed", expected, "another"))
            }
            _ => Ok(()),
        }
    }
}
