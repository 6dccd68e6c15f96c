//! What training and evaluation count: plain numbers, summed in f64 on the host.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kernels::advance_step::Counter;
use crate::kernels::sum_errors::SUMS;
use crate::records::counted::{Counted, Errors, Found};
use crate::records::metric_value::{ConfusionMatrix, MetricValue};
use crate::records::number;

/// A loss, an accuracy, and whatever else was asked for, over some samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The mean loss. In training it includes the L2 penalty; in evaluation it does not, nor label smoothing. Where it is
    /// no finite number, JSON has it as text: `"NaN"`, `"inf"`, `"-inf"`.
    #[serde(with = "number")]
    pub loss: f64,
    /// The share of right answers, 0 to 1; `None` for regression.
    #[serde(default, with = "number::optional")]
    pub accuracy: Option<f64>,
    /// The model's [metrics](crate::Model::set_metrics) with their names, in the order in which they were asked for. Of a
    /// [`StepRecord`](crate::StepRecord) there are none: they are read at the end of a pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<(String, MetricValue)>,
}

impl Score {
    /// A number by its name: `loss`, `accuracy`, or a metric's; that of class 2 of `f1_by_class` is `f1_by_class_2`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        match name {
            "loss" => Some(self.loss),
            "accuracy" => self.accuracy,
            _ => self.numbers().find(|(found, _)| found == name).map(|(_, value)| value),
        }
    }

    /// A metric's numbers, one a class: `f1_by_class`.
    pub fn by_class(&self, name: &str) -> Option<&[f64]> {
        match self.value(name)? {
            MetricValue::ByClass(values) => Some(values),
            _ => None,
        }
    }

    /// The confusion matrix, if it was asked for.
    pub fn confusion_matrix(&self) -> Option<&ConfusionMatrix> {
        self.metrics.iter().find_map(|(_, value)| match value {
            MetricValue::Matrix(matrix) => Some(matrix),
            _ => None,
        })
    }

    /// A metric by its name, whatever it is.
    pub fn value(&self, name: &str) -> Option<&MetricValue> {
        self.metrics.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The metrics that are numbers, those by class taken apart.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (String, f64)> + '_ {
        self.metrics.iter().flat_map(|(name, value)| match value {
            MetricValue::Number(value) => vec![(name.clone(), *value)],
            MetricValue::ByClass(values) => {
                (0..).zip(values).map(|(class, value)| (format!("{name}_{class}"), *value)).collect()
            }
            MetricValue::Matrix(_) => Vec::new(),
        })
    }
}

/// Loss, accuracy and the metrics that are single numbers.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}", self.loss)?;
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", 100.0 * accuracy)?;
        }
        self.metrics.iter().try_for_each(|(name, value)| match value {
            MetricValue::Number(value) => write!(f, ", {name} {value:.4}"),
            _ => Ok(()),
        })
    }
}

/// One step's numbers, as the device keeps them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepStatistics<'s> {
    pub loss_sum: f64,
    pub correct: f64,
    pub penalty: f64,
    pub rows: f64,
    /// What `sum_errors` found, a group of outputs after the other.
    errors: &'s [f32],
}

impl<'s> StepStatistics<'s> {
    /// Those of slots of so many numbers.
    pub fn all(values: &'s [f32], slot: usize) -> impl Iterator<Item = StepStatistics<'s>> {
        values.chunks_exact(slot).map(|slot| StepStatistics {
            loss_sum: Counter::Loss.of(slot),
            correct: Counter::Correct.of(slot),
            penalty: Counter::Penalty.of(slot),
            rows: Counter::Rows.of(slot),
            errors: &slot[Counter::COUNT..],
        })
    }
}

/// Sums over steps.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    counts_answers: bool,
    counted: Arc<Counted>,
    loss_sum: f64,
    correct: f64,
    rows: f64,
    /// Rows that metrics are of.
    measured: f64,
    errors: Vec<Errors>,
}

impl Meter {
    /// `counts_answers`: whether accuracy means anything; `counted`: what the device counts for metrics.
    pub fn new(counts_answers: bool, counted: Arc<Counted>) -> Self {
        let errors = vec![Errors::default(); counted.groups];
        Meter { counts_answers, counted, loss_sum: 0.0, correct: 0.0, rows: 0.0, measured: 0.0, errors }
    }

    pub fn add(&mut self, step: StepStatistics<'_>) {
        // The penalty counts once a step, whatever its rows; Keras weighs each step's loss with its rows.
        self.loss_sum += step.loss_sum + step.penalty * step.rows;
        self.correct += step.correct;
        self.rows += step.rows;
        self.measured += step.rows;
        let (sums, _) = step.errors.as_chunks::<SUMS>();
        self.errors.iter_mut().zip(sums).for_each(|(errors, sums)| errors.add(sums, step.rows));
    }

    /// What has been added up, to go on from another time.
    pub fn sums(&self) -> [f64; 3] {
        [self.loss_sum, self.correct, self.rows]
    }

    /// The same, going on from such sums, or from nothing where there are none. Metrics are of the steps to come alone.
    pub fn after(self, sums: &[f64]) -> Self {
        let &[loss_sum, correct, rows] = sums else { return self };
        Meter { loss_sum, correct, rows, ..self }
    }

    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// The means so far, without the metrics, which are known at the end.
    pub fn score(&self) -> Score {
        let accuracy = self.counts_answers.then(|| self.correct / self.rows);
        Score { loss: self.loss_sum / self.rows, accuracy, metrics: Vec::new() }
    }

    /// The score of a whole pass, with the tables that the device has filled.
    pub fn total(&self, counts: &[u32]) -> Score {
        let accuracy = self.correct / self.rows;
        let found = Found { accuracy, rows: self.measured, errors: &self.errors, counts };
        Score { metrics: self.counted.values(&found), ..self.score() }
    }
}
