//! The metrics of cases of the second format: the library's own, as its devices count them, against Keras's.

use serde_json::Value;
use wgrad::{ConfusionMatrix, Metric, MetricValue, Score};

use crate::compare::near;

/// Every metric that a case has.
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

/// What a model must be asked to measure for these names.
pub fn asked<'n>(names: impl Iterator<Item = &'n String>) -> Result<Vec<Metric>, String> {
    names.map(|name| name.parse().map_err(|_| format!("unknown metric {name:?}"))).collect()
}

/// Compares a metric with what Keras has.
pub fn check(name: &str, expected: &Value, score: &Score) -> Result<(), String> {
    let message = |error: serde_json::Error| format!("{name}: {error}");
    match score.value(name) {
        Some(MetricValue::Matrix(found)) => {
            let expected: ConfusionMatrix = serde_json::from_value(expected.clone()).map_err(message)?;
            let same = *found == expected;
            if same { Ok(()) } else { Err(format!("{name}:\n{found}\nKeras has\n{expected}")) }
        }
        Some(MetricValue::ByClass(found)) => {
            let expected: Vec<f64> = serde_json::from_value(expected.clone()).map_err(message)?;
            if found.len() != expected.len() {
                return Err(format!("{name}: {} classes, Keras has {}", found.len(), expected.len()));
            }
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.try_for_each(|(class, (found, expected))| {
                near(&format!("{name} of class {class}"), *found, expected, BOUND)
            })
        }
        _ => {
            let found = score.metric(name).ok_or_else(|| format!("{name} was not measured"))?;
            near(name, found, serde_json::from_value(expected.clone()).map_err(message)?, BOUND)
        }
    }
}
