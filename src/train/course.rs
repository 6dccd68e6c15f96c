//! The course of a training: its epochs, their steps and submissions, and what is done between epochs. Each stage that needs the device
//! begins from what the course holds, so that one in which the device was lost is begun again, from what was kept.

use std::ops::ControlFlow;

use super::pacer::Pacer;
use super::recovery::{Keeper, Kept};
use super::supply::{Fed, Shuffle};
use super::{Fit, SUBMISSIONS};
use crate::callbacks::Training;
use crate::clock::Stopwatch;
use crate::data::AnyDataset;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::model::Model;
use crate::model::training_state::TrainingState;
use crate::plan::Mode;
use crate::records::event::{Event, RecoveryRecord, StepRecord};
use crate::records::history::{EpochRecord, History};
use crate::records::metrics::{Meter, Score, StepStatistics};

/// What a training is fed with.
pub(super) struct Sets {
    pub training: AnyDataset,
    pub validation: Option<AnyDataset>,
}

/// The same, bound to the device.
struct Feeds {
    training: Fed,
    validation: Option<Fed>,
}

impl Feeds {
    fn new(model: &Model, executor: &mut Executor, sets: &Sets, fit: &Fit<'_>) -> Result<Self> {
        let batch_size = fit.batch_size.min(sets.training.len().max(1));
        let weights = fit.class_weight.as_deref();
        let training = model.feed(executor, Mode::Train, &sets.training, weights, batch_size, fit.budget)?;
        let validation = match &sets.validation {
            Some(data) => Some(model.feed_evaluation(executor, data, fit.budget)?),
            None => None,
        };
        Ok(Feeds { training, validation })
    }
}

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

/// An epoch under way.
struct Epoch {
    clock: Stopwatch,
    /// Steps that the observer has been told of.
    told: usize,
    /// The step at which the observer wanted no more.
    broken_at: Option<usize>,
    diverged: Option<Divergence>,
    meter: Meter,
}

/// The steps of an epoch that are made in one go.
struct Pass {
    /// Steps of the whole epoch, and where the pass is to end.
    steps: usize,
    end: usize,
    /// Batches before the epoch's first.
    first: u32,
    /// Steps whose samples have been bound, that have been submitted, and whose results have arrived.
    bound: usize,
    submitted: usize,
    done: usize,
    /// The step after which the next snapshot is due.
    due: usize,
    /// What is to be prepared for the next epoch.
    next: Option<Shuffle>,
    failure: Option<Error>,
}

/// A training, from its first step to its last.
pub(super) struct Course<'c, 'f> {
    model: &'c mut Model,
    executor: &'c mut Executor,
    sets: &'c Sets,
    fit: Fit<'f>,
    feeds: Feeds,
    state: TrainingState,
    pacer: Pacer,
    keeper: Keeper<'f>,
    history: History,
    epoch: Epoch,
    /// The observer wants no more, as it has answered to something that is no step.
    breaks: bool,
}

impl<'c, 'f> Course<'c, 'f> {
    pub fn new(
        model: &'c mut Model,
        executor: &'c mut Executor,
        sets: &'c Sets,
        mut fit: Fit<'f>,
        history: History,
    ) -> Result<Self> {
        let keeper = Keeper::new(fit.recover.take(), model.device())?;
        let feeds = Feeds::new(model, executor, sets, &fit)?;
        let state = fit.begin(model, &sets.training)?;
        model.note_training(&state);
        let meter = model.meter(executor, &feeds.training, &[])?;
        let epoch = Epoch { clock: Stopwatch::start(), told: 0, broken_at: None, diverged: None, meter };
        let pacer = Pacer::new();
        Ok(Course { model, executor, sets, fit, feeds, state, pacer, keeper, history, epoch, breaks: false })
    }

    /// All epochs.
    pub async fn run(mut self) -> Result<History> {
        self.keep(None).await?;
        let (mut interrupted, mut stopped) = (false, false);
        while self.state.epoch < self.fit.epochs && self.fit.steps > 0 && !interrupted && !stopped {
            (interrupted, stopped) = self.whole_epoch().await?;
        }
        // Not where the training may go on: it was interrupted, or its steps were up.
        let ended = !interrupted && (stopped || self.state.epoch >= self.fit.epochs);
        if self.fit.averages_at_end && ended && !self.history.epochs.is_empty() {
            self.survive(async |course: &mut Self| {
                course.model.take_averages(course.executor).await?;
                course.keep(None).await
            })
            .await?;
        }
        self.end_callbacks().await?;
        Ok(self.history)
    }

    /// An epoch, or what is left of it, with its validation and callbacks; returns whether the observer, and whether a callback, wants
    /// no more.
    async fn whole_epoch(&mut self) -> Result<(bool, bool)> {
        let epoch = self.state.epoch;
        self.begin_epoch();
        let train = self.survive(async |course: &mut Self| course.train().await).await?;
        let (seconds, learning_rate) = (self.epoch.clock.seconds(), self.model.last_learning_rate());
        let is_whole = self.epoch.broken_at.is_none() && self.state.epoch > epoch;
        let validation = match is_whole && self.epoch.diverged.is_none() {
            true => self.survive(async |course: &mut Self| course.validate().await).await?,
            false => None,
        };
        if let Some(score) = &validation {
            let step = self.feeds.training.steps();
            self.epoch.diverged = self.fit.judge(Divergence { monitor: "val_loss", step, loss: score.loss });
        }
        let samples = self.epoch.meter.rows();
        let record = EpochRecord { epoch: epoch + 1, train, validation, seconds, samples, learning_rate };
        self.history.epochs.push(record.clone());
        let mut interrupted = self.epoch.broken_at.is_some();
        interrupted |= self.tell(Event::Epoch(record.clone())).is_break();
        if let Some(diverged) = self.epoch.diverged.take() {
            return Err(self.divergence(diverged, epoch + 1).await);
        }
        // Callbacks judge whole epochs.
        let stopped = is_whole && self.callbacks(&record).await?;
        self.state.callbacks = self.fit.states();
        self.model.note_training(&self.state);
        Ok((interrupted, stopped))
    }

    fn begin_epoch(&mut self) {
        let meter = self.epoch.meter.clone();
        self.epoch = Epoch { clock: Stopwatch::start(), told: self.state.step, broken_at: None, diverged: None, meter };
    }

    /// The steps of an epoch; returns its figures.
    async fn train(&mut self) -> Result<Score> {
        self.steps().await?;
        let score = self.epoch.meter.total(&self.executor.counts(&self.feeds.training.run).await?);
        self.keep(None).await?;
        Ok(score)
    }

    async fn validate(&mut self) -> Result<Option<Score>> {
        let Some(fed) = &mut self.feeds.validation else { return Ok(None) };
        self.model.score(self.executor, fed).await.map(Some)
    }

    /// Whether a callback wants no more.
    async fn callbacks(&mut self, record: &EpochRecord) -> Result<bool> {
        let mut stopped = false;
        for (index, own) in self.fit.callback_order() {
            let flow = self.survive(async |course: &mut Self| {
                // What one of them has restored moved the model, not the training.
                course.state.callbacks = course.fit.states();
                course.model.note_training(&course.state);
                let mut training = Training::new(course.model, course.executor, course.keeper.snapshot(), own);
                course.fit.callbacks[index].epoch_end(&mut training, record).await
            });
            stopped |= flow.await?.is_break();
        }
        Ok(stopped)
    }

    /// Tells callbacks that the training is over.
    async fn end_callbacks(&mut self) -> Result<()> {
        for index in 0..self.fit.callbacks.len() {
            self.survive(async |course: &mut Self| {
                let mut training = Training::new(course.model, course.executor, course.keeper.snapshot(), usize::MAX);
                course.fit.callbacks[index].train_end(&mut training).await
            })
            .await?;
        }
        if self.fit.callbacks.is_empty() {
            return Ok(());
        }
        // Writing to a lost device raises no error, reading does.
        self.survive(async |course: &mut Self| course.keep(None).await).await
    }

    /// The error for a training that must end.
    async fn divergence(&mut self, found: Divergence, epoch: usize) -> Error {
        let tensors = self.survive(async |course: &mut Self| course.model.not_finite(course.executor).await).await;
        let Divergence { monitor, step, loss } = found;
        match tensors {
            Ok(tensors) => {
                Error::Diverged { monitor, loss, epoch, step, tensors, history: self.history.clone().carried() }
            }
            Err(error) => error,
        }
    }

    fn tell(&mut self, event: Event) -> ControlFlow<()> {
        let flow = self.fit.tell(event);
        if std::mem::take(&mut self.breaks) { ControlFlow::Break(()) } else { flow }
    }
}

/// The steps of an epoch.
impl Course<'_, '_> {
    /// Makes the steps that are left of the epoch and that this call may still make, unless the observer wants no more or a loss is not
    /// finite.
    async fn steps(&mut self) -> Result<()> {
        let mut pass = self.begin_pass()?;
        loop {
            self.submit(&mut pass)?;
            self.prepare_next(&mut pass);
            if self.feeds.training.run.in_flight() > 0 {
                self.wait(&mut pass).await?;
                continue;
            }
            self.state.reached(pass.done, pass.steps, &self.epoch.meter.sums());
            self.model.note_training(&self.state);
            if pass.failure.is_some() || !self.goes_on(&pass) || pass.done >= pass.end {
                return pass.failure.map_or(Ok(()), Err);
            }
            self.keep(Some(&pass)).await?;
            pass.due += self.keeper.every();
        }
    }

    /// Whether neither the observer nor a loss has ended the epoch.
    fn goes_on(&self, pass: &Pass) -> bool {
        self.epoch.broken_at.is_none_or(|at| pass.done < at) && self.epoch.diverged.is_none()
    }

    /// Starts the pass where the epoch stands, with what it has counted so far.
    fn begin_pass(&mut self) -> Result<Pass> {
        let (model, fed) = (&*self.model, &mut self.feeds.training);
        let (start, steps) = (self.state.step, fed.steps());
        fed.begin_pass(self.fit.order_of(self.state.epoch), start);
        self.epoch.meter = model.meter(self.executor, fed, &self.state.sums())?;
        if let Some((meter, counts)) = self.keeper.kept.as_ref().and_then(|kept| kept.counted.as_ref()) {
            self.epoch.meter = meter.clone();
            self.executor.write_counts(&fed.run, counts)?;
        }
        // What is made again after an observer's answer ends where the answer was given.
        let most = self.epoch.broken_at.unwrap_or(steps);
        let end = most.min(start.saturating_add(self.fit.steps));
        let first = model.batches().wrapping_sub(start as u32);
        self.fit.steps -= end - start;
        self.epoch.diverged = None;
        let next = (self.state.epoch + 1 < self.fit.epochs && self.fit.steps > 0)
            .then(|| self.fit.order_of(self.state.epoch + 1));
        let due = start.saturating_add(self.keeper.every());
        Ok(Pass { steps, end, first, bound: start, submitted: start, done: start, due, next, failure: None })
    }

    /// Submits what the device has room for, up to the next snapshot.
    fn submit(&mut self, pass: &mut Pass) -> Result<()> {
        let limit = pass.end.min(pass.due);
        while self.goes_on(pass)
            && pass.failure.is_none()
            && pass.submitted < limit
            && self.feeds.training.run.in_flight() < SUBMISSIONS
        {
            if pass.submitted == pass.bound {
                match self.model.refill(self.executor, &mut self.feeds.training, self.model.step()) {
                    Ok(steps) => pass.bound += steps,
                    // What is under way counts all the same, and the observer hears of it.
                    Err(error) => {
                        pass.failure = Some(error);
                        break;
                    }
                }
            }
            let steps = self.pacer.steps.min(pass.bound.min(limit) - pass.submitted);
            let count = self.executor.submit(&mut self.feeds.training.run, steps)?;
            self.model.advance(count);
            pass.submitted += count;
        }
        Ok(())
    }

    /// Settles and records the start of the next epoch, while the device is at work on the end of this one. Whether there will be
    /// another one is for the observer to say, so nothing of it is submitted.
    fn prepare_next(&mut self, pass: &mut Pass) {
        if pass.submitted < pass.steps {
            return;
        }
        let Some(order) = pass.next.take() else { return };
        self.feeds.training.prepare_pass(order);
        let steps = self.pacer.steps.min(pass.steps).min(self.fit.steps).min(self.keeper.every());
        if let Err(error) = self.executor.record_ahead(&mut self.feeds.training.run, steps) {
            pass.failure = Some(error);
        }
    }

    /// Waits for the oldest submission, and hands its steps' figures on.
    async fn wait(&mut self, pass: &mut Pass) -> Result<()> {
        let run = &mut self.feeds.training.run;
        let (slot, results) = (run.plan().slot, self.executor.wait(run).await?);
        self.pacer.arrived(results.len() / slot);
        for found in StepStatistics::all(&results, slot) {
            self.epoch.meter.add(found);
            let goes_on = self.goes_on(pass);
            pass.done += 1;
            if !goes_on {
                continue;
            }
            let loss = found.loss_sum / found.rows + found.penalty;
            if pass.done > self.epoch.told {
                self.epoch.told = pass.done;
                let record = self.record(pass, loss);
                let flow = self.tell(Event::Step(record));
                self.epoch.broken_at = flow.is_break().then_some(pass.done);
            }
            self.epoch.diverged = self.fit.judge(Divergence { monitor: "loss", step: pass.done, loss });
        }
        Ok(())
    }

    fn record(&self, pass: &Pass, loss: f64) -> StepRecord {
        StepRecord {
            epoch: self.state.epoch + 1,
            epochs: self.fit.epochs,
            step: pass.done,
            steps: pass.steps,
            loss,
            learning_rate: self.model.optimizer().rate_of(pass.first.wrapping_add(pass.done as u32 - 1)),
            so_far: self.epoch.meter.score(),
            samples: self.epoch.meter.rows(),
            seconds: self.epoch.clock.seconds(),
        }
    }
}

/// What is done about a device that may be lost.
impl Course<'_, '_> {
    /// Copies the training to the host, where that is wanted: between epochs, or in the middle of this pass.
    async fn keep(&mut self, pass: Option<&Pass>) -> Result<()> {
        if !self.keeper.is_active() {
            return Ok(());
        }
        self.model.note_training(&self.state);
        let counted = match pass {
            Some(_) => {
                let counts = self.executor.counts(&self.feeds.training.run).await?;
                Some((self.epoch.meter.clone(), counts))
            }
            None => None,
        };
        let snapshot = self.model.snapshot_of(self.executor).await?;
        let steps = self.fit.steps + pass.map_or(0, |pass| pass.end - pass.done);
        self.keeper.keep(Kept { snapshot, state: self.state.clone(), steps, counted });
        Ok(())
    }

    /// Does a stage until the device is not lost in it, or for good.
    async fn survive<T>(&mut self, mut stage: impl AsyncFnMut(&mut Self) -> Result<T>) -> Result<T> {
        loop {
            match stage(self).await {
                Err(error @ Error::DeviceLost { .. }) => self.recover(error).await?,
                other => return other,
            }
        }
    }

    /// Goes back to what was kept, on another device.
    async fn recover(&mut self, mut error: Error) -> Result<()> {
        let reason = error.to_string();
        loop {
            let (device, kept) = self.keeper.replacement(self.model.device(), error).await?;
            let moved = self.model.move_to(self.executor, &device, &kept.snapshot);
            match moved.and_then(|()| Feeds::new(self.model, self.executor, self.sets, &self.fit)) {
                Ok(feeds) => {
                    (self.state, self.fit.steps) = (kept.state.clone(), kept.steps);
                    (self.feeds, self.pacer) = (feeds, Pacer::new());
                    break;
                }
                Err(lost @ Error::DeviceLost { .. }) => error = lost,
                Err(other) => return Err(other),
            }
        }
        self.model.note_training(&self.state);
        let (epoch, step) = (self.state.epoch + 1, self.state.step);
        #[cfg(feature = "native")]
        log::warn!(
            "{reason}; the training goes on after step {step} of epoch {epoch}, on {}",
            self.model.device_info()
        );
        self.breaks |= self.fit.tell(Event::Recovered(RecoveryRecord { epoch, step, reason })).is_break();
        Ok(())
    }
}
