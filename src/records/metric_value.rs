//! What metrics come to: numbers, numbers by class, counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::records::number;

/// What a metric came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricValue {
    /// One number.
    Number(#[serde(with = "number")] f64),
    /// A number for each class.
    ByClass(#[serde(with = "number::list")] Vec<f64>),
    /// Counts.
    Matrix(ConfusionMatrix),
}

/// How often the samples of each class got which answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Vec<u64>>", try_from = "Vec<Vec<u64>>")]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    pub(crate) fn new(classes: usize, counts: Vec<u64>) -> Self {
        ConfusionMatrix { classes, counts }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// A row a class: how often its samples got each answer, from class 0 on.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes.max(1))
    }

    /// Samples of class `truth` that were taken for `answer`; 0 if there are no such classes.
    pub fn count(&self, truth: usize, answer: usize) -> u64 {
        self.rows().nth(truth).and_then(|row| row.get(answer)).copied().unwrap_or(0)
    }

    /// All samples that got an answer. One whose outputs are all NaN gets none.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl From<ConfusionMatrix> for Vec<Vec<u64>> {
    fn from(matrix: ConfusionMatrix) -> Self {
        matrix.rows().map(<[u64]>::to_vec).collect()
    }
}

impl TryFrom<Vec<Vec<u64>>> for ConfusionMatrix {
    type Error = String;

    fn try_from(rows: Vec<Vec<u64>>) -> Result<Self, String> {
        match rows.iter().find(|row| row.len() != rows.len()) {
            None => Ok(ConfusionMatrix::new(rows.len(), rows.concat())),
            Some(row) => Err(format!("a confusion matrix of {} rows has one of {}", rows.len(), row.len())),
        }
    }
}

/// A line a class, with a header of answers.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.counts.iter().max().copied().unwrap_or(0).max(self.classes as u64);
        let width = most.to_string().len().max(2) + 1;
        write!(f, "class")?;
        (0..self.classes).try_for_each(|class| write!(f, "{class:>width$}"))?;
        for (class, row) in self.rows().enumerate() {
            write!(f, "\n{class:>5}")?;
            row.iter().try_for_each(|count| write!(f, "{count:>width$}"))?;
        }
        Ok(())
    }
}

impl From<ConfusionMatrix> for MetricValue {
    fn from(matrix: ConfusionMatrix) -> Self {
        MetricValue::Matrix(matrix)
    }
}
