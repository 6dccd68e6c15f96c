//! Evaluation and prediction: one pass over the samples in their order.

use std::collections::VecDeque;

use super::pacer::Pacer;
use super::supply::Fed;
use super::{DEFAULT_BUDGET, SUBMISSIONS};
use crate::blocking::block_on;
use crate::data::{AnyDataset, Samples};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::model::Model;
use crate::plan::Mode;
use crate::records::metrics::{Score, StepStatistics};
use crate::step::StepBlock;

impl Model {
    /// Mean loss and accuracy on `data`, in batches of 1024, or of fewer where rows are so wide that a batch would take
    /// much memory; the number changes no result beyond rounding. Neither the L2 penalty nor label smoothing counts (Keras's
    /// own `evaluate` adds both), nor do class weights; the data set's own sample weights count in the loss.
    ///
    /// ```
    /// use wgrad::{Activation, Dataset, Dense, Device, Loss, RmsProp, Sequential};
    ///
    /// let data = Dataset::from_classes(vec![0.1, 0.9, 0.8, 0.2], 2, vec![0, 1], 2)?;
    /// let mut model = Sequential::new(2)
    ///     .add(Dense::new(2).activation(Activation::Softmax))
    ///     .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
    /// let score = model.evaluate(&data)?;
    /// println!("{score}"); // such as: loss 0.6931, accuracy 50.00 %
    /// assert!(score.loss > 0.0 && score.accuracy.is_some());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the data does not fit the model, and whatever the device reports.
    pub fn evaluate(&self, data: impl TryInto<AnyDataset, Error: Into<Error>>) -> Result<Score> {
        block_on(self.evaluate_async(data))
    }

    /// [`Model::evaluate`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::evaluate`].
    pub async fn evaluate_async(&self, data: impl TryInto<AnyDataset, Error: Into<Error>>) -> Result<Score> {
        let data = data.try_into().map_err(Into::into)?;
        let evaluate = async |executor: &mut Executor| {
            let mut fed = self.feed_evaluation(executor, &data, DEFAULT_BUDGET)?;
            self.score(executor, &mut fed).await
        };
        self.executor().await?.wait(evaluate).await
    }

    pub(super) fn feed_evaluation(&self, executor: &mut Executor, data: &AnyDataset, budget: u64) -> Result<Fed> {
        let batch_size = self.rows_at_once(executor, Mode::Evaluate, data)?;
        self.feed(executor, Mode::Evaluate, data, None, batch_size, budget)
    }

    pub(super) async fn score(&self, executor: &mut Executor, fed: &mut Fed) -> Result<Score> {
        let (mut meter, slot) = (self.meter(executor, fed, &[])?, fed.run.plan().slot);
        self.pass(executor, fed, |results| StepStatistics::all(results, slot).for_each(|found| meter.add(found)))
            .await?;
        Ok(meter.total(&executor.counts(&fed.run).await?))
    }

    /// Goes through all samples in order and hands on each submission's results.
    async fn pass(&self, executor: &mut Executor, fed: &mut Fed, mut take: impl FnMut(&[f32])) -> Result<()> {
        fed.begin_pass(None, 0);
        let (steps, mut bound, mut submitted) = (fed.steps(), 0, 0);
        let mut pacer = Pacer::new();
        // The steps of each submission whose results have not arrived.
        let mut under_way = VecDeque::new();
        while submitted < steps || fed.run.in_flight() > 0 {
            while submitted < steps && fed.run.in_flight() < SUBMISSIONS {
                if submitted == bound {
                    bound += self.refill(executor, fed, StepBlock::default())?;
                }
                let count = executor.submit(&mut fed.run, pacer.steps.min(bound - submitted))?;
                submitted += count;
                under_way.push_back(count);
            }
            let results = executor.wait(&mut fed.run).await?;
            pacer.arrived(under_way.pop_front().unwrap_or_default());
            take(&results);
        }
        Ok(())
    }

    /// The model's outputs, row-major \[samples, outputs\], without padding: probabilities after softmax or sigmoid,
    /// even where the loss is computed from logits; the logits themselves where the loss says
    /// [`from_logits`](crate::Loss::from_logits) of a linear output. No samples give no outputs.
    ///
    /// ```
    /// use wgrad::{Dense, Device, Loss, Sequential, Sgd};
    ///
    /// let mut model =
    ///     Sequential::new(2).add(Dense::new(1)).compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// model.set_parameters([("dense_0.kernel", &[2.0, -1.0][..]), ("dense_0.bias", &[0.5][..])])?;
    /// let rows = vec![1.0, 1.0, 3.0, 0.0]; // two samples of two features
    /// assert_eq!(model.predict(&rows)?, [1.5, 6.5]);
    /// assert_eq!(model.predict(&[1.0, 1.0])?, [1.5]);
    /// assert_eq!(model.predict([[1.0, 1.0], [3.0, 0.0]])?, [1.5, 6.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if a row does not have the model's features,
    /// [`Error::NotFinite`](crate::Error::NotFinite) for NaN or infinite inputs, and whatever the device reports.
    pub fn predict<'s>(&self, samples: impl Into<Samples<'s>>) -> Result<Vec<f32>> {
        block_on(self.predict_async(samples))
    }

    /// [`Model::predict`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub async fn predict_async<'s>(&self, samples: impl Into<Samples<'s>>) -> Result<Vec<f32>> {
        let data = samples.into().into_dataset(self.features())?;
        self.check_features(&data)?;
        let columns = self.outputs();
        let mut outputs = Vec::with_capacity(data.len() * columns);
        if data.is_empty() {
            return Ok(outputs);
        }
        let data = AnyDataset::InMemory(data);
        let stride = crate::kernels::padded(columns);
        let take = |rows: &[f32]| rows.chunks_exact(stride).for_each(|row| outputs.extend_from_slice(&row[..columns]));
        let predict = async |executor: &mut Executor| {
            let batch_size = self.rows_at_once(executor, Mode::Predict, &data)?;
            let mut fed = self.feed(executor, Mode::Predict, &data, None, batch_size, DEFAULT_BUDGET)?;
            self.pass(executor, &mut fed, take).await
        };
        self.executor().await?.wait(predict).await?;
        Ok(outputs)
    }

    /// The class of each sample: where the first largest output stands, or, with one output, whether it is above one
    /// half (above zero if the loss takes logits from a linear output).
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_classes<'s>(&self, samples: impl Into<Samples<'s>>) -> Result<Vec<u32>> {
        block_on(self.predict_classes_async(samples))
    }

    /// [`Model::predict_classes`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub async fn predict_classes_async<'s>(&self, samples: impl Into<Samples<'s>>) -> Result<Vec<u32>> {
        let outputs = self.predict_async(samples).await?;
        let threshold = if self.outputs_are_logits() { 0.0 } else { 0.5 };
        let class = |row: &[f32]| match row {
            [one] => u32::from(*one > threshold),
            row => crate::kernels::targets::first_largest(row.iter().map(|&y| f64::from(y))).unwrap_or(0) as u32,
        };
        Ok(outputs.chunks_exact(self.outputs()).map(class).collect())
    }

    /// The `k` largest outputs of each sample, the largest first, each with its class; of equal ones the first class comes
    /// first. All of them where there are no more than `k`.
    ///
    /// ```
    /// use wgrad::{Dense, Device, Loss, Sequential, Sgd};
    ///
    /// let net = Sequential::new(1).add(Dense::new(3));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// model.set_parameters([("dense_0.kernel", &[1.0, 3.0, 2.0][..])])?;
    /// assert_eq!(model.predict_top_k(&[2.0], 2)?, [[(1, 6.0), (2, 4.0)]]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_top_k<'s>(&self, samples: impl Into<Samples<'s>>, k: usize) -> Result<Vec<Vec<(u32, f32)>>> {
        let largest = |row: &[f32]| {
            let mut outputs: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            outputs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            outputs.truncate(k);
            outputs
        };
        Ok(self.predict(samples)?.chunks_exact(self.outputs()).map(largest).collect())
    }
}
