//! The metrics of cases of the second format, as Keras defines them. The library's own come from its score; those that
//! it does not have are computed here from what it predicts. Each is too simple to be wrong.

use serde_json::Value;
use wgrad::Score;

use crate::compare::near;

/// Every metric there is.
pub const NAMES: [&str; 14] = [
    "accuracy",
    "top_3_accuracy",
    "confusion_matrix",
    "f1_by_class",
    "f1_macro",
    "precision_by_class",
    "recall_by_class",
    "binary_accuracy",
    "precision",
    "recall",
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "r2_score",
];

/// How far a metric may be from Keras's; counts are exact.
pub const BOUND: f64 = 1e-5;

/// What a model makes of the evaluation's samples.
pub struct Evaluation<'a> {
    pub score: Score,
    /// What it predicts, [samples, width].
    pub outputs: &'a [f32],
    pub width: usize,
    /// The class of each sample, or its row of targets.
    pub labels: &'a Labels,
}

pub enum Labels {
    Classes(Vec<u32>),
    Rows(Vec<f32>),
}

enum Metric {
    Number(f64),
    ByClass(Vec<f64>),
    /// Exact.
    Counts(Vec<Vec<u64>>),
}

/// Compares a metric with what Keras has.
pub fn check(name: &str, expected: &Value, evaluation: &Evaluation<'_>) -> Result<(), String> {
    let message = |error: serde_json::Error| format!("{name}: {error}");
    match metric(name, evaluation)? {
        Metric::Number(found) => near(name, found, serde_json::from_value(expected.clone()).map_err(message)?, BOUND),
        Metric::ByClass(found) => {
            let expected: Vec<f64> = serde_json::from_value(expected.clone()).map_err(message)?;
            if found.len() != expected.len() {
                return Err(format!("{name}: {} classes, Keras has {}", found.len(), expected.len()));
            }
            let mut pairs = found.into_iter().zip(expected).enumerate();
            pairs.try_for_each(|(class, (found, expected))| {
                near(&format!("{name} of class {class}"), found, expected, BOUND)
            })
        }
        Metric::Counts(found) => {
            let expected: Vec<Vec<u64>> = serde_json::from_value(expected.clone()).map_err(message)?;
            let same = found == expected;
            if same { Ok(()) } else { Err(format!("{name}: {found:?}, Keras has {expected:?}")) }
        }
    }
}

/// A metric by its name.
fn metric(name: &str, evaluation: &Evaluation<'_>) -> Result<Metric, String> {
    let confusion = || evaluation.confusion();
    let by_class = |of: fn(&ClassCounts) -> f64| Ok::<_, String>(counts(&confusion()?).iter().map(of).collect());
    Ok(match name {
        "accuracy" => Metric::Number(evaluation.score.accuracy.ok_or("the library counted no accuracy")?),
        "top_3_accuracy" => Metric::Number(evaluation.top_accuracy(3)?),
        "confusion_matrix" => Metric::Counts(confusion()?),
        "f1_by_class" => Metric::ByClass(by_class(ClassCounts::f1)?),
        "f1_macro" => Metric::Number(mean(&by_class(ClassCounts::f1)?)),
        "precision_by_class" => Metric::ByClass(by_class(ClassCounts::precision)?),
        "recall_by_class" => Metric::ByClass(by_class(ClassCounts::recall)?),
        "binary_accuracy" => Metric::Number(evaluation.mean_of(|y, t| f64::from(u8::from((y > 0.5) == (t > 0.5))))?),
        "precision" => Metric::Number(evaluation.above_one_half()?.precision()),
        "recall" => Metric::Number(evaluation.above_one_half()?.recall()),
        "mean_absolute_error" => Metric::Number(evaluation.mean_of(|y, t| (y - t).abs())?),
        "mean_squared_error" => Metric::Number(evaluation.mean_of(|y, t| (y - t).powi(2))?),
        "root_mean_squared_error" => Metric::Number(evaluation.mean_of(|y, t| (y - t).powi(2))?.sqrt()),
        "r2_score" => Metric::Number(evaluation.r2_score()?),
        _ => return Err(format!("unknown metric {name:?}")),
    })
}

/// Answers about one class, right and wrong.
struct ClassCounts {
    true_positives: u64,
    false_positives: u64,
    false_negatives: u64,
}

impl ClassCounts {
    fn precision(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    fn recall(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The harmonic mean of precision and recall.
    fn f1(&self) -> f64 {
        share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }
}

/// None of none is 0, as in Keras.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The counts of each class from `confusion[truth][prediction]`.
fn counts(confusion: &[Vec<u64>]) -> Vec<ClassCounts> {
    let of_class = |class: usize| {
        let answers: u64 = confusion.iter().map(|row| row[class]).sum();
        let truths: u64 = confusion[class].iter().sum();
        let right = confusion[class][class];
        ClassCounts { true_positives: right, false_positives: answers - right, false_negatives: truths - right }
    };
    (0..confusion.len()).map(of_class).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Evaluation<'_> {
    /// The class of each sample with its row of outputs.
    fn classified(&self) -> Result<impl Iterator<Item = (usize, &[f32])>, String> {
        let Labels::Classes(ids) = self.labels else { return Err("the labels are no classes".into()) };
        Ok(ids.iter().map(|&id| id as usize).zip(self.outputs.chunks_exact(self.width)))
    }

    fn confusion(&self) -> Result<Vec<Vec<u64>>, String> {
        let mut counts = vec![vec![0; self.width]; self.width];
        for (truth, row) in self.classified()? {
            let largest = row.iter().copied().fold(f32::MIN, f32::max);
            let answer = row.iter().position(|&output| output == largest).ok_or("an output is NaN")?;
            counts[truth][answer] += 1;
        }
        Ok(counts)
    }

    /// How often fewer than `k` outputs are larger than that of the right class.
    fn top_accuracy(&self, k: usize) -> Result<f64, String> {
        let hits = self.classified()?.map(|(truth, row)| row.iter().filter(|&&output| output > row[truth]).count() < k);
        Ok(mean(&hits.map(|hit| f64::from(u8::from(hit))).collect::<Vec<_>>()))
    }

    /// Each output with its target.
    fn pairs(&self) -> Result<impl Iterator<Item = (f64, f64)>, String> {
        let Labels::Rows(targets) = self.labels else { return Err("the labels are no rows of targets".into()) };
        Ok(self.outputs.iter().zip(targets).map(|(&y, &t)| (y.into(), t.into())))
    }

    fn mean_of(&self, what: impl Fn(f64, f64) -> f64) -> Result<f64, String> {
        Ok(mean(&self.pairs()?.map(|(y, t)| what(y, t)).collect::<Vec<_>>()))
    }

    /// Outputs above one half against targets above it, over all labels together.
    fn above_one_half(&self) -> Result<ClassCounts, String> {
        let count = |answer: bool, truth: bool| {
            Ok::<_, String>(self.pairs()?.filter(|&(y, t)| (y > 0.5, t > 0.5) == (answer, truth)).count() as u64)
        };
        Ok(ClassCounts {
            true_positives: count(true, true)?,
            false_positives: count(true, false)?,
            false_negatives: count(false, true)?,
        })
    }

    /// 1 − Σ(y − t)² / Σ(t − t̄)² of each output, and the mean of these. Where the targets are all the same, Keras has
    /// 0.
    fn r2_score(&self) -> Result<f64, String> {
        let pairs: Vec<_> = self.pairs()?.collect();
        let of_output = |column: usize| {
            let column: Vec<_> = pairs.iter().skip(column).step_by(self.width).collect();
            let middle = mean(&column.iter().map(|(_, t)| *t).collect::<Vec<_>>());
            let unexplained: f64 = column.iter().map(|(y, t)| (y - t).powi(2)).sum();
            let total: f64 = column.iter().map(|(_, t)| (t - middle).powi(2)).sum();
            if total == 0.0 { 0.0 } else { 1.0 - unexplained / total }
        };
        Ok(mean(&(0..self.width).map(of_output).collect::<Vec<_>>()))
    }
}
