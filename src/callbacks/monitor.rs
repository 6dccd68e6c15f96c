//! The figure that a callback goes by.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::net::metrics::Metric;
use crate::records::history::EpochRecord;

/// The figure that a callback goes by. As text these are Keras's names: `loss`, `accuracy`, `val_loss`, `val_accuracy`, and
/// `f1_macro` or `val_f1_macro` of a metric that the model [measures](crate::Model::set_metrics).
///
/// ```
/// use wgrad::{Metric, Monitor};
///
/// assert_eq!("val_auc".parse::<Monitor>()?, Monitor::ValidationMetric(Metric::Auc));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Monitor {
    /// The training loss.
    Loss,
    /// The training accuracy.
    Accuracy,
    /// The validation loss.
    #[default]
    ValidationLoss,
    /// The validation accuracy.
    ValidationAccuracy,
    /// A metric of the training that is one number.
    Metric(Metric),
    /// The same of the validation.
    ValidationMetric(Metric),
}

impl FromStr for Monitor {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "loss" => Monitor::Loss,
            "accuracy" => Monitor::Accuracy,
            "val_loss" => Monitor::ValidationLoss,
            "val_accuracy" => Monitor::ValidationAccuracy,
            _ => {
                let of_validation = name.strip_prefix("val_");
                let metric = of_validation.unwrap_or(name).parse().map_err(|_| unknown(name))?;
                if of_validation.is_some() { Monitor::ValidationMetric(metric) } else { Monitor::Metric(metric) }
            }
        })
    }
}

fn unknown(name: &str) -> Error {
    let expected = format!("loss, accuracy, val_loss, val_accuracy, or with val_ or without: {}", Metric::known());
    Error::configuration("monitor", expected, format!("{name:?}"))
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Monitor::Loss => f.write_str("loss"),
            Monitor::Accuracy => f.write_str("accuracy"),
            Monitor::ValidationLoss => f.write_str("val_loss"),
            Monitor::ValidationAccuracy => f.write_str("val_accuracy"),
            Monitor::Metric(metric) => metric.fmt(f),
            Monitor::ValidationMetric(metric) => write!(f, "val_{metric}"),
        }
    }
}

impl Monitor {
    fn more_is_better(self) -> bool {
        match self {
            Monitor::Loss | Monitor::ValidationLoss => false,
            Monitor::Accuracy | Monitor::ValidationAccuracy => true,
            Monitor::Metric(metric) | Monitor::ValidationMetric(metric) => metric.more_is_better(),
        }
    }

    /// Its value in an epoch.
    fn figure(self, record: &EpochRecord) -> Result<f64> {
        record.figure(&self.to_string()).ok_or_else(|| {
            let names: Vec<_> = record.figures().into_iter().map(|(name, _)| name).collect();
            let expected = format!(
                "a figure that the training has: {}; validation data bring those with val_, Model::set_metrics further ones",
                names.join(", ")
            );
            Error::configuration("monitor", expected, self)
        })
    }

    /// Its value in an epoch, turned such that less is better.
    pub(super) fn cost(self, record: &EpochRecord) -> Result<f64> {
        self.figure(record).map(|figure| if self.more_is_better() { -figure } else { figure })
    }

    /// `Break` once it is as good as `value`.
    pub(super) fn until(self, value: f64, record: &EpochRecord) -> Result<ControlFlow<()>> {
        let figure = self.figure(record)?;
        let reached = if self.more_is_better() { figure >= value } else { figure <= value };
        Ok(if reached { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
