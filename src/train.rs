//! Training: the loop over epochs and submissions. What a step does is the plan's concern, how it runs the executor's.

mod evaluation;
mod fit;
mod pacer;
mod supply;

use std::ops::ControlFlow;

use crate::blocking::block_on;
use crate::callbacks::Training;
use crate::clock::Stopwatch;
use crate::data::{self, AnyDataset, Dataset, sorted_by_class};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::model::Model;
use crate::model::training_state::TrainingState;
use crate::net::layer::Layer;
use crate::plan::Mode;
use crate::records::event::{Event, StepRecord};
use crate::records::history::{EpochRecord, History};
use crate::records::metrics::{Meter, Score, StepStatistics};
use pacer::Pacer;
use supply::Fed;

pub use fit::Fit;

/// Bytes of samples that live on the device by default; larger sets are streamed.
const DEFAULT_BUDGET: u64 = 2 << 30;

/// Submissions under way at once: one runs while the next is recorded.
const SUBMISSIONS: usize = 2;

/// A loss that is looked at, and where.
struct Divergence {
    monitor: &'static str,
    step: usize,
    loss: f64,
}

impl Fit<'_> {
    /// The loss, if the training must end for it.
    fn judge(&self, found: Divergence) -> Option<Divergence> {
        (!found.loss.is_finite() && !self.allows_divergence).then_some(found)
    }
}

/// What is odd about a split.
fn odd_split(training: &AnyDataset, validation: &AnyDataset) -> Option<String> {
    let (AnyDataset::InMemory(training), AnyDataset::InMemory(validation)) = (training, validation) else {
        return None;
    };
    sorted_by_class(training, validation)
}

/// What is odd about the samples, unless the net begins with a layer that scales them.
fn odd_samples(model: &Model, data: &AnyDataset) -> Option<String> {
    let scales = |layer: &Layer| {
        matches!(layer, Layer::Rescaling(_) | Layer::BatchNormalization(_) | Layer::LayerNormalization(_))
    };
    let first = model.description().layers.iter().find(|layer| !matches!(layer, Layer::Flatten(_)));
    let example = match data {
        AnyDataset::InMemory(data) => data,
        AnyDataset::Streamed(data) => data.example(),
    };
    if first.is_some_and(scales) { None } else { data::unscaled(example) }
}

/// Takes it down for the record and for the log.
fn warn(history: &mut History, warning: Option<String>) {
    #[cfg(feature = "native")]
    warning.iter().for_each(|warning| log::warn!("{warning}"));
    history.warnings.extend(warning);
}

impl Model {
    /// Trains on `data`: a [`Dataset`](crate::Dataset), or a [`StreamedDataset`](crate::StreamedDataset), which is
    /// read in pieces.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the data does not fit the model,
    /// [`Error::Configuration`](crate::Error::Configuration) for a setting that makes no sense,
    /// [`Error::Reader`](crate::Error::Reader) if a streamed set cannot be read on,
    /// [`Error::Diverged`](crate::Error::Diverged) if a loss is NaN or infinite, and whatever the device reports.
    /// The parameters stay as the last completed step left them.
    pub fn fit(&mut self, data: impl Into<AnyDataset>, fit: Fit<'_>) -> Result<History> {
        block_on(self.fit_async(data, fit))
    }

    /// [`Model::fit`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub async fn fit_async(&mut self, data: impl Into<AnyDataset>, fit: Fit<'_>) -> Result<History> {
        self.fit_any(data.into(), fit).await
    }

    async fn fit_any(&mut self, data: AnyDataset, mut fit: Fit<'_>) -> Result<History> {
        fit.validate()?;
        let mut history = History::default();
        let (train, validation) = match fit.validation_data.take() {
            Some(validation) => (data, Some(validation)),
            None if fit.validation_split > 0.0 => {
                let (train, validation) = data.split_validation(fit.validation_split)?;
                warn(&mut history, odd_split(&train, &validation));
                (train, Some(validation))
            }
            None => (data, None),
        };
        warn(&mut history, odd_samples(self, &train));
        let batch_size = fit.batch_size.min(train.len().max(1));
        let mut executor = self.executor().await?;
        let executor = &mut *executor;
        let mut training =
            self.feed(executor, Mode::Train, &train, fit.class_weight.as_deref(), batch_size, fit.budget)?;
        let mut state = fit.begin(self, &train)?;
        self.note_training(&state);
        let mut validation = match &validation {
            Some(data) => Some(self.feed_evaluation(executor, data, fit.budget)?),
            None => None,
        };
        let mut pacer = Pacer::new();
        let (mut interrupted, mut stopped) = (false, false);
        while state.epoch < fit.epochs && fit.steps > 0 {
            let epoch = state.epoch;
            training.begin_pass(fit.order_of(epoch), state.step);
            let clock = Stopwatch::start();
            let mut meter = self.meter(executor, &training, &state.sums())?;
            let (flow, mut diverged) =
                self.epoch(executor, &mut training, &mut meter, &mut state, &mut fit, &mut pacer).await?;
            let (seconds, learning_rate) = (clock.seconds(), self.last_learning_rate());
            let is_whole = flow.is_continue() && state.epoch > epoch;
            let train = meter.total(&executor.counts(&training.run).await?);
            let validation = match &mut validation {
                Some(fed) if is_whole && diverged.is_none() => Some(self.score(executor, fed).await?),
                _ => None,
            };
            if let Some(score) = &validation {
                let found = Divergence { monitor: "val_loss", step: training.steps(), loss: score.loss };
                diverged = fit.judge(found);
            }
            let record =
                EpochRecord { epoch: epoch + 1, train, validation, seconds, samples: meter.rows(), learning_rate };
            history.epochs.push(record.clone());
            interrupted = flow.is_break() | fit.tell(Event::Epoch(record.clone())).is_break();
            if let Some(Divergence { monitor, step, loss }) = diverged {
                let tensors = self.not_finite(executor).await?;
                return Err(Error::Diverged {
                    monitor,
                    loss,
                    epoch: epoch + 1,
                    step,
                    tensors,
                    history: history.carried(),
                });
            }
            // Callbacks judge whole epochs.
            for (index, own) in fit.callback_order().into_iter().filter(|_| is_whole) {
                // What one of them has restored moved the model, not the training.
                state.callbacks = fit.states();
                self.note_training(&state);
                let mut training = Training { model: self, executor, own };
                stopped |= fit.callbacks[index].epoch_end(&mut training, &record).await?.is_break();
            }
            state.callbacks = fit.states();
            self.note_training(&state);
            if interrupted || stopped {
                break;
            }
        }
        // Not where the training may go on: it was interrupted, or its steps were up.
        let ended = !interrupted && (stopped || state.epoch >= fit.epochs);
        if fit.averages_at_end && ended && !history.epochs.is_empty() {
            self.take_averages(executor).await?;
        }
        for callback in &mut fit.callbacks {
            callback.train_end(&mut Training { model: self, executor, own: usize::MAX }).await?;
        }
        Ok(history)
    }

    /// One pass over the training data, or what is left of it; returns whether the observer wants more, and the first loss
    /// that is not finite.
    async fn epoch(
        &mut self,
        executor: &mut Executor,
        fed: &mut Fed,
        meter: &mut Meter,
        state: &mut TrainingState,
        fit: &mut Fit<'_>,
        pacer: &mut Pacer,
    ) -> Result<(ControlFlow<()>, Option<Divergence>)> {
        let (steps, epoch, start) = (fed.steps(), state.epoch, state.step);
        // Where this call is to end, and the batches before the epoch's first.
        let (end, first) = (steps.min(start.saturating_add(fit.steps)), self.batches().wrapping_sub(start as u32));
        // Steps whose samples have been bound, that have been submitted, and whose results have arrived.
        let (mut bound, mut submitted, mut done) = (start, start, start);
        let mut flow = ControlFlow::Continue(());
        let (mut failure, mut diverged) = (None, None);
        fit.steps -= end - start;
        let mut next = (epoch + 1 < fit.epochs && fit.steps > 0).then(|| fit.order_of(epoch + 1));
        let clock = Stopwatch::start();
        loop {
            while flow.is_continue()
                && failure.is_none()
                && diverged.is_none()
                && submitted < end
                && fed.run.in_flight() < SUBMISSIONS
            {
                if submitted == bound {
                    match self.refill(executor, fed, self.step()) {
                        Ok(steps) => bound += steps,
                        // What is under way counts all the same, and the observer hears of it.
                        Err(error) => {
                            failure = Some(error);
                            break;
                        }
                    }
                }
                let count = executor.submit(&mut fed.run, pacer.steps.min(bound.min(end) - submitted))?;
                self.advance(count);
                submitted += count;
            }
            if submitted == steps
                && let Some(order) = next.take()
            {
                // While the device is at work on the end of this epoch. Whether there will be another one is for the
                // observer to say, so nothing of it is submitted.
                fed.prepare_pass(order);
                if let Err(error) = executor.record_ahead(&mut fed.run, pacer.steps.min(steps).min(fit.steps)) {
                    failure = Some(error);
                }
            }
            if fed.run.in_flight() == 0 {
                state.reached(done, steps, &meter.sums());
                self.note_training(state);
                return failure.map_or(Ok((flow, diverged)), Err);
            }
            let results = executor.wait(&mut fed.run).await?;
            let slot = fed.run.plan().slot;
            pacer.arrived(results.len() / slot);
            for found in StepStatistics::all(&results, slot) {
                meter.add(found);
                done += 1;
                let record = StepRecord {
                    epoch: epoch + 1,
                    epochs: fit.epochs,
                    step: done,
                    steps,
                    loss: found.loss_sum / found.rows + found.penalty,
                    learning_rate: self.optimizer().rate_of(first.wrapping_add(done as u32 - 1)),
                    so_far: meter.score(),
                    samples: meter.rows(),
                    seconds: clock.seconds(),
                };
                if flow.is_continue() && diverged.is_none() {
                    let loss = record.loss;
                    flow = fit.tell(Event::Step(record));
                    diverged = fit.judge(Divergence { monitor: "loss", step: done, loss });
                }
            }
        }
    }

    /// Makes one step of all of `data` as one batch, of [`MAX_BATCH_SIZE`](crate::MAX_BATCH_SIZE) samples at most; returns
    /// its loss and accuracy before it. A step is an update, unless the optimizer accumulates gradients over n batches:
    /// then every n-th call makes one. Each call brings its data to the device: for many steps on one data set use
    /// [`Model::fit`].
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub fn train_on_batch(&mut self, data: &Dataset) -> Result<Score> {
        block_on(self.train_on_batch_async(data))
    }

    /// [`Model::train_on_batch`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub async fn train_on_batch_async(&mut self, data: &Dataset) -> Result<Score> {
        let fit = Fit::new().batch_size(data.len().max(1)).shuffle(false).average_at_end(false);
        let history = self.fit_async(data, fit).await?;
        Ok(history.last().map_or_else(Score::default, |record| record.train.clone()))
    }
}

#[cfg(test)]
mod tests;
