//! A model's numbers on the host: parameters, moving averages, the optimizer's state, and how far training has come. From one
//! a model goes on as if nothing had been, on its own device or on another.

mod transfer;

use std::sync::Arc;

use crate::blocking::block_on;
use crate::device::{Device, DeviceInfo};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::kernels::product::Choices;
use crate::kernels::scale::LossScale;
use crate::kernels::storage::Precision;
use crate::layout::Tensor;
use crate::model::Model;
use crate::model::training_state::TrainingState;
use crate::net::losses::LossFunction;
use crate::net::metrics::Metric;
use crate::net::optimizers::Optimizer;
use crate::net::sequential::Sequential;
use crate::plan::Store;

/// All that a model is, at one moment; made by [`Model::snapshot`].
///
/// ```
/// use wgrad::{Dataset, Dense, Device, Fit, Loss, Model, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1));
/// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
/// let before = model.snapshot()?;
/// model.fit(&data, Fit::new().epochs(3))?;
/// let elsewhere = before.open(&Device::cpu_with_threads(1))?;
/// assert_eq!(elsewhere.iterations(), 0);
/// model.restore(&before)?;
/// assert_eq!(model.parameter("dense_0.kernel")?, elsewhere.parameter("dense_0.kernel")?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    description: Sequential,
    optimizer: Optimizer,
    loss: LossFunction,
    metrics: Vec<Metric>,
    precision: Precision,
    fused: bool,
    batches: u32,
    iterations: u32,
    loss_scale: LossScale,
    training: Option<TrainingState>,
    /// Where it lived, and the tilings that it had there.
    device: DeviceInfo,
    choices: Arc<Choices>,
    /// The tensors of each store, without padding.
    stores: Vec<(Store, Vec<Vec<f32>>)>,
}

impl Snapshot {
    /// Updates that had been made.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// What a model with these numbers has after [`Model::restore`] of others.
    pub(crate) fn become_like(&mut self, other: &Snapshot) {
        let (precision, fused) = (self.precision, self.fused);
        let (device, choices) = (self.device.clone(), self.choices.clone());
        *self = Snapshot { precision, fused, device, choices, ..other.clone() };
    }

    /// What a model with these numbers has after [`Model::restore_weights`] of others.
    pub(crate) fn take_weights(&mut self, other: &Snapshot) {
        let taken = other.stores.iter().filter(|(store, _)| is_of_weights(*store));
        for (store, tensors) in taken {
            if let Some((_, own)) = self.stores.iter_mut().find(|(own, _)| own == store) {
                own.clone_from(tensors);
            }
        }
    }

    pub(crate) fn set_optimizer(&mut self, optimizer: &Optimizer) {
        self.optimizer = optimizer.clone();
    }

    /// A model that is what this one was, on a device: the same bits from there on, if that is such a device as this one
    /// lived on, whatever [`Model::tune`](crate::Model::tune) has found on it meanwhile.
    ///
    /// # Errors
    /// As [`Sequential::compile`], and [`Error::Configuration`] for half precision on a device without it.
    pub fn open(&self, device: &Device) -> Result<Model> {
        let mut model = self.description.clone().compile(device, self.optimizer.clone(), self.loss)?;
        model.set_metrics(self.metrics.iter().copied())?;
        model.set_precision(self.precision)?;
        model.set_fusion(self.fused);
        if device.info() == self.device {
            model.set_choices(self.choices.clone());
        }
        model.restore(self)?;
        Ok(model)
    }
}

/// Whether a store has what a model computes with, rather than what its training needs.
fn is_of_weights(store: Store) -> bool {
    matches!(store, Store::Parameters | Store::Moving)
}

impl Model {
    /// Copies the model's numbers to the host.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn snapshot(&self) -> Result<Snapshot> {
        block_on(self.snapshot_async())
    }

    /// [`Model::snapshot`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::snapshot`].
    pub async fn snapshot_async(&self) -> Result<Snapshot> {
        self.executor().await?.wait(async |executor| self.snapshot_of(executor).await).await
    }

    pub(crate) async fn snapshot_of(&self, executor: &mut Executor) -> Result<Snapshot> {
        let stores = self.read_tensors(executor, self.stores_in_use()).await?;
        let loss_scale = executor.read(Store::LossScale).await?;
        Ok(Snapshot {
            description: self.description().clone(),
            optimizer: self.optimizer().clone(),
            loss: *self.loss(),
            metrics: self.metrics().to_vec(),
            precision: self.precision(),
            fused: self.fused,
            batches: self.batches(),
            iterations: self.iterations(),
            loss_scale: LossScale::from_words(bytemuck::cast_slice(&loss_scale)),
            training: self.training_under_way().cloned(),
            device: self.device_info(),
            choices: self.choices().clone(),
            stores,
        })
    }

    /// Makes the model what it was, the optimizer's state and progress too, and where a training stood that was
    /// stopped. Its precision and whether launches are fused stay.
    ///
    /// # Errors
    /// [`Error::Configuration`] if the snapshot is of a model with another description or optimizer, and whatever the
    /// device reports.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut executor = self.own_executor()?;
        self.restore_in(&mut executor, snapshot)
    }

    /// Becomes what it was, on another device, in the middle of a call that has the executor.
    pub(crate) fn move_to(&mut self, executor: &mut Executor, device: &Device, snapshot: &Snapshot) -> Result<()> {
        let mut there = snapshot.open(device)?;
        *executor = std::mem::replace(&mut *there.own_executor()?, Executor::Unavailable("it was moved".into()));
        self.settle_as(there);
        Ok(())
    }

    /// Takes parameters and moving averages from a snapshot; the optimizer's state and progress stay.
    ///
    /// # Errors
    /// As [`Model::restore`].
    pub fn restore_weights(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut executor = self.own_executor()?;
        self.restore_weights_in(&mut executor, snapshot)
    }

    pub(crate) fn restore_in(&mut self, executor: &mut Executor, snapshot: &Snapshot) -> Result<()> {
        // But for the learning rate, which plans do not know, its settings are in plans that the model keeps.
        let settings = |optimizer: &Optimizer| optimizer.clone().with_learning_rate(0.0);
        if settings(self.optimizer()) != settings(&snapshot.optimizer) {
            let expected = format!("one of a model with {} of the same settings", self.optimizer());
            return Err(Error::configuration("snapshot", expected, format!("one with {}", snapshot.optimizer)));
        }
        self.write_from(executor, snapshot, |_| true)?;
        executor.write(Store::LossScale, bytemuck::cast_slice(&[snapshot.loss_scale]))?;
        self.set_optimizer(snapshot.optimizer.clone());
        self.set_progress(snapshot.batches, snapshot.iterations);
        self.training = snapshot.training.clone();
        Ok(())
    }

    pub(crate) fn restore_weights_in(&mut self, executor: &mut Executor, snapshot: &Snapshot) -> Result<()> {
        self.write_from(executor, snapshot, is_of_weights)
    }

    fn write_from(&self, executor: &mut Executor, snapshot: &Snapshot, wanted: impl Fn(Store) -> bool) -> Result<()> {
        if self.description() != &snapshot.description {
            return Err(Error::configuration("snapshot", "one of a model with the same layers", "another description"));
        }
        for (store, tensors) in snapshot.stores.iter().filter(|(store, _)| wanted(*store)) {
            let mut buffer = vec![0.0; self.length_of(*store)];
            for (tensor, values) in self.tensors_of(*store).iter().zip(tensors) {
                tensor.pack(values, &mut buffer);
            }
            executor.write(*store, &buffer)?;
        }
        Ok(())
    }

    /// The tensors of these stores, without padding.
    pub(crate) async fn read_tensors(
        &self,
        executor: &Executor,
        stores: Vec<Store>,
    ) -> Result<Vec<(Store, Vec<Vec<f32>>)>> {
        let mut read = Vec::new();
        for store in stores {
            let values = executor.read(store).await?;
            read.push((store, self.tensors_of(store).iter().map(|tensor| tensor.unpack(&values)).collect()));
        }
        Ok(read)
    }

    /// The names of tensors with numbers that are not finite.
    pub(crate) async fn not_finite(&self, executor: &Executor) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for (store, tensors) in self.read_tensors(executor, self.stores_in_use()).await? {
            let broken = self.tensors_of(store).iter().zip(&tensors);
            let broken = broken.filter(|(_, values)| values.iter().any(|value| !value.is_finite()));
            names.extend(broken.map(|(tensor, _)| self.name_of(store, tensor)));
        }
        Ok(names)
    }

    /// A tensor's name in messages and files.
    pub(crate) fn name_of(&self, store: Store, tensor: &Tensor) -> String {
        match store {
            Store::Slot(index) => {
                let slots = self.optimizer().slots();
                format!("optimizer.{}.{}", slots.get(index).map_or("", |slot| slot.name), tensor.name)
            }
            Store::Gradients => format!("accumulated.{}", tensor.name),
            _ => tensor.name.clone(),
        }
    }

    /// The stores whose numbers make the model what it is: the one list of them, which snapshots and files go by.
    pub(crate) fn stores_in_use(&self) -> Vec<Store> {
        let slots = self.optimizer().slots().into_iter().enumerate();
        let slots = slots.filter(|(_, slot)| slot.used).map(|(index, _)| Store::Slot(index));
        let waiting = (self.step().micro > 0).then_some(Store::Gradients);
        [Store::Parameters, Store::Moving].into_iter().chain(slots).chain(waiting).collect()
    }

    pub(crate) fn tensors_of(&self, store: Store) -> &[Tensor] {
        if store == Store::Moving { &self.layout.moving } else { &self.layout.tensors }
    }

    /// Numbers of a store, in the order of its layout.
    pub(crate) fn length_of(&self, store: Store) -> usize {
        if store == Store::Moving { self.layout.moving_length } else { self.layout.length }
    }

    /// The same model on another device, this one being left as it is.
    ///
    /// # Errors
    /// As [`Snapshot::open`], and what reading this model's numbers reports.
    pub fn reopen(&self, device: &Device) -> Result<Model> {
        self.snapshot()?.open(device)
    }

    /// [`Model::reopen`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::reopen`].
    pub async fn reopen_async(&self, device: &Device) -> Result<Model> {
        self.snapshot_async().await?.open(device)
    }
}

/// Another model with the same numbers, on the same device. Should the device have no room for it, or be lost, the clone says
/// so when it is first used; [`Model::reopen`] says so at once. So does a clone that is made while an asynchronous call on
/// this thread has the model ([`Error::Busy`]).
impl Clone for Model {
    fn clone(&self) -> Self {
        self.reopen(self.device()).unwrap_or_else(|error| self.unavailable(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::device::Backend;
    use crate::net::layers::Dense;
    use crate::net::losses::Loss;
    use crate::net::optimizers::Sgd;
    use crate::plan::Mode;

    /// What is measured for other models later changes neither a model's bits nor its copies'.
    #[test]
    fn copies_have_the_tilings_of_the_original() -> Result<()> {
        let device = Device::gpu()?;
        let Backend::Gpu(context) = &device.backend else { panic!("a GPU device") };
        let net = || Sequential::new(33).add(Dense::new(20)).add(Dense::new(10));
        let compile = || net().compile(&device, Sgd::default(), Loss::MeanSquaredError);
        let data = Dataset::from_rows(vec![0.5; 64 * 33], 33, vec![0.25; 64 * 10], 10)?;
        let plan = |model: &Model| -> Result<String> {
            Ok(format!("{:?}", model.recipe().plan(model.plan_key(Mode::Train, &data, false, 64)?)))
        };
        let mut original = compile()?;
        let before = plan(&original)?;
        let snapshot = original.snapshot()?;
        // Another tiling for each product that has one.
        let products: Vec<_> = original
            .recipe()
            .plan(original.plan_key(Mode::Train, &data, false, 64)?)
            .launches
            .iter()
            .filter_map(|launch| launch.kernel.product(64, original.precision()))
            .collect();
        let traits = device.traits();
        let other = |product| {
            let candidates = crate::kernels::product::Tiling::candidates(product, traits);
            candidates.last().map(|&tiling| (product, tiling))
        };
        context.choose(&Choices(products.into_iter().filter_map(other).collect()));
        assert_ne!(plan(&compile()?)?, before, "a new model has what was measured");
        let mut copies = [original.clone(), snapshot.open(&device)?, original.reopen(&device)?];
        original.fit(&data, crate::Fit::new())?;
        for copy in &mut copies {
            assert_eq!(plan(copy)?, before);
            copy.fit(&data, crate::Fit::new())?;
            assert_eq!(copy.parameter("dense_0.kernel")?, original.parameter("dense_0.kernel")?);
        }
        // Another device has its own.
        assert!(snapshot.open(&Device::cpu())?.choices().0.is_empty());
        Ok(())
    }
}
