//! Training, evaluation and prediction: the loops over epochs and submissions. What a step does is the plan's concern,
//! how it runs the executor's.

use std::ops::ControlFlow;

use crate::callbacks::{Event, StepRecord};
use crate::data::batches::fill_order;
use crate::data::{Dataset, InputRows, TargetRows};
use crate::error::{Error, Result};
use crate::executor::{Feed, Run};
use crate::history::{EpochRecord, History};
use crate::layers::Activation;
use crate::losses::Loss;
use crate::metrics::{Meter, Score, StepStatistics};
use crate::model::Model;
use crate::plan::{DataFormat, Mode, PlanKey};
use crate::step::StepBlock;

/// The largest batch: beyond it a kernel's loop over the batch could outrun what software drivers allow.
pub const MAX_BATCH_SIZE: usize = 65_536;

/// Rows of a batch in evaluation and prediction. It changes no result beyond rounding.
const EVALUATION_ROWS: usize = 1024;

/// Bytes of samples that live on the device by default; larger sets are streamed.
const DEFAULT_BUDGET: u64 = 2 << 30;

type Observer<'a> = Box<dyn FnMut(&Event) -> ControlFlow<()> + 'a>;

/// How to train: Keras's arguments of `fit`, with its defaults.
///
/// ```
/// use std::ops::ControlFlow;
/// use wgrad::{Dataset, Dense, Device, Event, Fit, Loss, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0, 2.0, 3.0], 1, vec![1.0, 3.0, 5.0, 7.0], 1)?;
/// let mut model = Sequential::new(1).add(Dense::new(1)).compile(
///     &Device::cpu(),
///     Sgd { learning_rate: 0.1, ..Sgd::default() },
///     Loss::MeanSquaredError,
/// )?;
/// let stop_early = |event: &Event| match event {
///     Event::Epoch(record) if record.train.loss < 1e-3 => ControlFlow::Break(()),
///     _ => ControlFlow::Continue(()),
/// };
/// let history = model.fit(&data, Fit::new().epochs(500).batch_size(4).observer(stop_early))?;
/// assert!(history.epochs.len() < 500);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Fit<'a> {
    epochs: usize,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
    first_epoch: usize,
    validation_data: Option<Dataset>,
    validation_split: f64,
    class_weight: Option<Vec<f32>>,
    budget: u64,
    observer: Option<Observer<'a>>,
}

impl std::fmt::Debug for Fit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fit")
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("shuffle", &self.shuffle)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Fit<'a> {
    /// Keras's defaults: 1 epoch, batches of 32, shuffled (with seed 0), no validation.
    pub fn new() -> Self {
        Fit {
            epochs: 1,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            first_epoch: 0,
            validation_data: None,
            validation_split: 0.0,
            class_weight: None,
            budget: DEFAULT_BUDGET,
            observer: None,
        }
    }

    /// How often to go through the data; 1 by default.
    pub fn epochs(self, epochs: usize) -> Self {
        Fit { epochs, ..self }
    }

    /// Samples for each update; 32 by default, [`MAX_BATCH_SIZE`] at most. The last batch of an epoch may be smaller.
    pub fn batch_size(self, batch_size: usize) -> Self {
        Fit { batch_size, ..self }
    }

    /// Whether each epoch visits the samples in an order of its own; true by default.
    pub fn shuffle(self, shuffle: bool) -> Self {
        Fit { shuffle, ..self }
    }

    /// The seed of the orders; 0 by default. The same seed gives the same orders on every device.
    pub fn seed(self, seed: u64) -> Self {
        Fit { seed, ..self }
    }

    /// How many epochs went before, so that a resumed training goes on with the orders that follow; 0 by default.
    pub fn initial_epoch(self, first_epoch: usize) -> Self {
        Fit { first_epoch, ..self }
    }

    /// Evaluates this set after each epoch. It wins over [`Fit::validation_split`].
    pub fn validation_data(self, data: &Dataset) -> Self {
        Fit { validation_data: Some(data.clone()), ..self }
    }

    /// Keeps the last share of the samples back and evaluates them after each epoch; 0 by default.
    pub fn validation_split(self, share: f64) -> Self {
        Fit { validation_split: share, ..self }
    }

    /// Multiplies each sample's loss by its class's weight: one number a class.
    pub fn class_weight(self, weights: impl Into<Vec<f32>>) -> Self {
        Fit { class_weight: Some(weights.into()), ..self }
    }

    /// Bytes of samples that may live on a GPU, 2 GiB by default; a larger set is streamed, with the same results to the
    /// bit. The CPU device reads samples where they are.
    pub fn device_budget(self, bytes: u64) -> Self {
        Fit { budget: bytes, ..self }
    }

    /// Calls `observer` after every step and every epoch.
    pub fn observer(self, observer: impl FnMut(&Event) -> ControlFlow<()> + 'a) -> Self {
        Fit { observer: Some(Box::new(observer)), ..self }
    }

    fn tell(&mut self, event: Event) -> ControlFlow<()> {
        match &mut self.observer {
            Some(observer) => observer(&event),
            None => ControlFlow::Continue(()),
        }
    }

    fn validate(&self) -> Result<()> {
        check_batch_size(self.batch_size)?;
        if !(0.0..1.0).contains(&self.validation_split) {
            let expected = "a share from 0 up to, not including, 1";
            return Err(Error::configuration("validation split", expected, self.validation_split));
        }
        Ok(())
    }
}

pub(crate) fn check_batch_size(batch_size: usize) -> Result<()> {
    if (1..=MAX_BATCH_SIZE).contains(&batch_size) {
        return Ok(());
    }
    Err(Error::configuration("batch size", format!("1 to {MAX_BATCH_SIZE}"), batch_size))
}

/// Measures seconds where there is a clock.
#[derive(Clone, Copy, Debug)]
struct Stopwatch {
    #[cfg(feature = "native")]
    start: std::time::Instant,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch {
            #[cfg(feature = "native")]
            start: std::time::Instant::now(),
        }
    }

    #[cfg(feature = "native")]
    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    #[cfg(not(feature = "native"))]
    fn seconds(&self) -> f64 {
        0.0
    }
}

/// How many steps go into a submission: one at first, then twice as many each time until a submission takes about
/// 50 ms, which is long against the cost of submitting and short against a driver's watchdog.
#[derive(Debug)]
struct Pacer {
    steps: usize,
    clock: Stopwatch,
}

const SUBMISSION_SECONDS: f64 = 0.05;

impl Pacer {
    fn new() -> Self {
        Pacer { steps: 1, clock: Stopwatch::start() }
    }

    /// Called when results of a submission arrive.
    fn arrived(&mut self, steps: usize) {
        let seconds = std::mem::replace(&mut self.clock, Stopwatch::start()).seconds();
        let fitting = if seconds > 0.0 { (steps as f64 * SUBMISSION_SECONDS / seconds) as usize } else { 16 };
        self.steps = fitting.clamp(1, 2 * self.steps);
    }
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

    /// Makes one update from `data` as one batch; returns its loss and accuracy before the update.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub fn train_on_batch(&mut self, data: &Dataset) -> Result<Score> {
        let fit = Fit::new().batch_size(data.len().max(1)).shuffle(false);
        let history = self.fit(data, fit)?;
        Ok(history.last().map_or_else(Score::default, |record| record.train))
    }

    /// Mean loss and accuracy on `data`: without L2 penalty, label smoothing or class weights, as in Keras; the data
    /// set's own sample weights count in the loss.
    ///
    /// # Errors
    /// [`Error::Shape`] if the data does not fit the model, and whatever the device reports.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Score> {
        pollster::block_on(self.evaluate_async(data))
    }

    /// [`Model::evaluate`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::evaluate`].
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Score> {
        let mut run = self.open_evaluation(data, DEFAULT_BUDGET)?;
        self.score(&mut run, data).await
    }

    fn open_evaluation(&mut self, data: &Dataset, budget: u64) -> Result<Run> {
        let weights = self.sample_weights(data, None)?;
        self.open(Mode::Evaluate, data, weights, EVALUATION_ROWS, budget)
    }

    async fn score(&mut self, run: &mut Run, data: &Dataset) -> Result<Score> {
        let mut meter = Meter::new(self.counts_answers(data));
        self.pass(run, data.len(), |results| StepStatistics::all(results).for_each(|found| meter.add(found))).await?;
        Ok(meter.score())
    }

    /// Goes through `samples` samples in order and hands on each submission's results.
    async fn pass(&mut self, run: &mut Run, samples: usize, mut take: impl FnMut(&[f32])) -> Result<()> {
        let order: Vec<u32> = (0..samples as u32).collect();
        let capacity = run.plan().key.capacity;
        let step = StepBlock::default().start(samples as u32, capacity as u32);
        self.executor.begin(run, &order, step)?;
        let (steps, mut submitted) = (samples.div_ceil(capacity), 0);
        let mut pacer = Pacer::new();
        while submitted < steps || run.in_flight() > 0 {
            while submitted < steps && run.in_flight() < SUBMISSIONS {
                submitted += self.executor.submit(run, pacer.steps.min(steps - submitted))?;
            }
            let results = self.executor.wait(run).await?;
            pacer.arrived(results.len() / 4);
            take(&results);
        }
        Ok(())
    }

    /// The model's outputs for each sample, row after row: probabilities after softmax or sigmoid, even where the loss is
    /// computed from logits.
    ///
    /// # Errors
    /// [`Error::Shape`] if a row does not have the model's features, [`Error::NotFinite`] for NaN or infinite inputs, and
    /// whatever the device reports.
    pub fn predict<'s>(&mut self, samples: impl Into<Samples<'s>>) -> Result<Vec<f32>> {
        pollster::block_on(self.predict_async(samples))
    }

    /// [`Model::predict`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub async fn predict_async<'s>(&mut self, samples: impl Into<Samples<'s>>) -> Result<Vec<f32>> {
        let data = samples.into().into_dataset(self.features())?;
        self.check_features(&data)?;
        let columns = self.outputs();
        let mut outputs = Vec::with_capacity(data.len() * columns);
        if data.is_empty() {
            return Ok(outputs);
        }
        let capacity = EVALUATION_ROWS.min(data.len());
        let mut run = self.open(Mode::Predict, &data, None, capacity, DEFAULT_BUDGET)?;
        let stride = crate::kernels::padded(columns);
        let take = |rows: &[f32]| rows.chunks_exact(stride).for_each(|row| outputs.extend_from_slice(&row[..columns]));
        self.pass(&mut run, data.len(), take).await?;
        Ok(outputs)
    }

    /// The class of each sample: where the first largest output stands, or, with one output, whether it is above one
    /// half (above zero if the loss takes logits from a linear output).
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_classes<'s>(&mut self, samples: impl Into<Samples<'s>>) -> Result<Vec<u32>> {
        let outputs = self.predict(samples)?;
        let threshold = if self.outputs_are_logits() { 0.0 } else { 0.5 };
        let class = |row: &[f32]| match row {
            [one] => u32::from(*one > threshold),
            row => crate::kernels::targets::first_largest(row.iter().map(|&y| f64::from(y))) as u32,
        };
        Ok(outputs.chunks_exact(self.outputs()).map(class).collect())
    }

    fn outputs_are_logits(&self) -> bool {
        let linear = self.description().layers.last().is_some_and(|layer| layer.activation == Activation::Linear);
        linear && self.description().loss_takes_logits(self.loss())
    }

    /// Makes what a way of using the model needs, and binds it to a data set.
    pub(crate) fn open(
        &mut self,
        mode: Mode,
        data: &Dataset,
        weights: Option<Vec<f32>>,
        batch_size: usize,
        budget: u64,
    ) -> Result<Run> {
        if data.is_empty() {
            return Err(Error::shape("data set", "at least one sample", "none"));
        }
        self.check_features(data)?;
        if mode != Mode::Predict {
            self.check_targets(data)?;
        }
        let byte_scale = match data.inputs() {
            InputRows::Bytes { scale, .. } => Some(scale),
            InputRows::Floats(_) => None,
        };
        let ids = matches!(data.targets(), TargetRows::Classes { .. });
        let format =
            DataFormat { byte_scale, target_ids: (mode != Mode::Predict).then_some(ids), weighted: weights.is_some() };
        let key = PlanKey { mode, capacity: batch_size, format, fused: self.fused, family: self.device().family() };
        let plan = self.recipe().plan(key);
        self.executor.open(key, || plan, data, weights, Feed { budget, batch_size })
    }

    fn check_features(&self, data: &Dataset) -> Result<()> {
        match data.features() == self.features() {
            true => Ok(()),
            false => {
                Err(Error::shape("samples for layer dense_0", features(self.features()), features(data.features())))
            }
        }
    }

    fn check_targets(&self, data: &Dataset) -> Result<()> {
        let outputs = self.outputs();
        let (fits, found) = match data.targets() {
            TargetRows::Classes { classes, .. } => {
                // One output can stand for two classes, but not after softmax over that one output.
                let one_for_two = outputs == 1 && classes == 2 && self.loss().loss != Loss::CategoricalCrossentropy;
                (classes == outputs || one_for_two, format!("{classes} classes"))
            }
            TargetRows::Rows { width, .. } => (width == outputs, format!("target rows of {width}")),
        };
        if fits {
            return Ok(());
        }
        let layer = format!("targets for layer dense_{}", self.description().layers.len() - 1);
        Err(Error::shape(layer, format!("{outputs} outputs"), found))
    }

    /// Sample weights times class weights; `None` where every sample weighs 1.
    fn sample_weights(&self, data: &Dataset, class_weight: Option<&[f32]>) -> Result<Option<Vec<f32>>> {
        let own = data.sample_weights();
        let Some(class_weight) = class_weight else { return Ok(own.map(<[f32]>::to_vec)) };
        let TargetRows::Classes { ids, classes } = data.targets() else {
            return Err(Error::configuration("class weights", "targets that are class ids", "target rows"));
        };
        if class_weight.len() != classes {
            return Err(Error::shape("class weights", format!("{classes} numbers"), class_weight.len()));
        }
        if let Some(weight) = class_weight.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            return Err(Error::configuration("class weights", "finite numbers that are not negative", weight));
        }
        let own_weight = |row: usize| own.map_or(1.0, |own| own[row]);
        Ok(Some(ids.iter().enumerate().map(|(row, &id)| class_weight[id as usize] * own_weight(row)).collect()))
    }

    /// Whether accuracy means anything: not for regression.
    pub(crate) fn counts_answers(&self, data: &Dataset) -> bool {
        self.loss().loss != Loss::MeanSquaredError || matches!(data.targets(), TargetRows::Classes { .. })
    }
}

/// Submissions under way at once: one runs while the next is recorded.
const SUBMISSIONS: usize = 2;

fn features(count: usize) -> String {
    format!("{count} features")
}

/// Samples to predict: a data set, or rows of floats.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// The inputs of a data set.
    Dataset(&'a Dataset),
    /// Rows of as many numbers as the model has features, one after the other.
    Rows(&'a [f32]),
}

impl<'a> From<&'a Dataset> for Samples<'a> {
    fn from(data: &'a Dataset) -> Self {
        Samples::Dataset(data)
    }
}

impl<'a> From<&'a [f32]> for Samples<'a> {
    fn from(rows: &'a [f32]) -> Self {
        Samples::Rows(rows)
    }
}

impl<'a> From<&'a Vec<f32>> for Samples<'a> {
    fn from(rows: &'a Vec<f32>) -> Self {
        Samples::Rows(rows)
    }
}

impl Samples<'_> {
    pub(crate) fn into_dataset(self, features: usize) -> Result<Dataset> {
        match self {
            Samples::Dataset(data) => Ok(data.clone()),
            Samples::Rows(rows) if rows.len().is_multiple_of(features) => {
                let count = rows.len() / features;
                Dataset::from_classes(rows.to_vec(), features, vec![0; count], 1)
            }
            Samples::Rows(rows) => {
                Err(Error::shape("samples to predict", format!("rows of {features} numbers"), rows.len()))
            }
        }
    }
}
