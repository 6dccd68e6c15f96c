//! Training: the calls that train. The loop over epochs and submissions is `course.rs`'s; what a step does is the plan's concern,
//! how it runs the executor's.

mod course;
mod evaluation;
mod fit;
mod pacer;
mod recovery;
mod supply;

use crate::blocking::block_on;
use crate::data::{self, AnyDataset, Dataset, sorted_by_class};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::net::layer::Layer;
use crate::records::history::History;
use crate::records::metrics::Score;
use course::{Course, Sets};

pub use fit::Fit;
pub use recovery::Recover;

/// Bytes of samples that live on the device by default; larger sets are streamed.
const DEFAULT_BUDGET: u64 = 2 << 30;

/// Submissions under way at once: one runs while the next is recorded.
const SUBMISSIONS: usize = 2;

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
    /// read in pieces. What a call returned that makes one will do as it is (`model.fit(data.shuffle(7), …)?`): if it is an
    /// error, so is this.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Fit, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0, 2.0], 1, vec![1.0, 3.0, 5.0], 1)?;
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// model.fit(data.shuffle(7), Fit::new().shuffle(false))?;
    /// assert!(model.evaluate(&data)?.loss < model.evaluate(data.subset(&[2]))?.loss);
    /// assert!(model.fit(data.subset(&[3]), Fit::new()).is_err(), "there is no row 3");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the data does not fit the model,
    /// [`Error::Configuration`](crate::Error::Configuration) for a setting that makes no sense,
    /// [`Error::Reader`](crate::Error::Reader) if a streamed set cannot be read on,
    /// [`Error::Diverged`](crate::Error::Diverged) if a loss is NaN or infinite, and whatever the device reports.
    /// The parameters stay as the last completed step left them.
    pub fn fit(&mut self, data: impl TryInto<AnyDataset, Error: Into<Error>>, fit: Fit<'_>) -> Result<History> {
        block_on(self.fit_async(data, fit))
    }

    /// [`Model::fit`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub async fn fit_async(
        &mut self,
        data: impl TryInto<AnyDataset, Error: Into<Error>>,
        fit: Fit<'_>,
    ) -> Result<History> {
        self.fit_any(data.try_into().map_err(Into::into)?, fit).await
    }

    async fn fit_any(&mut self, data: AnyDataset, mut fit: Fit<'_>) -> Result<History> {
        fit.validate()?;
        let mut history = History::default();
        let (training, validation) = match fit.validation_data.take() {
            Some(validation) => (data, Some(validation)),
            None if fit.validation_split > 0.0 => {
                let (training, validation) = data.split_validation(fit.validation_split)?;
                warn(&mut history, odd_split(&training, &validation));
                (training, Some(validation))
            }
            None => (data, None),
        };
        warn(&mut history, odd_samples(self, &training));
        let mut executor = self.executor().await?;
        Course::new(self, &mut executor, &Sets { training, validation }, fit, history)?.run().await
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
