//! What a model measures beside its loss.

use std::sync::Arc;

use super::Model;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::net::activation::Activation;
use crate::net::metrics::Metric;
use crate::records::counted::{Counted, MOST_CLASSES, MOST_R2_OUTPUTS};

impl Model {
    /// Sets what is measured in `fit`, in its validation, and in `evaluate`, from the next call on: what Keras's `compile`
    /// takes as `metrics`. Each replaces what was set before; by default there are none. Loss and accuracy are in every
    /// score anyhow. Files and snapshots keep the list.
    ///
    /// Answers are counted on the device and read once a pass, errors summed there and read with the steps' losses. That
    /// costs a launch a step for the answers and one for the errors, if any of these are asked for; one more where a value
    /// of softmax or sigmoid is wanted that the loss does without; and the last layer is then not fused with its loss,
    /// since its outputs must be in memory. `accuracy` and `categorical_accuracy` cost nothing.
    ///
    /// ```
    /// use wgrad::{Activation, Average, Dataset, Dense, Device, Loss, Metric, Sequential, Sgd};
    ///
    /// let data = Dataset::from_classes(vec![0.1, 0.9, 0.8, 0.2], 2, vec![0, 1], 2)?;
    /// let mut model = Sequential::new(2)
    ///     .add(Dense::new(2).activation(Activation::Softmax))
    ///     .compile(&Device::cpu(), Sgd::default(), Loss::CategoricalCrossentropy)?;
    /// model.set_metrics([Metric::f1(Average::Macro), Metric::ConfusionMatrix, "auc".parse()?])?;
    /// let score = model.evaluate(&data)?;
    /// assert!(score.metric("f1_macro") <= Some(1.0) && score.metric("auc").is_some());
    /// assert_eq!(score.confusion_matrix().map(|matrix| matrix.total()), Some(2));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] for a metric that makes no sense of this net, which it names, and for one that is there
    /// twice; nothing is changed then. Whether the targets have an accuracy is known when data come: `fit` and `evaluate`
    /// refuse [`Metric::Accuracy`] of a regression.
    pub fn set_metrics(&mut self, metrics: impl IntoIterator<Item = Metric>) -> Result<()> {
        let metrics: Vec<_> = metrics.into_iter().collect();
        for (index, metric) in metrics.iter().enumerate() {
            if metrics[..index].contains(metric) {
                return Err(Error::configuration("metrics", "each metric once", format!("{metric} twice")));
            }
            self.check_metric(*metric)?;
        }
        if metrics != self.counted.metrics {
            // One output of a net without sigmoid that the loss takes for a logit says yes above zero.
            let threshold = if self.outputs_are_logits() { 0.0 } else { 0.5 };
            self.counted = Arc::new(Counted::new(metrics, self.outputs(), threshold));
            self.metrics_key += 1;
        }
        Ok(())
    }

    /// What is measured beside loss and accuracy.
    pub fn metrics(&self) -> &[Metric] {
        &self.counted.metrics
    }

    pub(crate) fn counted(&self) -> &Arc<Counted> {
        &self.counted
    }

    /// Which list of metrics a plan counts; 0 for none.
    pub(crate) fn metrics_key(&self) -> u32 {
        if self.counted.is_free() { 0 } else { self.metrics_key }
    }

    /// Whether the net ends in a linear layer whose outputs the loss takes for logits.
    pub(crate) fn outputs_are_logits(&self) -> bool {
        let linear = self.description().last_activation() == Activation::Linear;
        linear && self.loss().loss.activation().is_some()
    }

    fn check_metric(&self, metric: Metric) -> Result<()> {
        let outputs = self.outputs();
        let refused =
            |expected: String, found: String| Err(Error::configuration(format!("metric {metric}"), expected, found));
        let found = || format!("a net with {outputs}");
        match metric {
            Metric::CategoricalAccuracy if outputs == 1 => {
                refused("a net with several outputs; binary_accuracy is for one".into(), found())
            }
            Metric::TopKAccuracy(k) if k == 0 || k > outputs || outputs == 1 => {
                refused("a net with several outputs, and a K from 1 up to their number".into(), found())
            }
            Metric::ConfusionMatrix if outputs > MOST_CLASSES => {
                let expected = format!("a net with at most {MOST_CLASSES} outputs; f1_by_class and the like take any");
                refused(expected, found())
            }
            Metric::R2Score if outputs > MOST_R2_OUTPUTS => {
                refused(format!("a net with at most {MOST_R2_OUTPUTS} outputs"), found())
            }
            Metric::Auc => match self.description().last_activation() {
                Activation::Sigmoid | Activation::Softmax => Ok(()),
                other => refused(
                    "a net that ends in sigmoid or softmax, so in outputs from 0 to 1".into(),
                    other.to_string(),
                ),
            },
            _ => match metric.threshold().filter(|threshold| !threshold.is_finite()) {
                Some(threshold) => refused("a threshold that is a finite number".into(), threshold.to_string()),
                None => Ok(()),
            },
        }
    }

    /// Whether the targets have what is asked of them.
    pub(crate) fn check_metrics(&self, data: &Dataset) -> Result<()> {
        if self.counted.metrics.contains(&Metric::Accuracy) && !self.counts_answers(data) {
            let expected =
                "targets that are classes, or a cross-entropy; a regression has mean_absolute_error or r2_score";
            return Err(Error::configuration(
                "metric accuracy",
                expected,
                format!("target rows and {}", self.loss().loss),
            ));
        }
        let elements = data.len() as u64 * self.outputs() as u64;
        if elements > u64::from(u32::MAX) && !self.counted.is_free() {
            let expected =
                format!("at most {} outputs in a pass over the data, which are counted in 32 bits", u32::MAX);
            return Err(Error::configuration("metrics", expected, elements));
        }
        Ok(())
    }
}
