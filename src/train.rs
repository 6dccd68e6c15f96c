//! Training: the loop over epochs and submissions. What a step does is the plan's concern, how it runs the executor's.

mod binding;
mod evaluation;
mod fit;
mod pacer;

use std::ops::ControlFlow;

use crate::callbacks::{Event, StepRecord};
use crate::clock::Stopwatch;
use crate::data::Dataset;
use crate::data::batches::fill_order;
use crate::error::{Error, Result};
use crate::executor::Run;
use crate::history::{EpochRecord, History};
use crate::metrics::{Meter, Score, StepStatistics};
use crate::model::Model;
use crate::plan::Mode;
use pacer::Pacer;

pub use evaluation::Samples;
pub use fit::Fit;

/// The largest batch: beyond it a kernel's loop over the batch could outrun what software drivers allow.
pub const MAX_BATCH_SIZE: usize = 65_536;

/// Bytes of samples that live on the device by default; larger sets are streamed.
const DEFAULT_BUDGET: u64 = 2 << 30;

/// Submissions under way at once: one runs while the next is recorded.
const SUBMISSIONS: usize = 2;

pub(crate) fn check_batch_size(batch_size: usize) -> Result<()> {
    if (1..=MAX_BATCH_SIZE).contains(&batch_size) {
        return Ok(());
    }
    Err(Error::configuration("batch size", format!("1 to {MAX_BATCH_SIZE}"), batch_size))
}

impl Model {
    /// Trains on `data`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the data does not fit the model, [`Error::Configuration`] for a setting that makes no sense,
    /// and whatever the device reports. The parameters stay as the last completed step left them.
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        pollster::block_on(self.fit_async(data, fit))
    }

    /// [`Model::fit`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub async fn fit_async(&mut self, data: &Dataset, mut fit: Fit<'_>) -> Result<History> {
        fit.validate()?;
        let (train, validation) = match fit.validation_data.take() {
            Some(validation) => (data.clone(), Some(validation)),
            None if fit.validation_split > 0.0 => {
                let (train, validation) = data.split_validation(fit.validation_split)?;
                (train, Some(validation))
            }
            None => (data.clone(), None),
        };
        let weights = self.sample_weights(&train, fit.class_weight.as_deref())?;
        let batch_size = fit.batch_size.min(train.len().max(1));
        let mut run = self.open(Mode::Train, &train, weights, batch_size, fit.budget)?;
        let mut validation_run = match &validation {
            Some(data) => Some(self.open_evaluation(data, fit.budget)?),
            None => None,
        };
        let mut history = History::default();
        let (mut order, mut pacer) = (Vec::new(), Pacer::new());
        for epoch in 0..fit.epochs {
            let number = (fit.first_epoch + epoch) as u64;
            fill_order(&mut order, train.len(), fit.seed, number, fit.shuffle);
            let clock = Stopwatch::start();
            let mut meter = Meter::new(self.counts_answers(&train));
            let flow = self.epoch(&mut run, &order, &mut meter, epoch, &mut fit, &mut pacer).await?;
            let seconds = clock.seconds();
            let scores_validation = validation_run.as_mut().zip(validation.as_ref());
            let validation = match scores_validation {
                Some((run, data)) if flow.is_continue() => Some(self.score(run, data).await?),
                _ => None,
            };
            let record =
                EpochRecord { epoch: epoch + 1, train: meter.score(), validation, seconds, samples: meter.rows() };
            history.epochs.push(record);
            let after = fit.tell(Event::Epoch(record));
            if flow.is_break() || after.is_break() {
                break;
            }
        }
        Ok(history)
    }

    /// One pass over the training data.
    async fn epoch(
        &mut self,
        run: &mut Run,
        order: &[u32],
        meter: &mut Meter,
        epoch: usize,
        fit: &mut Fit<'_>,
        pacer: &mut Pacer,
    ) -> Result<ControlFlow<()>> {
        let batch_size = run.plan().key.capacity;
        let steps = order.len().div_ceil(batch_size);
        let step = self.step().start(order.len() as u32, batch_size as u32);
        self.executor.begin(run, order, step)?;
        let (mut submitted, mut done) = (0, 0);
        let mut flow = ControlFlow::Continue(());
        let clock = Stopwatch::start();
        loop {
            while flow.is_continue() && submitted < steps && run.in_flight() < SUBMISSIONS {
                let count = self.executor.submit(run, pacer.steps.min(steps - submitted))?;
                self.advance(count);
                submitted += count;
            }
            if run.in_flight() == 0 {
                return Ok(flow);
            }
            let results = self.executor.wait(run).await?;
            pacer.arrived(results.len() / 4);
            for found in StepStatistics::all(&results) {
                meter.add(found);
                done += 1;
                let record = StepRecord {
                    epoch: epoch + 1,
                    epochs: fit.epochs,
                    step: done,
                    steps,
                    loss: found.loss_sum / found.rows + found.penalty,
                    so_far: meter.score(),
                    samples: meter.rows(),
                    seconds: clock.seconds(),
                };
                if flow.is_continue() {
                    flow = fit.tell(Event::Step(record));
                }
            }
        }
    }

    /// Makes one update from all of `data` as one batch, of [`MAX_BATCH_SIZE`] samples at most; returns its loss and
    /// accuracy before the update. Each call brings its data to the device: for many steps on one data set use
    /// [`Model::fit`].
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub fn train_on_batch(&mut self, data: &Dataset) -> Result<Score> {
        let fit = Fit::new().batch_size(data.len().max(1)).shuffle(false);
        let history = self.fit(data, fit)?;
        Ok(history.last().map_or_else(Score::default, |record| record.train))
    }
}
