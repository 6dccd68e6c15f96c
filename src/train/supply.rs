//! What a run is fed with: a set in memory, bound once, or a streamed one, window after window.

use crate::data::batches::fill_order;
use crate::data::{AnyDataset, Check, ReadAhead, StreamedDataset, Windows};
use crate::error::Result;
use crate::executor::{Executor, Feed, Run};
use crate::model::{Model, binding};
use crate::plan::Mode;
use crate::records::metrics::Meter;
use crate::step::StepBlock;

/// A run, and where its samples come from.
pub(super) struct Fed {
    pub run: Run,
    /// Samples of a pass.
    pub samples: usize,
    pub counts_answers: bool,
    supply: Supply,
}

enum Supply {
    /// All samples are bound.
    InMemory {
        order: Vec<u32>,
        /// That of a pass to come, if it is settled already.
        ahead: Option<(Shuffle, Vec<u32>)>,
    },
    Streamed(Box<Streamed>),
}

struct Streamed {
    data: StreamedDataset,
    class_weight: Option<Vec<f32>>,
    check: Check,
    /// Those of the pass under way.
    windows: Option<ReadAhead>,
}

/// Seed and number of a shuffled epoch; `None` for a pass in the order of the samples.
pub(super) type Shuffle = Option<(u64, u64)>;

fn settle(order: &mut Vec<u32>, samples: usize, shuffle: Shuffle) {
    let (seed, epoch) = shuffle.unwrap_or_default();
    fill_order(order, samples, seed, epoch, shuffle.is_some());
}

impl Fed {
    pub fn batch_size(&self) -> usize {
        self.run.plan().key.capacity
    }

    /// Steps of a pass.
    pub fn steps(&self) -> usize {
        self.samples.div_ceil(self.batch_size())
    }

    /// Settles the order of a pass to come, so that it starts at once.
    pub fn prepare_pass(&mut self, shuffle: Shuffle) {
        if let Supply::InMemory { ahead, .. } = &mut self.supply {
            let mut order = Vec::new();
            settle(&mut order, self.samples, shuffle);
            *ahead = Some((shuffle, order));
        }
    }

    /// Starts a pass after so many of its steps: settles the order, or starts reading.
    pub fn begin_pass(&mut self, shuffle: Shuffle, steps: usize) {
        let batch_size = self.batch_size();
        let skipped = (steps * batch_size).min(self.samples);
        match &mut self.supply {
            Supply::InMemory { order, ahead } => {
                match ahead.take_if(|(of, _)| *of == shuffle) {
                    Some((_, settled)) => *order = settled,
                    None => settle(order, self.samples, shuffle),
                }
                order.drain(..skipped);
            }
            Supply::Streamed(streamed) => {
                let windows =
                    Windows::new(&streamed.data, batch_size, shuffle).after(skipped).checked(streamed.check.clone());
                streamed.windows = Some(ReadAhead::new(windows));
            }
        }
    }
}

impl Model {
    /// A run in batches of `batch_size`, or of all samples where there are fewer.
    pub(super) fn feed(
        &self,
        executor: &mut Executor,
        mode: Mode,
        data: &AnyDataset,
        class_weight: Option<&[f32]>,
        batch_size: usize,
        budget: u64,
    ) -> Result<Fed> {
        let (run, example, supply) = match data {
            AnyDataset::InMemory(data) => {
                let weights = match mode {
                    Mode::Predict => None,
                    _ => binding::sample_weights(data, class_weight)?,
                };
                let run = self.open(executor, mode, data, weights, batch_size, budget)?;
                (run, data, Supply::InMemory { order: Vec::new(), ahead: None })
            }
            AnyDataset::Streamed(data) => {
                binding::check_not_empty(data.len())?;
                let weighted = binding::sample_weights(data.example(), class_weight)?.is_some();
                let feed = Feed { budget, batch_size, window: Some(Windows::rows(data, batch_size)) };
                let run = self.open_streamed(executor, mode, data, weighted, feed)?;
                let class_weight = class_weight.map(<[f32]>::to_vec);
                let check = self.target_check(mode);
                let streamed = Streamed { data: data.clone(), class_weight, check, windows: None };
                (run, data.example(), Supply::Streamed(Box::new(streamed)))
            }
        };
        let counts_answers = self.counts_answers(example);
        Ok(Fed { run, samples: data.len(), counts_answers, supply })
    }

    /// A meter for a pass to come, or what is left of one whose steps so far add up to these sums; the counts of metrics
    /// start from zero.
    pub(super) fn meter(&self, executor: &mut Executor, fed: &Fed, sums: &[f64]) -> Result<Meter> {
        executor.clear_counts(&fed.run)?;
        Ok(Meter::new(fed.counts_answers, self.counted().clone()).after(sums))
    }

    /// Binds what comes next in a pass, all samples or another window; returns how many steps that is good for. Steps
    /// of the window before may still be under way.
    pub(super) fn refill(&self, executor: &mut Executor, fed: &mut Fed, step: StepBlock) -> Result<usize> {
        let (batch_size, precision) = (fed.batch_size(), self.precision());
        let rates = self.rates();
        let mut begin = |run: &mut Run, order: &[u32]| {
            let start = step.start(order.len() as u32, batch_size as u32);
            executor.begin(run, order, start, rates.clone())?;
            Ok(order.len().div_ceil(batch_size))
        };
        match &mut fed.supply {
            Supply::InMemory { order, .. } => begin(&mut fed.run, order),
            Supply::Streamed(streamed) => {
                let Streamed { class_weight, windows, .. } = &mut **streamed;
                // A pass asks for no more windows than it has; one that is asked for too many has no steps left.
                let Some(window) = windows.as_mut().and_then(ReadAhead::next) else { return Ok(0) };
                let window = window?;
                binding::check_range(&window.data, precision, |row| window.row(row))?;
                let weights = binding::sample_weights(&window.data, class_weight.as_deref())?;
                fed.run.replace(window.data, weights);
                begin(&mut fed.run, &window.order)
            }
        }
    }
}

#[cfg(test)]
mod tests;
