//! From counts and sums to metrics: what must be counted for a list of them, and what each makes of it.

use crate::kernels::count_answers::{BUCKETS, Tables};
use crate::kernels::sum_errors::SUMS;
use crate::net::metrics::{Average, Metric};
use crate::records::metric_value::{ConfusionMatrix, MetricValue};

/// Classes that a confusion matrix may have: four megabytes of counts.
pub(crate) const MOST_CLASSES: usize = 1024;

/// Outputs that R² may be of: each has its own sums in every step's slot.
pub(crate) const MOST_R2_OUTPUTS: usize = 1024;

/// Groups of outputs whose errors are summed apart, where nothing is asked of single outputs.
const GROUPS: usize = 64;

/// A list of metrics, and what is counted for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    pub metrics: Vec<Metric>,
    pub outputs: usize,
    /// What the output of a net with one is above where its class is 1.
    pub threshold: f32,
    pub tables: Tables,
    /// Groups of outputs whose errors are summed apart; 0 where none are.
    pub groups: usize,
}

/// Right answers, answers, and samples of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answers {
    right: u64,
    answers: u64,
    samples: u64,
}

/// Sums over the steps so far of one group's errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Errors {
    absolute: f64,
    squares: f64,
    /// Of the targets: how many, their mean, and the sum of their squared distances from it.
    count: f64,
    mean: f64,
    spread: f64,
}

/// What a pass over the data has found.
pub(crate) struct Found<'f> {
    /// The share of right answers.
    pub accuracy: f64,
    /// Samples that were counted.
    pub rows: f64,
    pub errors: &'f [Errors],
    pub counts: &'f [u32],
}

impl Counted {
    pub fn new(metrics: Vec<Metric>, outputs: usize, threshold: f32) -> Self {
        let mut tables = Tables::default();
        let mut groups = 0;
        for &metric in &metrics {
            match metric {
                Metric::TopKAccuracy(k) => tables.ranks = tables.ranks.max(k),
                Metric::ConfusionMatrix => tables.matrix = true,
                Metric::Auc => tables.curve = true,
                _ if metric.is_by_class() => tables.classes = true,
                _ if metric.is_of_errors() => groups = groups.max(outputs.min(GROUPS)),
                _ => {}
            }
            if metric == Metric::R2Score {
                groups = outputs;
            }
            if let Some(threshold) = metric.threshold().filter(|threshold| !tables.thresholds.contains(threshold)) {
                tables.thresholds.push(threshold);
            }
        }
        Counted { metrics, outputs, threshold, tables, groups }
    }

    /// Whether all can be had from the loss's own rows.
    pub fn is_free(&self) -> bool {
        self.metrics.iter().all(|metric| metric.is_free())
    }

    /// Whether the values of the outputs are wanted, or only their order.
    pub fn needs_values(&self) -> bool {
        !self.metrics.iter().all(|metric| metric.is_of_order(self.outputs))
    }

    /// Every metric with its value, but for the accuracy, which each score has.
    pub fn values(&self, found: &Found<'_>) -> Vec<(String, MetricValue)> {
        let named = self.metrics.iter().filter(|metric| **metric != Metric::Accuracy);
        named.map(|metric| (metric.to_string(), self.value(*metric, found))).collect()
    }

    fn value(&self, metric: Metric, found: &Found<'_>) -> MetricValue {
        let elements = found.rows * self.outputs as f64;
        let sum = |of: fn(&Errors) -> f64| found.errors.iter().map(of).sum::<f64>() / elements;
        MetricValue::Number(match metric {
            Metric::Accuracy | Metric::CategoricalAccuracy => found.accuracy,
            Metric::TopKAccuracy(k) => {
                found.counts[..k].iter().map(|&count| f64::from(count)).sum::<f64>() / found.rows
            }
            Metric::MeanAbsoluteError => sum(|errors| errors.absolute),
            Metric::MeanSquaredError => sum(|errors| errors.squares),
            Metric::RootMeanSquaredError => sum(|errors| errors.squares).sqrt(),
            Metric::R2Score => mean(found.errors.iter().map(Errors::r2_score)),
            Metric::BinaryAccuracy { threshold } => {
                let all = together(&self.above(threshold, found));
                let wrong = all.answers + all.samples - 2 * all.right;
                1.0 - wrong as f64 / elements
            }
            Metric::Auc => self.area(found),
            Metric::ConfusionMatrix => return self.matrix(found).into(),
            Metric::Precision { average, threshold } => {
                return self.averaged(Answers::precision, average, threshold, found);
            }
            Metric::Recall { average, threshold } => return self.averaged(Answers::recall, average, threshold, found),
            Metric::F1 { average, threshold } => return self.averaged(Answers::f1, average, threshold, found),
        })
    }

    fn averaged(
        &self,
        share: fn(&Answers) -> f64,
        average: Average,
        threshold: Option<f32>,
        found: &Found<'_>,
    ) -> MetricValue {
        let classes = match threshold {
            Some(threshold) => self.above(threshold, found),
            None => answers(found.counts, self.tables.classes_at(), Tables::classes_of(self.outputs)),
        };
        MetricValue::Number(match average {
            Average::ByClass => return MetricValue::ByClass(classes.iter().map(share).collect()),
            Average::Macro => mean(classes.iter().map(share)),
            Average::Micro => share(&together(&classes)),
            Average::Weighted => {
                let samples = together(&classes).samples;
                let weighted: f64 = classes.iter().map(|class| share(class) * class.samples as f64).sum();
                if samples == 0 { 0.0 } else { weighted / samples as f64 }
            }
        })
    }

    /// What each output above a threshold says.
    fn above(&self, threshold: f32, found: &Found<'_>) -> Vec<Answers> {
        let index = self.tables.thresholds.iter().position(|one| *one == threshold).unwrap_or(0);
        let start = self.tables.thresholds_at(self.outputs) + 3 * self.outputs * index;
        answers(found.counts, start, self.outputs)
    }

    fn matrix(&self, found: &Found<'_>) -> ConfusionMatrix {
        let classes = Tables::classes_of(self.outputs);
        let counts = &found.counts[self.tables.matrix_at(self.outputs)..][..classes * classes];
        ConfusionMatrix::new(classes, counts.iter().map(|&count| count.into()).collect())
    }

    /// The area under the ROC curve: at each threshold the shares of positives and of negatives above it, with trapezoids
    /// between. Neither share is anything but 0 where there are none.
    fn area(&self, found: &Found<'_>) -> f64 {
        let counts = &found.counts[self.tables.curve_at(self.outputs)..][..2 * BUCKETS];
        let of_kind = |kind: usize| counts.iter().skip(kind).step_by(2).map(|&count| f64::from(count));
        let all = [0, 1].map(|kind| of_kind(kind).sum::<f64>());
        let share = |above: f64, kind: usize| if all[kind] == 0.0 { 0.0 } else { above / all[kind] };
        let (mut area, mut above) = (0.0, [0.0; 2]);
        // From the highest threshold, above which there is nothing, down.
        for bucket in counts.chunks_exact(2).rev() {
            let before = above;
            (0..2).for_each(|kind| above[kind] += f64::from(bucket[kind]));
            let height = (share(before[1], 1) + share(above[1], 1)) / 2.0;
            area += (share(above[0], 0) - share(before[0], 0)) * height;
        }
        area
    }
}

fn answers(counts: &[u32], start: usize, classes: usize) -> Vec<Answers> {
    let three = |counts: &[u32]| {
        let [right, answers, samples] = [0, 1, 2].map(|at| u64::from(counts[at]));
        Answers { right, answers, samples }
    };
    counts[start..][..3 * classes].chunks_exact(3).map(three).collect()
}

fn together(classes: &[Answers]) -> Answers {
    let sum = |of: fn(&Answers) -> u64| classes.iter().map(of).sum();
    Answers { right: sum(|one| one.right), answers: sum(|one| one.answers), samples: sum(|one| one.samples) }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// None of none is 0, as in Keras.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Answers {
    fn precision(&self) -> f64 {
        share(self.right, self.answers)
    }

    fn recall(&self) -> f64 {
        share(self.right, self.samples)
    }

    fn f1(&self) -> f64 {
        share(2 * self.right, self.answers + self.samples)
    }
}

impl Errors {
    /// Adds a step's sums over so many rows. Means and spreads join as Chan, Golub and LeVeque have it, so that nothing cancels
    /// however far from zero the targets lie.
    pub fn add(&mut self, sums: &[f32; SUMS], rows: f64) {
        let [absolute, squares, mean, spread] = sums.map(f64::from);
        self.absolute += absolute;
        self.squares += squares;
        let (count, apart) = (self.count + rows, mean - self.mean);
        if count > 0.0 {
            self.spread += spread + apart * apart * self.count * rows / count;
            self.mean += apart * rows / count;
        }
        self.count = count;
    }

    /// 1 − the share of the targets' spread that is left; 0 where the targets are all the same but for rounding, as in Keras.
    fn r2_score(&self) -> f64 {
        // Each step's mean is rounded to f32; four units of its last place.
        let rounding = 4.0 * f64::from(f32::EPSILON) * self.mean.abs();
        if self.spread <= self.count * rounding * rounding { 0.0 } else { 1.0 - self.squares / self.spread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_far_from_zero_keep_their_spread() {
        let mut errors = Errors::default();
        // 1e6 ± 1 in two steps, all answered with 1e6.
        errors.add(&[2.0, 2.0, 1e6 + 1.0, 0.0], 2.0);
        errors.add(&[2.0, 2.0, 1e6 - 1.0, 0.0], 2.0);
        assert_eq!((errors.mean, errors.spread, errors.r2_score()), (1e6, 4.0, 0.0));
        let mut same = Errors::default();
        same.add(&[0.0, 0.25, 0.1, 1e-16], 8.0);
        assert_eq!(same.r2_score(), 0.0, "there is nothing to explain");
    }

    #[test]
    fn thresholds_and_ranks_are_counted_once() {
        let metrics = ["precision", "recall", "binary_accuracy", "top_2_accuracy", "top_5_accuracy", "mae", "f1_macro"];
        let counted = Counted::new(metrics.map(|name| name.parse().unwrap()).to_vec(), 10, 0.5);
        let tables = Tables { ranks: 5, classes: true, thresholds: vec![0.5], ..Tables::default() };
        assert_eq!((&counted.tables, counted.groups), (&tables, 10));
        assert_eq!(tables.words(10), 5 + 30 + 30);
        assert!(counted.needs_values() && !counted.is_free());
        let order = Counted::new(vec![Metric::ConfusionMatrix], 10, 0.5);
        assert!(!order.needs_values());
        assert!(Counted::new(vec![Metric::ConfusionMatrix], 1, 0.5).needs_values());
    }
}
