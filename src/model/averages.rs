//! The exponential moving average of the weights, where the optimizer keeps one.

use crate::blocking::block_on;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::model::Model;
use crate::plan::Store;

impl Model {
    /// Exchanges the weights and their averages, so that the model predicts, is measured and is saved with the averages;
    /// called again, it brings the weights back. Weights of layers that are not trained, and moving averages of
    /// normalizations, stay. Before the first update the averages are zero.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Fit, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
    /// let optimizer = Sgd::default().use_ema(true).ema_momentum(0.9);
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), optimizer, Loss::MeanSquaredError)?;
    /// model.fit(&data, Fit::new().epochs(20).average_at_end(false))?;
    /// let with_weights = model.evaluate(&data)?;
    /// model.swap_averages()?;
    /// assert!(model.evaluate(&data)?.loss > with_weights.loss); // averages lag behind in so short a training
    /// model.swap_averages()?;
    /// assert_eq!(model.evaluate(&data)?.loss, with_weights.loss);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] if the optimizer keeps no averages, and whatever the device reports.
    pub fn swap_averages(&mut self) -> Result<()> {
        block_on(self.swap_averages_async())
    }

    /// [`Model::swap_averages`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::swap_averages`].
    pub async fn swap_averages_async(&mut self) -> Result<()> {
        if self.optimizer().average_slot().is_none() {
            let expected = "one that keeps averages of the weights: `use_ema(true)`";
            return Err(Error::configuration("optimizer", expected, self.optimizer()));
        }
        let exchange = async |executor: &mut Executor| self.exchange(executor, true).await;
        self.executor().await?.wait(exchange).await
    }

    /// Makes the averages the weights, if there are averages.
    pub(crate) async fn take_averages(&self, executor: &mut Executor) -> Result<()> {
        self.exchange(executor, false).await
    }

    /// The averages become the weights of what is trained, and where they are exchanged, the weights the averages.
    async fn exchange(&self, executor: &mut Executor, both_ways: bool) -> Result<()> {
        let Some(slot) = self.optimizer().average_slot().map(Store::Slot) else { return Ok(()) };
        let (mut weights, mut averages) = (executor.read(Store::Parameters).await?, executor.read(slot).await?);
        for tensor in self.layout.tensors.iter().filter(|tensor| tensor.trainable) {
            let range = tensor.offset..tensor.offset + tensor.padded_length();
            weights[range.clone()].swap_with_slice(&mut averages[range]);
        }
        executor.write(Store::Parameters, &weights)?;
        if both_ways { executor.write(slot, &averages) } else { Ok(()) }
    }
}
