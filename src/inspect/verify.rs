//! Verify mode: every launch of a step against its reference, on the device's own inputs. A tool for finding driver bugs:
//! it names the first launch whose result is wrong.

use crate::blocking::block_on;
use crate::data::Dataset;
use crate::error::Result;
use crate::model::Model;
use crate::model::binding::check_batch_size;
use crate::plan::Mode;
use crate::plan::compare::Verification;

impl Model {
    /// Trains for `steps` steps on the first batches of `data`, comparing each launch with its reference in f64 on the
    /// device's own inputs. Slow: everything is copied to the host before and after every launch.
    ///
    /// ```
    /// use wgrad::{Activation, Dataset, Dense, Device, Loss, RmsProp, Sequential};
    ///
    /// let data = Dataset::from_classes(vec![0.1, 0.9, 0.8, 0.2], 2, vec![0, 1], 2)?;
    /// let mut model = Sequential::new(2)
    ///     .add(Dense::new(2).activation(Activation::Softmax))
    ///     .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
    /// println!("{}", model.verify(&data, 2, 1)?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Verification`](crate::Error::Verification) naming the first launch that differs, and what
    /// [`Model::fit`] may return.
    pub fn verify(&mut self, data: &Dataset, batch_size: usize, steps: usize) -> Result<Verification> {
        block_on(self.verify_async(data, batch_size, steps))
    }

    /// [`Model::verify`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::verify`].
    pub async fn verify_async(&mut self, data: &Dataset, batch_size: usize, steps: usize) -> Result<Verification> {
        self.verify_into(Verification::default(), data, batch_size, steps).await
    }

    /// The same, except that what is wrong is kept among the rest, and the steps go on.
    #[cfg(feature = "native")]
    pub(super) fn verify_keeping(&mut self, data: &Dataset, batch_size: usize, steps: usize) -> Result<Verification> {
        block_on(self.verify_into(Verification::keeping(), data, batch_size, steps))
    }

    async fn verify_into(
        &mut self,
        mut verification: Verification,
        data: &Dataset,
        batch_size: usize,
        steps: usize,
    ) -> Result<Verification> {
        check_batch_size(batch_size)?;
        let batch_size = batch_size.min(data.len().max(1));
        let weights = data.sample_weights().map(<[f32]>::to_vec);
        let mut executor = self.executor().await?;
        let mut run = self.open(&mut executor, Mode::Train, data, weights, batch_size, u64::MAX)?;
        let order: Vec<u32> = (0..data.len() as u32).collect();
        for step in 0..steps {
            if step % data.len().div_ceil(batch_size) == 0 {
                let start = self.step().start(data.len() as u32, batch_size as u32);
                let rates = self.rates();
                executor.begin(&mut run, &order, start, rates)?;
            }
            executor.verify_step(&mut run, &mut verification).await?;
            self.advance(1);
        }
        Ok(verification)
    }
}

#[cfg(test)]
mod tests;
