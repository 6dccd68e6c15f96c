//! What `fit` returns: the figures of every epoch.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use crate::error::{Carried, Error, Result};
use crate::records::metrics::Score;
use crate::records::number;

/// The figures of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// Mean training loss and accuracy, and the model's metrics, taken as the epoch went on (before each update), as Keras
    /// reports them.
    pub train: Score,
    /// Those of the validation data after the epoch, where there is any.
    #[serde(default)]
    pub validation: Option<Score>,
    /// How long it took, validation excluded; 0 without a clock.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Training samples seen.
    pub samples: usize,
    /// The learning rate of the epoch's last batch; 0 in records of versions that did not keep it.
    #[serde(default)]
    pub learning_rate: f32,
}

impl EpochRecord {
    /// A figure by Keras's name: `loss`, `accuracy`, a metric's name, and with `val_` before it that of the validation;
    /// also `learning_rate`.
    pub fn figure(&self, name: &str) -> Option<f64> {
        match (name, name.strip_prefix("val_")) {
            ("learning_rate", _) => Some(self.learning_rate.into()),
            (_, Some(name)) => self.validation.as_ref()?.metric(name),
            _ => self.train.metric(name),
        }
    }

    /// The names and figures of both scores, and the learning rate.
    pub fn figures(&self) -> Vec<(String, f64)> {
        let of = |prefix: &'static str, score: &Score| {
            let first = [("loss", Some(score.loss)), ("accuracy", score.accuracy)];
            let first = first.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?)));
            let named = first.chain(score.numbers()).map(move |(name, value)| (format!("{prefix}{name}"), value));
            named.collect::<Vec<_>>()
        };
        let mut all = of("", &self.train);
        all.extend(self.validation.iter().flat_map(|score| of("val_", score)));
        all.push(("learning_rate".into(), self.learning_rate.into()));
        all
    }
}

/// Like the last line of an epoch that Keras prints: `loss: 0.2661 - accuracy: 0.9228 - val_loss: …`.
impl fmt::Display for EpochRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.figures().iter().enumerate() {
            write!(f, "{}{name}: {}", if index > 0 { " - " } else { "" }, short(*value))?;
        }
        Ok(())
    }
}

/// Four digits, as Keras has it: behind the point, or in all where that shows too little.
fn short(value: f64) -> String {
    if value == 0.0 || value.abs() >= 1e-3 { format!("{value:.4}") } else { format!("{value:.4e}") }
}

/// The figures of a training, epoch by epoch. An epoch that an observer ended early is in it, with what it had seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One record an epoch.
    pub epochs: Vec<EpochRecord>,
    /// What is odd about the training, though it was done: a validation split of samples that are sorted by class, inputs that look
    /// like unscaled bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl History {
    /// The last epoch's record.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }

    /// A table with a header line: `epoch,loss,accuracy,val_loss,val_accuracy,seconds`, then `learning_rate` and the metrics,
    /// those by class taken apart, without the confusion matrix. What was not measured is empty.
    pub fn to_csv(&self) -> String {
        let columns = self.columns();
        let mut text = format!("{}\n", columns.join(","));
        for record in &self.epochs {
            let cells: Vec<_> = columns.iter().map(|name| cell(record, name, |value| value.to_string())).collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        text
    }

    /// The same as a text to look at: a line an epoch below a header, in columns, with four digits.
    pub fn to_table(&self) -> String {
        let columns = self.columns();
        let mut lines = vec![columns.clone()];
        lines.extend(self.epochs.iter().map(|record| columns.iter().map(|name| cell(record, name, short)).collect()));
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let mut start = "";
            for (cell, &width) in line.iter().zip(&widths) {
                // Writing to a String cannot fail.
                let _ = write!(text, "{start}{cell:>width$}");
                start = "  ";
            }
            text.push('\n');
        }
        text
    }

    /// All of it as JSON, confusion matrices too. NaN and infinity, which JSON does not have, are `"NaN"`, `"inf"` and
    /// `"-inf"`.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Fit, History, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// let history = model.fit(&data, Fit::new().epochs(2))?;
    /// assert_eq!(History::from_json(&history.to_json()?)?, history);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// None that is known: nothing in a history has no JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::configuration("history", "figures", error))
    }

    /// Reads what [`History::to_json`] has written, in this version or an older one.
    ///
    /// # Errors
    /// [`Error::Configuration`](crate::Error::Configuration) that says where it is no history.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::configuration("history", "what to_json writes", error))
    }

    /// The names of the columns: those that were always there, then those that any epoch has beside them.
    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> =
            ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "learning_rate"]
                .map(String::from)
                .into();
        for (name, _) in self.epochs.iter().flat_map(EpochRecord::figures) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        columns
    }
}

fn cell(record: &EpochRecord, name: &str, written: impl Fn(f64) -> String) -> String {
    match name {
        "epoch" => record.epoch.to_string(),
        "seconds" => written(record.seconds),
        "learning_rate" => record.learning_rate.to_string(),
        name => record.figure(name).map_or_else(String::new, written),
    }
}

impl Error {
    /// The epochs of a training that [diverged](Error::Diverged), the last one with what it had seen; `None` of other errors.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Error, Fit, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![1e3, 2e3], 1, vec![1.0, 2.0], 1)?;
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// let error = model.fit(&data, Fit::new().epochs(50)).unwrap_err();
    /// let Error::Diverged { epoch, .. } = error else { panic!("{error}") };
    /// assert_eq!(error.history().map(|history| history.epochs.len()), Some(epoch));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn history(&self) -> Option<&History> {
        match self {
            Error::Diverged { history, .. } => history.get(),
            _ => None,
        }
    }
}

impl History {
    /// To go with an error.
    pub(crate) fn carried(self) -> Carried {
        Carried::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::records::metric_value::{ConfusionMatrix, MetricValue};

    /// Any f64 there is, often one that JSON does not have.
    fn figure(random: &mut Random) -> f64 {
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MIN_POSITIVE, f64::MAX];
        match random.below(2 * special.len()) {
            index if index < special.len() => special[index],
            _ => {
                let bits = (random.below(1 << 32) as u64) << 32 | random.below(1 << 32) as u64;
                let value = f64::from_bits(bits);
                // A NaN is a NaN, whatever else is in its bits.
                if value.is_nan() { f64::NAN } else { value }
            }
        }
    }

    fn score(random: &mut Random) -> Score {
        let loss = figure(random);
        let accuracy = (random.below(2) == 0).then(|| figure(random));
        let metrics = vec![
            ("mean_absolute_error".to_string(), MetricValue::Number(figure(random))),
            ("f1_by_class".to_string(), MetricValue::ByClass((0..3).map(|_| figure(random)).collect())),
            ("confusion_matrix".to_string(), ConfusionMatrix::new(2, vec![1, 2, u64::MAX, 4]).into()),
        ];
        Score { loss, accuracy, metrics: metrics.into_iter().take(random.below(4)).collect() }
    }

    fn drawn(random: &mut Random) -> History {
        let record = |epoch: usize, random: &mut Random| EpochRecord {
            epoch,
            train: score(random),
            validation: (random.below(2) == 0).then(|| score(random)),
            seconds: figure(random),
            samples: random.below(1000),
            learning_rate: random.unit(),
        };
        History {
            epochs: (1..=random.below(4)).map(|epoch| record(epoch, random)).collect(),
            warnings: (0..random.below(3)).map(|at| format!("warning {at}")).collect(),
        }
    }

    /// Bits and all: NaN is equal to nothing, but prints as itself.
    fn text(history: &History) -> String {
        format!("{history:?}")
    }

    #[test]
    fn json_is_read_back_whatever_the_figures_are() {
        let mut random = Random::new(3, 0);
        for _ in 0..2000 {
            let history = drawn(&mut random);
            let json = history.to_json().unwrap();
            assert_eq!(text(&History::from_json(&json).unwrap()), text(&history), "{json}");
        }
    }

    #[test]
    fn older_json_is_read() {
        let old = r#"{"epochs":[{"epoch":1,"train":{"loss":null,"accuracy":null},"validation":null,"seconds":0.5,"samples":4}]}"#;
        let history = History::from_json(old).unwrap();
        assert!(history.epochs[0].train.loss.is_nan());
        assert_eq!((history.epochs[0].train.accuracy, history.epochs[0].learning_rate), (None, 0.0));
        let wrong = old.replace("\"loss\":null", "\"loss\":\"much\"");
        assert!(History::from_json(&wrong).unwrap_err().to_string().contains("history"));
    }

    #[test]
    fn tables_have_a_column_for_each_figure() {
        let number = |value| MetricValue::Number(value);
        let metrics =
            vec![("auc".to_string(), number(0.75)), ("f1_by_class".into(), MetricValue::ByClass(vec![0.5, 1.0]))];
        let train = Score { loss: 0.125, accuracy: Some(0.5), metrics: metrics.clone() };
        let validation = Some(Score { loss: 1e-5, accuracy: None, metrics });
        let record = EpochRecord { epoch: 1, train, validation, seconds: 2.0, samples: 8, learning_rate: 0.5 };
        let history = History { epochs: vec![record], ..History::default() };
        let csv = "epoch,loss,accuracy,val_loss,val_accuracy,seconds,learning_rate,auc,f1_by_class_0,f1_by_class_1,\
                   val_auc,val_f1_by_class_0,val_f1_by_class_1\n1,0.125,0.5,0.00001,,2,0.5,0.75,0.5,1,0.75,0.5,1\n";
        assert_eq!(history.to_csv(), csv);
        let table = history.to_table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), lines[1].len(), "{table}");
        assert!(lines[1].contains("0.7500") && lines[1].contains("1.0000e-5"), "{table}");
        let line = history.epochs[0].to_string();
        assert!(line.starts_with("loss: 0.1250 - accuracy: 0.5000 - auc: 0.7500 - "), "{line}");
        assert!(line.ends_with(" - val_f1_by_class_1: 1.0000 - learning_rate: 0.5000"), "{line}");
        assert_eq!(history.epochs[0].figure("val_f1_by_class_0"), Some(0.5));
        assert_eq!(history.epochs[0].figure("val_accuracy"), None);
    }
}
