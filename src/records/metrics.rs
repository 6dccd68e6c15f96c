//! What training and evaluation count: plain numbers, summed in f64 on the host.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernels::advance_step::Counter;

/// A loss and an accuracy over some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The mean loss. In training it includes the L2 penalty; in evaluation it does not, nor label smoothing. Where it is
    /// no finite number, JSON has it as text: `"NaN"`, `"inf"`, `"-inf"`.
    #[serde(with = "crate::records::number")]
    pub loss: f64,
    /// The share of right answers, 0 to 1; `None` for regression.
    pub accuracy: Option<f64>,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}", self.loss)?;
        match self.accuracy {
            Some(accuracy) => write!(f, ", accuracy {:.2} %", 100.0 * accuracy),
            None => Ok(()),
        }
    }
}

/// One step's numbers, as the device keeps them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepStatistics {
    pub loss_sum: f64,
    pub correct: f64,
    pub penalty: f64,
    pub rows: f64,
}

impl StepStatistics {
    pub fn all(values: &[f32]) -> impl Iterator<Item = StepStatistics> + '_ {
        values.chunks_exact(Counter::COUNT).map(|slot| StepStatistics {
            loss_sum: Counter::Loss.of(slot),
            correct: Counter::Correct.of(slot),
            penalty: Counter::Penalty.of(slot),
            rows: Counter::Rows.of(slot),
        })
    }
}

/// Sums over steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    counts_answers: bool,
    loss_sum: f64,
    correct: f64,
    rows: f64,
}

impl Meter {
    /// `counts_answers`: whether accuracy means anything.
    pub fn new(counts_answers: bool) -> Self {
        Meter { counts_answers, loss_sum: 0.0, correct: 0.0, rows: 0.0 }
    }

    pub fn add(&mut self, step: StepStatistics) {
        // The penalty counts once a step, whatever its rows; Keras weighs each step's loss with its rows.
        self.loss_sum += step.loss_sum + step.penalty * step.rows;
        self.correct += step.correct;
        self.rows += step.rows;
    }

    /// What has been added up, to go on from another time.
    pub fn sums(&self) -> [f64; 3] {
        [self.loss_sum, self.correct, self.rows]
    }

    /// One that goes on from such sums; from nothing where there are none.
    pub fn after(counts_answers: bool, sums: &[f64]) -> Self {
        let &[loss_sum, correct, rows] = sums else { return Meter::new(counts_answers) };
        Meter { counts_answers, loss_sum, correct, rows }
    }

    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// The means so far.
    pub fn score(&self) -> Score {
        Score { loss: self.loss_sum / self.rows, accuracy: self.counts_answers.then(|| self.correct / self.rows) }
    }
}
