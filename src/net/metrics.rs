//! What may be measured beside the loss, as plain data: Keras's metrics, and averages over classes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Something that is measured in training, validation and evaluation; asked for with
/// [`Model::set_metrics`](crate::Model::set_metrics). All are unweighted, as Keras's `metrics` are: sample weights count
/// in the loss alone.
///
/// Metrics see what [`Model::predict`](crate::Model::predict) returns. As text they are the names in a
/// [`Score`](crate::Score):
///
/// | name | in Keras |
/// | --- | --- |
/// | `accuracy` | `"accuracy"`: by the loss and the targets; every score has it |
/// | `categorical_accuracy` | `CategoricalAccuracy()`, `SparseCategoricalAccuracy()` |
/// | `binary_accuracy` | `BinaryAccuracy()` |
/// | `top_3_accuracy` | `TopKCategoricalAccuracy(k=3)`, also for class ids |
/// | `mean_absolute_error`, `mae` | `MeanAbsoluteError()` |
/// | `mean_squared_error`, `mse` | `MeanSquaredError()` |
/// | `root_mean_squared_error`, `rmse` | `RootMeanSquaredError()` |
/// | `r2_score` | `R2Score()` |
/// | `precision`, `recall` | `Precision()`, `Recall()`: outputs above 0.5, all together |
/// | `f1` | `F1Score(average="micro", threshold=0.5)` |
/// | `f1_by_class`, `f1_macro`, `f1_micro`, `f1_weighted` | `F1Score(average=…)`; likewise `precision_…`, `recall_…` |
/// | `auc` | `AUC()` |
/// | `confusion_matrix` | `tf.math.confusion_matrix` |
///
/// A threshold other than one half is written behind: `binary_accuracy_above_0.3`, `precision_above_0.9`,
/// `f1_macro_above_0.5`.
///
/// ```
/// use wgrad::{Average, Metric};
///
/// assert_eq!("f1_macro".parse::<Metric>()?, Metric::f1(Average::Macro));
/// assert_eq!("precision".parse::<Metric>()?, Metric::Precision { average: Average::Micro, threshold: Some(0.5) });
/// assert_eq!(Metric::TopKAccuracy(3).to_string(), "top_3_accuracy");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Metric {
    /// The share of right answers, by the loss and the targets: [`Score::accuracy`](crate::Score::accuracy), which every
    /// score of a classifier has at no cost. Asking for it refuses regressions.
    Accuracy,
    /// The share of samples whose first largest output stands where the first largest target does. Costs nothing.
    CategoricalAccuracy,
    /// The share of outputs that lie on their target's side: above the threshold, 0.5 in Keras, where the target is above
    /// one half.
    BinaryAccuracy {
        /// What an output that says yes is above.
        threshold: f32,
    },
    /// The share of samples of which fewer than k outputs are larger than that of the right class.
    TopKAccuracy(usize),
    /// The mean of |y − t|.
    MeanAbsoluteError,
    /// The mean of (y − t)².
    MeanSquaredError,
    /// The root of the mean of (y − t)².
    RootMeanSquaredError,
    /// 1 − Σ(y − t)² / Σ(t − t̄)² of each output, and the mean of these.
    R2Score,
    /// Of the answers for a class, the share that is right; 0 where there are none.
    Precision {
        /// Over what.
        average: Average,
        /// What an output that says yes is above; `None`: the answer is the class of the largest output.
        threshold: Option<f32>,
    },
    /// Of the samples of a class, the share that is found; 0 where there are none.
    Recall {
        /// Over what.
        average: Average,
        /// As for precision.
        threshold: Option<f32>,
    },
    /// The harmonic mean of precision and recall.
    F1 {
        /// Over what.
        average: Average,
        /// As for precision.
        threshold: Option<f32>,
    },
    /// The area under the ROC curve of all outputs together, by Keras's 200 thresholds and trapezoids. Targets above one
    /// half are positive. The net ends in sigmoid or softmax.
    Auc,
    /// How often the samples of each class got which answer; see [`ConfusionMatrix`](crate::ConfusionMatrix).
    ConfusionMatrix,
}

/// Over what precision, recall and F1 are taken.
///
/// The classes are the net's outputs; a net with one output has two, 0 and 1, unless a threshold is given: then it has the
/// one that the output stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// One number a class.
    ByClass,
    /// The mean over the classes.
    Macro,
    /// Of all classes' counts together.
    Micro,
    /// The mean over the classes, each weighing what share of the samples it has.
    Weighted,
}

/// Keras's threshold.
const HALF: f32 = 0.5;

/// What a threshold is written behind.
const ABOVE: &str = "_above_";

impl Metric {
    /// Precision by the largest output.
    pub fn precision(average: Average) -> Self {
        Metric::Precision { average, threshold: None }
    }

    /// Recall by the largest output.
    pub fn recall(average: Average) -> Self {
        Metric::Recall { average, threshold: None }
    }

    /// F1 by the largest output.
    pub fn f1(average: Average) -> Self {
        Metric::F1 { average, threshold: None }
    }

    /// Whether more is better: so of all but the errors.
    pub fn more_is_better(self) -> bool {
        use Metric::{MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError};
        !matches!(self, MeanAbsoluteError | MeanSquaredError | RootMeanSquaredError)
    }

    /// The threshold that outputs are compared with, if they are.
    pub(crate) fn threshold(self) -> Option<f32> {
        match self {
            Metric::BinaryAccuracy { threshold } => Some(threshold),
            Metric::Precision { threshold, .. } | Metric::Recall { threshold, .. } | Metric::F1 { threshold, .. } => {
                threshold
            }
            _ => None,
        }
    }

    /// Whether answers are classes, by the largest output.
    pub(crate) fn is_by_class(self) -> bool {
        use Metric::{F1, Precision, Recall};
        matches!(self, Precision { threshold: None, .. } | Recall { threshold: None, .. } | F1 { threshold: None, .. })
    }

    /// Whether it can be had from the loss's own rows.
    pub(crate) fn is_free(self) -> bool {
        matches!(self, Metric::Accuracy | Metric::CategoricalAccuracy)
    }

    /// Whether it is a mean of errors.
    pub(crate) fn is_of_errors(self) -> bool {
        !self.more_is_better() || self == Metric::R2Score
    }

    /// Whether only the order of a sample's outputs counts, and not their values.
    pub(crate) fn is_of_order(self, outputs: usize) -> bool {
        let order = matches!(self, Metric::TopKAccuracy(_) | Metric::ConfusionMatrix) || self.is_by_class();
        self.is_free() || (order && outputs > 1)
    }

    /// The names that there are, for messages.
    pub(crate) fn known() -> &'static str {
        "accuracy, categorical_accuracy, binary_accuracy, top_K_accuracy, mean_absolute_error, mean_squared_error, \
         root_mean_squared_error, r2_score, precision, recall or f1 (also …_by_class, …_macro, …_micro, …_weighted), auc, \
         confusion_matrix; a threshold behind those that have one, as in precision_above_0.3"
    }
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Average::ByClass => "by_class",
            Average::Macro => "macro",
            Average::Micro => "micro",
            Average::Weighted => "weighted",
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, average) = match self {
            Metric::Accuracy => ("accuracy", None),
            Metric::CategoricalAccuracy => ("categorical_accuracy", None),
            Metric::BinaryAccuracy { .. } => ("binary_accuracy", None),
            Metric::TopKAccuracy(k) => return write!(f, "top_{k}_accuracy"),
            Metric::MeanAbsoluteError => ("mean_absolute_error", None),
            Metric::MeanSquaredError => ("mean_squared_error", None),
            Metric::RootMeanSquaredError => ("root_mean_squared_error", None),
            Metric::R2Score => ("r2_score", None),
            Metric::Precision { average, .. } => ("precision", Some(*average)),
            Metric::Recall { average, .. } => ("recall", Some(*average)),
            Metric::F1 { average, .. } => ("f1", Some(*average)),
            Metric::Auc => ("auc", None),
            Metric::ConfusionMatrix => ("confusion_matrix", None),
        };
        f.write_str(name)?;
        match average {
            // Keras's `Precision` and `Recall`: the average need not be said.
            None => {}
            Some(Average::Micro) if self.threshold().is_some() => {}
            Some(average) => write!(f, "_{average}")?,
        }
        // One half need not be said where there is no other reading.
        let plain = matches!(average, None | Some(Average::Micro));
        match self.threshold() {
            Some(threshold) if !(plain && threshold == HALF) => write!(f, "{ABOVE}{threshold}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        named(name).ok_or_else(|| Error::configuration("metric", Metric::known(), format!("{name:?}")))
    }
}

fn named(name: &str) -> Option<Metric> {
    let (base, above) = match name.split_once(ABOVE) {
        Some((base, threshold)) => (base, Some(threshold.parse().ok()?)),
        None => (name, None),
    };
    let plain = match base {
        "accuracy" => Metric::Accuracy,
        "categorical_accuracy" | "sparse_categorical_accuracy" => Metric::CategoricalAccuracy,
        "binary_accuracy" => return Some(Metric::BinaryAccuracy { threshold: above.unwrap_or(HALF) }),
        "mean_absolute_error" | "mae" => Metric::MeanAbsoluteError,
        "mean_squared_error" | "mse" => Metric::MeanSquaredError,
        "root_mean_squared_error" | "rmse" => Metric::RootMeanSquaredError,
        "r2_score" => Metric::R2Score,
        "auc" => Metric::Auc,
        "confusion_matrix" => Metric::ConfusionMatrix,
        _ => match base.strip_prefix("top_").and_then(|rest| rest.strip_suffix("_accuracy")) {
            Some(k) => Metric::TopKAccuracy(k.parse().ok()?),
            None => return averaged(base, above),
        },
    };
    above.is_none().then_some(plain)
}

/// Precision, recall and F1.
fn averaged(base: &str, above: Option<f32>) -> Option<Metric> {
    let (kind, average) = base.split_once('_').map_or((base, None), |(kind, average)| (kind, Some(average)));
    let (average, threshold) = match average {
        None => (Average::Micro, Some(above.unwrap_or(HALF))),
        Some("by_class") => (Average::ByClass, above),
        Some("macro") => (Average::Macro, above),
        Some("micro") => (Average::Micro, above),
        Some("weighted") => (Average::Weighted, above),
        Some(_) => return None,
    };
    Some(match kind {
        "precision" => Metric::Precision { average, threshold },
        "recall" => Metric::Recall { average, threshold },
        "f1" => Metric::F1 { average, threshold },
        _ => return None,
    })
}

impl From<Metric> for String {
    fn from(metric: Metric) -> String {
        metric.to_string()
    }
}

impl TryFrom<String> for Metric {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let mut all = vec![
            Metric::Accuracy,
            Metric::CategoricalAccuracy,
            Metric::BinaryAccuracy { threshold: 0.5 },
            Metric::BinaryAccuracy { threshold: 0.3 },
            Metric::TopKAccuracy(5),
            Metric::MeanAbsoluteError,
            Metric::MeanSquaredError,
            Metric::RootMeanSquaredError,
            Metric::R2Score,
            Metric::Auc,
            Metric::ConfusionMatrix,
        ];
        for average in [Average::ByClass, Average::Macro, Average::Micro, Average::Weighted] {
            for threshold in [None, Some(0.5), Some(-0.25), Some(1e-9)] {
                all.push(Metric::Precision { average, threshold });
                all.push(Metric::Recall { average, threshold });
                all.push(Metric::F1 { average, threshold });
            }
        }
        let mut names: Vec<_> = all.iter().map(ToString::to_string).collect();
        for (metric, name) in all.iter().zip(&names) {
            assert_eq!(name.parse::<Metric>().unwrap(), *metric, "{name}");
            let json = serde_json::to_string(metric).unwrap();
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), *metric, "{json}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len(), "each has a name of its own");
        for name in ["recall", "f1_micro", "precision_by_class", "f1_macro_above_0.5", "precision_above_0.9"] {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn unknown_names_are_refused_with_those_that_there_are() {
        for name in ["", "speed", "top_k_accuracy", "auc_above_0.5", "f1_of", "f1_macro_above_x", "precision_above_"] {
            let refused = name.parse::<Metric>().unwrap_err().to_string();
            assert!(refused.contains("confusion_matrix") && refused.contains(&format!("{name:?}")), "{refused}");
        }
    }
}
