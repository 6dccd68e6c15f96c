//! How many rows a batch of evaluation or prediction has, where that is wgrad's to say: as many as there are samples and as
//! fit, in the device's limits and in memory. It changes no result beyond rounding.

use crate::data::AnyDataset;
use crate::error::Result;
use crate::executor::Executor;
use crate::executor::rows::{sample_words, target_words};
use crate::model::Model;
#[cfg(feature = "native")]
use crate::plan::DataFormat;
use crate::plan::{Buffer, Mode, PlanKey};

/// Rows of a batch, at most.
pub(crate) const MOST_ROWS: usize = 1024;

/// Bytes that a batch's activations may take together, on whatever device.
const MOST_BYTES: u64 = 64 << 20;

impl Model {
    /// Rows of a batch for these samples.
    pub(crate) fn rows_at_once(&self, executor: &Executor, mode: Mode, data: &AnyDataset) -> Result<usize> {
        let example = match data {
            AnyDataset::InMemory(data) => data.take(1),
            AnyDataset::Streamed(data) => data.example().clone(),
        };
        let weighted = mode != Mode::Predict && example.sample_weights().is_some();
        // Rounded up, so that sets of many sizes share a handful of plans.
        let wanted = MOST_ROWS.min(data.len().next_power_of_two());
        let key = self.plan_key(mode, &example, weighted, wanted)?;
        if executor.has(&key) {
            return Ok(wanted);
        }
        let targets = if mode == Mode::Predict { 0 } else { target_words(&example) };
        let words = sample_words(&example).max(targets) as u64;
        Ok(self.fitting(key, wanted, words))
    }

    /// The same for samples that are made up: floats, with such targets.
    #[cfg(feature = "native")]
    pub(crate) fn rows_that_fit(&self, mode: Mode, format: DataFormat, wanted: usize) -> usize {
        let (fused, precision, device) = (self.fused, self.precision(), self.device().traits());
        let (room, metrics) = (self.room(), 0);
        let key =
            PlanKey { mode, capacity: wanted, format, fused, accumulates: false, precision, metrics, device, room };
        self.fitting(key, wanted, crate::kernels::padded(self.features()) as u64)
    }

    /// The largest power of two of rows, `wanted` at most, for which every buffer is within the device's limits and all
    /// activations together within [`MOST_BYTES`]; `sample` is the words of a row of the data set.
    fn fitting(&self, key: PlanKey, wanted: usize, sample: u64) -> usize {
        let recipe = self.recipe();
        // What a row adds to each buffer, whatever layers and passes there are.
        let [few, more] = [4, 8].map(|capacity| recipe.plan(PlanKey { capacity, ..key }).buffers);
        let words = |(few, more): (&Buffer, &Buffer)| more.words.saturating_sub(few.words).div_ceil(4) as u64;
        let rows: Vec<_> = few.iter().zip(&more).map(words).chain([sample]).collect();
        let (widest, all) = (rows.iter().max().copied().unwrap_or(0), rows.iter().sum::<u64>());
        let limit = self.device().largest_binding();
        let fits = |rows: usize| 4 * widest * rows as u64 <= limit && 4 * all * rows as u64 <= MOST_BYTES;
        let mut rows = wanted;
        while rows > 1 && !fits(rows) {
            rows /= 2;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dataset, Dense, Device, Loss, Result, Sequential, Sgd};

    fn rows(widths: &[usize], samples: usize, mode: Mode) -> Result<usize> {
        let net = widths[1..]
            .iter()
            .fold(Sequential::new(widths[0]), |net, &units| net.add(Dense::new(units).activation(Activation::Relu)));
        let model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
        let outputs = widths[widths.len() - 1];
        let row = Dataset::from_rows(vec![0.0; widths[0]], widths[0], vec![0.0; outputs], outputs)?;
        let data = AnyDataset::InMemory(row.subset(&vec![0; samples])?);
        let rows = model.rows_at_once(&*model.lock()?, mode, &data)?;
        Ok(rows)
    }

    #[test]
    fn a_batch_has_as_many_rows_as_there_are_samples_and_as_fit() -> Result<()> {
        // Input, hidden layer or output: whichever is wide decides. 64 MiB are 16,777,216 numbers.
        for (widths, samples, expected) in [
            (&[784, 512, 10][..], 2000, 1024),
            (&[784, 512, 10], 60, 64),
            (&[784, 512, 10], 1, 1),
            (&[1, 1], 3, 4),
            (&[20_000, 8], 700, 256),
            (&[8, 20_000], 700, 512),
            (&[8, 40_000, 8], 300, 256),
            (&[260_000, 1], 70, 32),
        ] {
            assert_eq!(rows(widths, samples, Mode::Predict)?, expected, "{widths:?}, {samples} samples");
        }
        Ok(())
    }
}
