//! A compiled model: the description together with its parameters on a device. Where it meets a data set is
//! `model/binding.rs`; training, evaluation and prediction are in `train`, files in `checkpoint.rs`.

mod averages;
pub(crate) mod binding;
pub(crate) mod buffers;
pub(crate) mod capacity;
mod custom_loss;
mod held;
mod metrics;
mod targets;
pub(crate) mod training_state;

use std::sync::Arc;

use crate::blocking::block_on;
use crate::device::{Device, DeviceInfo};
use crate::error::{Error, Result};
use crate::executor::{Executor, Rates};
use crate::kernels::product::Choices;
use crate::kernels::storage::Precision;
use crate::layout::{Layout, Tensor};
use crate::model::buffers::model_buffers;
use crate::model::held::{HeldExecutor, SharedExecutor};
use crate::model::training_state::TrainingState;
use crate::net::losses::{Loss, LossFunction};
use crate::net::optimizers::{Clip, Optimizer};
use crate::net::schedules::Schedule;
use crate::net::sequential::Sequential;
use crate::plan::{Recipe, Store};
use crate::records::counted::Counted;
use crate::step::StepBlock;

/// The threads that may share out parameters. Sums over all of them run in the order of memory, so where there are such sums
/// that order must not depend on the number of threads.
fn shared_by(device: &Device, layout: &Layout, optimizer: &Optimizer) -> usize {
    let penalised = layout.tensors.iter().any(Tensor::is_penalised);
    // Of a constrained kernel columns are looked at, which are whole where it is not shared out.
    let constrained = layout.tensors.iter().any(|tensor| !tensor.constraint.is_none());
    let summed = penalised || constrained || matches!(optimizer.clip(), Clip::Norm(_) | Clip::GlobalNorm(_));
    if summed { 1 } else { device.info().threads.unwrap_or(1) }
}

impl Sequential {
    /// Checks everything, allocates on the device and initialises.
    ///
    /// # Errors
    /// [`Error::Configuration`] or [`Error::Shape`] naming the layer or setting that makes no sense; [`Error::Limit`] or
    /// [`Error::OutOfMemory`] if the device is too small.
    pub fn compile(
        self,
        device: &Device,
        optimizer: impl Into<Optimizer>,
        loss: impl Into<LossFunction>,
    ) -> Result<Model> {
        Model::new(self, device, optimizer.into(), loss.into())
    }
}

/// A model that lives on a device. Made by [`Sequential::compile`] or [`Model::load`].
#[derive(Debug)]
pub struct Model {
    device: Device,
    description: Sequential,
    optimizer: Optimizer,
    loss: LossFunction,
    pub(crate) layout: Layout,
    /// Behind a lock for those who predict and evaluate from several threads.
    executor: SharedExecutor,
    step: StepBlock,
    pub(crate) fused: bool,
    precision: Precision,
    /// The device's at the time of compiling: what is tuned for other models later does not change this one's bits.
    choices: Arc<Choices>,
    /// Where the last `fit` has left off.
    pub(crate) training: Option<TrainingState>,
    /// What metrics are asked for, and what number their list has; see `model/metrics.rs`.
    counted: Arc<Counted>,
    metrics_key: u32,
}

impl Model {
    pub(crate) fn new(
        description: Sequential,
        device: &Device,
        optimizer: Optimizer,
        loss: LossFunction,
    ) -> Result<Self> {
        description.validate(&loss)?;
        optimizer.validate()?;
        let layout = Layout::new(&description, 1)?;
        let layout = match shared_by(device, &layout, &optimizer) {
            1 => layout,
            threads => Layout::new(&description, threads)?,
        };
        if let Loss::Custom(custom) = loss.loss {
            custom.check(layout.outputs())?;
        }
        if layout.length > u32::MAX as usize {
            return Err(Error::shape("model", format!("at most {} parameters", u32::MAX), layout.length));
        }
        // Before numbers are drawn, which takes as much of the host's memory.
        device.check_storage("parameters", layout.length)?;
        let (parameters, moving) = layout.initial(&description)?;
        let executor = Executor::new(device, model_buffers(&layout, &optimizer, (&parameters, &moving)))?;
        let step = StepBlock { accumulate: optimizer.gradient_accumulation_steps(), ..StepBlock::default() };
        let step = step.after(0, 0, optimizer.betas());
        let (device, choices) = (device.clone(), device.choices());
        Ok(Model {
            device,
            description,
            optimizer,
            loss,
            layout,
            executor: SharedExecutor::new(executor),
            step,
            fused: true,
            precision: Precision::F32,
            choices,
            training: None,
            counted: Arc::default(),
            metrics_key: 0,
        })
    }

    /// What runs plans, for as long as the caller has it.
    pub(crate) async fn executor(&self) -> Result<HeldExecutor> {
        self.executor.hold().await
    }

    /// [`Model::executor`] where nobody else can have it, and nothing is waited for.
    pub(crate) fn own_executor(&mut self) -> Result<HeldExecutor> {
        self.executor.own()
    }

    /// [`Model::executor`] for the synchronous face.
    pub(crate) fn lock(&self) -> Result<HeldExecutor> {
        block_on(self.executor())
    }

    pub(crate) fn recipe(&self) -> Recipe<'_> {
        let Model { description, layout, loss, optimizer, choices, counted, .. } = self;
        Recipe { model: description, layout, loss, optimizer, choices, counted }
    }

    pub(crate) fn choices(&self) -> &Arc<Choices> {
        &self.choices
    }

    pub(crate) fn set_choices(&mut self, choices: Arc<Choices>) {
        self.choices = choices;
    }

    /// The device it lives on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What that device is.
    pub fn device_info(&self) -> DeviceInfo {
        self.device.info()
    }

    /// The description it was compiled from.
    pub fn description(&self) -> &Sequential {
        &self.description
    }

    /// Its optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Its loss.
    pub fn loss(&self) -> &LossFunction {
        &self.loss
    }

    /// Features of a sample.
    pub fn features(&self) -> usize {
        self.description.input.features()
    }

    /// Outputs for a sample.
    pub fn outputs(&self) -> usize {
        self.layout.outputs()
    }

    /// Updates made so far.
    pub fn iterations(&self) -> u32 {
        self.step.iteration
    }

    /// Training batches seen so far: as many as updates, unless gradients are accumulated.
    pub fn batches(&self) -> u32 {
        self.step.batch
    }

    pub(crate) fn step(&self) -> StepBlock {
        self.step
    }

    /// Another setting of the same optimizer.
    pub(crate) fn set_optimizer(&mut self, optimizer: Optimizer) {
        self.step.accumulate = optimizer.gradient_accumulation_steps();
        self.optimizer = optimizer;
    }

    /// A model like this one that could not be made: whoever uses it hears why.
    pub(crate) fn unavailable(&self, error: &Error) -> Self {
        Model {
            device: self.device.clone(),
            description: self.description.clone(),
            optimizer: self.optimizer.clone(),
            loss: self.loss,
            layout: self.layout.clone(),
            executor: SharedExecutor::new(Executor::Unavailable(error.to_string())),
            step: self.step,
            fused: self.fused,
            precision: self.precision,
            choices: self.choices.clone(),
            training: None,
            counted: self.counted.clone(),
            metrics_key: self.metrics_key,
        }
    }

    /// Lives where a copy of this model lives, whose numbers the caller has taken over.
    pub(crate) fn settle_as(&mut self, copy: Model) {
        let Model { device, optimizer, layout, step, choices, training, .. } = copy;
        (self.device, self.optimizer, self.layout) = (device, optimizer, layout);
        (self.step, self.choices, self.training) = (step, choices, training);
    }

    /// Goes on as if so many training batches and updates had been made.
    pub(crate) fn set_progress(&mut self, batches: u32, iterations: u32) {
        self.step = self.step.after(batches, iterations, self.optimizer.betas());
    }

    /// Moves the host's copy of the step block on by steps that were submitted.
    pub(crate) fn advance(&mut self, steps: usize) {
        let betas = self.optimizer.betas();
        for _ in 0..steps {
            // Only what lasts beyond an epoch is kept here: where an epoch stands is the run's.
            self.step = StepBlock { position: 0, rows: 0, samples: 0, ..self.step.advance(betas) };
        }
    }

    /// The training that the model's last `fit` left unfinished, if nothing else has trained it since.
    pub(crate) fn training_under_way(&self) -> Option<&TrainingState> {
        let state = self.training.as_ref();
        state.filter(|state| state.epoch < state.epochs && state.batches == self.batches())
    }

    /// Takes down where a training stands.
    pub(crate) fn note_training(&mut self, state: &TrainingState) {
        self.training = Some(TrainingState { batches: self.batches(), ..state.clone() });
    }

    /// Whole epochs of `steps` steps that the model has seen, one that was broken off included: its order is used up.
    pub(crate) fn epochs_seen(&self, steps: usize) -> usize {
        (self.batches() as usize).div_ceil(steps.max(1))
    }

    /// The learning rate of the next batch.
    pub fn learning_rate(&self) -> f32 {
        self.optimizer.rate_of(self.step.batch)
    }

    /// That of the last batch; before the first one, that of the first.
    pub(crate) fn last_learning_rate(&self) -> f32 {
        self.optimizer.rate_of(self.step.batch.saturating_sub(1))
    }

    /// Changes the learning rate from the next `fit` on.
    ///
    /// # Errors
    /// [`Error::Configuration`] if it is negative or not finite, or the optimizer has a schedule, which says what it is.
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<()> {
        if self.optimizer.schedule().is_some() {
            let expected = "an optimizer without a schedule; give it a number with `learning_rate`";
            return Err(Error::configuration("learning rate", expected, "one with a schedule"));
        }
        let optimizer = self.optimizer.clone().with_learning_rate(learning_rate);
        optimizer.validate()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// Changes the learning rate to a schedule, from the next `fit` on. It goes by the number of the training batch, which
    /// goes on where it is: after 100 batches the next rate is the schedule's hundred-first. A model that was saved with a
    /// closure for its schedule ([`CustomSchedule`](crate::CustomSchedule)) gets it back so.
    ///
    /// ```
    /// use wgrad::{CustomSchedule, Dataset, Dense, Device, Fit, Loss, Model, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0, 2.0, 3.0], 1, vec![1.0, 3.0, 5.0, 7.0], 1)?;
    /// let schedule = || CustomSchedule::new(|batch| 0.1 / (1.0 + batch as f32));
    /// let optimizer = Sgd::default().learning_rate(schedule());
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), optimizer, Loss::MeanSquaredError)?;
    /// model.fit(&data, Fit::new().epochs(2).batch_size(1).steps(3))?;
    ///
    /// let file = model.to_bytes_with_optimizer()?;
    /// let mut loaded = Model::from_bytes(&file, "memory".as_ref(), &Device::cpu())?;
    /// assert!(Fit::resume(&loaded).is_err()); // it asks for the closure
    /// loaded.set_schedule(schedule())?;
    /// assert_eq!(loaded.learning_rate(), 0.025);
    /// loaded.fit(&data, Fit::resume(&loaded)?)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] for settings of the schedule that make no sense; nothing is changed then.
    pub fn set_schedule(&mut self, schedule: impl Into<Schedule>) -> Result<()> {
        let optimizer = self.optimizer.clone().with_schedule(schedule.into());
        optimizer.validate()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// The learning rates of batches to come.
    pub(crate) fn rates(&self) -> Rates {
        match self.optimizer.schedule() {
            Some(schedule) => Rates::Schedule(schedule.clone()),
            None => Rates::Constant(self.optimizer.learning_rate()),
        }
    }

    /// Parameters in all layers.
    pub fn parameter_count(&self) -> usize {
        self.layout.parameter_count()
    }

    /// The names of the parameters with their shapes: `dense_0.kernel` \[in, out\], `dense_0.bias` \[out\], …
    pub fn parameter_names(&self) -> impl Iterator<Item = (&str, Vec<usize>)> + '_ {
        self.layout.all().map(|(tensor, _)| (tensor.name.as_str(), tensor.shape.clone()))
    }

    /// A parameter's numbers, row-major, copied from the device.
    ///
    /// # Errors
    /// [`Error::Configuration`] if there is no such parameter, and whatever the device reports.
    pub fn parameter(&self, name: &str) -> Result<Vec<f32>> {
        block_on(self.parameter_async(name))
    }

    /// [`Model::parameter`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::parameter`].
    pub async fn parameter_async(&self, name: &str) -> Result<Vec<f32>> {
        let (tensor, store) = self.tensor(name)?;
        let values = self.executor().await?.wait(async |executor| executor.read(store).await).await?;
        Ok(tensor.unpack(&values))
    }

    /// Sets parameters by name, from row-major numbers without padding; those that are not named stay, and so does the
    /// optimizer's state.
    ///
    /// ```
    /// # use wgrad::{Dense, Device, Loss, Sequential, Sgd};
    /// # let net = Sequential::new(3).add(Dense::new(2));
    /// # let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// model.set_parameters([("dense_0.bias", &[0.5, -0.5][..])])?;
    /// assert_eq!(model.parameter("dense_0.bias")?, [0.5, -0.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] for an unknown name, [`Error::Shape`] for a wrong count, [`Error::NotFinite`] for NaN or
    /// infinity; nothing is changed then.
    pub fn set_parameters<'v>(&mut self, values: impl IntoIterator<Item = (&'v str, &'v [f32])>) -> Result<()> {
        block_on(self.set_parameters_async(values))
    }

    /// [`Model::set_parameters`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::set_parameters`].
    pub async fn set_parameters_async<'v>(
        &mut self,
        values: impl IntoIterator<Item = (&'v str, &'v [f32])>,
    ) -> Result<()> {
        let mut executor = self.executor().await?;
        let mut parameters = executor.read(Store::Parameters).await?;
        let mut moving = executor.read(Store::Moving).await?;
        for (name, values) in values {
            let (tensor, store) = self.tensor(name)?;
            let count = tensor.rows * tensor.columns;
            if values.len() != count {
                return Err(Error::shape(name, format!("{count} numbers"), values.len()));
            }
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let (row, column) = (at / tensor.columns, at % tensor.columns);
                return Err(Error::NotFinite { what: name.into(), row, column, value: values[at] });
            }
            tensor.pack(values, if store == Store::Moving { &mut moving } else { &mut parameters });
        }
        executor.write(Store::Moving, &moving)?;
        executor.write(Store::Parameters, &parameters)
    }

    /// A tensor by its name, and the store that it lies in.
    pub(crate) fn tensor(&self, name: &str) -> Result<(&Tensor, Store)> {
        let found = self.layout.all().find(|(tensor, _)| tensor.name == name).ok_or_else(|| {
            let names: Vec<_> = self.layout.all().map(|(tensor, _)| tensor.name.as_str()).collect();
            Error::configuration("parameter name", names.join(", "), format!("{name:?}"))
        })?;
        Ok((found.0, Store::of(found.1)))
    }

    /// Whether activations, their derivatives and the optimizer's updates ride in the products' launches, the last layer and
    /// its loss are one launch, and launches that depend on nothing of each other share a dispatch, where they can; they do
    /// by default. Turning it off changes no result beyond rounding; it is there to look at each operation alone.
    pub fn set_fusion(&mut self, fused: bool) {
        self.fused = fused;
    }

    /// What activations and their gradients are stored in: [`Precision::F32`] unless it was changed.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Changes what activations and their gradients are stored in, from the next call on. Parameters, the optimizer's
    /// state, outputs and all arithmetic are in f32 with either, so a model may be trained in half precision and
    /// evaluated in single, or the other way round. It is a setting of this model on this device, which files keep
    /// only with a training that was stopped ([`Fit::resume`](crate::Fit::resume)); with the optimizer's state they keep
    /// the loss scale.
    ///
    /// In half precision gradients carry a loss scale that finds its size by itself: 2¹⁵ at first, halved after a step in
    /// which one was out of range, doubled after 2000 steps without (Keras's `LossScaleOptimizer`). Where Keras leaves
    /// such a step out, here what is out of range counts as 65,504, the largest number there is, and the step is made.
    ///
    /// ```
    /// use wgrad::{Dense, Device, Loss, Precision, Sequential, Sgd};
    ///
    /// let net = Sequential::new(3).add(Dense::new(2));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// assert_eq!(model.precision(), Precision::F32);
    /// assert!(model.set_precision(Precision::F16).is_err(), "the CPU device has single precision alone");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] for half precision on a device without it
    /// ([`DeviceInfo::has_half_precision`]); nothing is changed then.
    pub fn set_precision(&mut self, precision: Precision) -> Result<()> {
        if precision == Precision::F16 {
            self.device.check_half_precision()?;
        }
        self.precision = precision;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::kernels::product::{CANDIDATES, Family, Product, Tiling, Traits};
    use crate::net::layers::Dense;
    use crate::net::optimizers::RmsProp;
    use crate::plan::Mode;

    /// The products of a training step with their tilings.
    fn tilings(model: &Model) -> Result<Vec<(Product, Tiling)>> {
        let data = Dataset::from_rows(vec![0.5; 4 * 33], 33, vec![0.0; 4 * 10], 10)?;
        let plan = model.recipe().plan(model.plan_key(Mode::Train, &data, false, 128)?);
        let products = plan
            .launches
            .iter()
            .filter_map(|launch| Some((launch.kernel.product(128, Precision::F32)?, launch.kernel.tiling()?)));
        Ok(products.collect())
    }

    #[test]
    fn plans_take_the_tilings_that_were_chosen_and_else_those_of_the_shape() -> Result<()> {
        let net = Sequential::new(33).add(Dense::new(20)).add(Dense::new(15)).add(Dense::new(10));
        let mut model = net.compile(&Device::cpu(), RmsProp::default(), Loss::MeanSquaredError)?;
        let found = tilings(&model)?;
        assert_eq!(found.len(), 6);
        let default = |product| Tiling::choose(product, Traits::of(Family::Software));
        assert!(found.iter().all(|&(product, tiling)| tiling == default(product)));
        let chosen = found[2].0;
        model.choices = Arc::new(Choices([(chosen, CANDIDATES[10])].into()));
        for (product, tiling) in tilings(&model)? {
            assert_eq!(tiling, if product == chosen { CANDIDATES[10] } else { default(product) }, "{product:?}");
        }
        Ok(())
    }
}
