//! A training step launch by launch: how long each takes, and what it has to do. For those who look for the time.

use crate::blocking::block_on;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::kernels::Work;
use crate::model::Model;
use crate::plan::{Mode, Plan};

/// One launch of a training step, as [`Model::profile`] found it; or several that share a dispatch on a GPU, taken
/// together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LaunchProfile {
    /// Its name in the plan: `dense_0.forward` and the like, and `dense_1.update + dense_0.update` where several share a
    /// dispatch.
    pub label: String,
    /// The operation's name, which is that of its shader; of several launches, that of the one with the most work.
    pub operation: &'static str,
    /// Seconds it takes, the median over the steps; `None` where the device cannot tell, or after no step.
    pub seconds: Option<f64>,
    /// Floating-point operations of its matrix product; 0 for other operations.
    pub flops: u64,
    /// Bytes that it must read and write at least.
    pub bytes: u64,
}

impl LaunchProfile {
    /// Floating-point operations a second.
    pub fn flops_per_second(&self) -> Option<f64> {
        self.per_second(self.flops)
    }

    /// Bytes a second. Caches can make it more than the memory's bandwidth.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.per_second(self.bytes)
    }

    fn per_second(&self, amount: u64) -> Option<f64> {
        self.seconds.filter(|&seconds| seconds > 0.0).map(|seconds| amount as f64 / seconds)
    }
}

impl Model {
    /// Trains for `steps` steps on batches of `data`, each of `batch_size` samples (fewer only if there are no more in
    /// all), and times every launch alone: on a GPU by timestamps, which the adapter must offer, on the CPU device by the
    /// clock. Launches that a GPU would overlap are run one after the other, so the sum can be more than a step of
    /// [`Model::fit`] takes. With 0 steps it lists the launches and what they do, and leaves the parameters alone.
    ///
    /// ```
    /// use wgrad::{Activation, Dataset, Dense, Device, Loss, RmsProp, Sequential};
    ///
    /// let data = Dataset::from_classes(vec![0.1, 0.9, 0.8, 0.2], 2, vec![0, 1], 2)?;
    /// let mut model = Sequential::new(2)
    ///     .add(Dense::new(2).activation(Activation::Relu))
    ///     .add(Dense::new(2).activation(Activation::Softmax))
    ///     .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
    /// let launches = model.profile(&data, 2, 10)?;
    /// let forward = launches.iter().find(|launch| launch.label == "dense_0.forward");
    /// assert_eq!(forward.map(|launch| launch.flops), Some(16));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [`Model::fit`] may return, and [`Error::Configuration`] for steps with an optimizer that accumulates gradients:
    /// a step without an update has fewer launches.
    pub fn profile(&mut self, data: &Dataset, batch_size: usize, steps: usize) -> Result<Vec<LaunchProfile>> {
        block_on(self.profile_async(data, batch_size, steps))
    }

    /// [`Model::profile`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::profile`].
    pub async fn profile_async(
        &mut self,
        data: &Dataset,
        batch_size: usize,
        steps: usize,
    ) -> Result<Vec<LaunchProfile>> {
        crate::model::binding::check_batch_size(batch_size)?;
        if steps > 0 && self.optimizer().gradient_accumulation_steps() > 1 {
            let found = format!("updates of {} batches", self.optimizer().gradient_accumulation_steps());
            return Err(Error::configuration("profile", "an optimizer that updates after every batch", found));
        }
        let batch_size = batch_size.min(data.len().max(1));
        let weights = data.sample_weights().map(<[f32]>::to_vec);
        let mut executor = self.executor().await?;
        let mut run = self.open(&mut executor, Mode::Train, data, weights, batch_size, u64::MAX)?;
        let plan = run.plan();
        let (mut work, mut names) = (Vec::new(), Vec::new());
        for launches in plan.dispatched() {
            let all: Vec<Work> = launches.iter().map(|launch| plan.work(launch)).collect();
            let largest = launches.iter().zip(&all).max_by_key(|(_, work)| (work.flops, work.bytes));
            let operation = largest.map_or("", |(launch, _)| launch.kernel.definition().name);
            names.push((Plan::label(launches), operation));
            let sum = |of: fn(&Work) -> u64| all.iter().map(of).sum();
            work.push(Work { flops: sum(|work| work.flops), bytes: sum(|work| work.bytes) });
        }
        // Only whole batches: what a launch does is counted for those.
        let whole = data.len() / batch_size;
        let order: Vec<u32> = (0..(whole * batch_size) as u32).collect();
        let mut seconds = vec![Vec::with_capacity(steps); names.len()];
        for step in 0..steps {
            if step % whole == 0 {
                let start = self.step().start(order.len() as u32, batch_size as u32);
                let rates = self.rates();
                executor.begin(&mut run, &order, start, rates)?;
            }
            if !executor.time_step(&mut run, &mut seconds).await? {
                break;
            }
            self.advance(1);
        }
        let profile = names.into_iter().zip(work).zip(seconds).map(|(((label, operation), work), mut seconds)| {
            seconds.sort_by(f64::total_cmp);
            let seconds = seconds.get(seconds.len() / 2).copied();
            LaunchProfile { label, operation, seconds, flops: work.flops, bytes: work.bytes }
        });
        Ok(profile.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dense, Device, Loss, RmsProp, Sequential};

    const BATCH: usize = 128;

    fn tutorial() -> (Model, Dataset) {
        let data = Dataset::from_images(vec![7; 784 * BATCH], 784, vec![3; BATCH], 10).unwrap();
        let model = Sequential::new(784)
            .add(Dense::new(512).activation(Activation::Relu))
            .add(Dense::new(10).activation(Activation::Softmax))
            .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)
            .unwrap();
        (model, data)
    }

    #[test]
    fn a_step_of_the_tutorial_is_209_megaflop() {
        let (mut model, data) = tutorial();
        let launches = model.profile(&data, BATCH, 0).unwrap();
        let of = |label: &str| launches.iter().find(|launch| launch.label == label).unwrap();
        // Two products of 128 × 784 × 512, three of 128 × 512 × 10; the first layer's input needs no gradient.
        assert_eq!(launches.iter().map(|launch| launch.flops).sum::<u64>(), 209_453_056);
        assert_eq!(of("dense_0.forward").flops, 2 * 128 * 784 * 512);
        // x, kernel and bias, y.
        let least = 4 * (128 * 784 + 785 * 512 + 128 * 512);
        assert!((least..least + 4096).contains(&of("dense_0.forward").bytes));
        // Bytes and an id in, floats and an id out.
        assert!(of("gather").bytes >= 128 * (784 + 4 + 4 * 784 + 4));
        assert!(launches.iter().all(|launch| launch.bytes > 0 && launch.seconds.is_none()), "{launches:?}");
        assert_eq!(model.iterations(), 0);
    }

    #[test]
    fn profiled_steps_are_the_steps_of_a_training() {
        let (mut model, data) = tutorial();
        let launches = model.profile(&data, BATCH, 3).unwrap();
        assert_eq!(launches.iter().all(|launch| launch.seconds.is_some()), cfg!(feature = "native"));
        let (mut other, _) = tutorial();
        let fit = crate::Fit::new().epochs(model.iterations() as usize).batch_size(BATCH).shuffle(false);
        other.fit(&data, fit).unwrap();
        let bias = |model: &Model| model.parameter("dense_1.bias").unwrap();
        assert_eq!(bias(&model), bias(&other));
    }
}
