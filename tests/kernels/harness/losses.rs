//! What the losses' tests share: targets of every kind, and a loss's launch on random outputs.

use wgrad::Loss;
use wgrad::kernels::scale::LossScale;
use wgrad::kernels::targets::TargetLayout;
use wgrad::kernels::{Kernel, padded};

use super::{Array, Case, Output, POISON, Random, Trials, batches, step_of};

/// What the targets of a case are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets {
    /// Class ids.
    Ids,
    /// Rows with a single one.
    OneHot,
    /// Rows of any numbers from 0 to 1.
    Soft,
}

/// A loss's inputs, before they become a launch.
pub struct LossCase {
    /// How the targets are read.
    pub layout: TargetLayout,
    /// Rows of the batch.
    pub rows: usize,
    /// Rows that the launch is made for.
    pub capacity: usize,
    /// The model's outputs.
    pub z: Array,
    /// Ids or rows, each with the sample's weight behind it.
    pub labels: Array,
    /// Whether the gradient is asked for.
    pub gradient: bool,
}

impl LossCase {
    /// A case on outputs from −4 to 4, every tenth a whole number, so that there are ties.
    pub fn new(columns: usize, (rows, capacity): (usize, usize), targets: Targets, smoothing: (f32, f32)) -> Self {
        let mut random = Random::new(columns * rows + targets as usize);
        let layout = TargetLayout {
            ids: targets == Targets::Ids,
            columns,
            smoothing: smoothing.0,
            smoothing_share: smoothing.1,
        };
        let z = Array::matrix(rows, columns, capacity, |_, _| match random.below(10) {
            0 => random.uniform(-4.0, 4.0).round(),
            _ => random.uniform(-4.0, 4.0),
        });
        // Ids behind the batch are those of a larger one before it: no number that could be read by mistake.
        let mut words = vec![POISON; padded(capacity.max(rows)) * layout.label_words()];
        for label in words.chunks_exact_mut(layout.label_words()).take(rows) {
            let (row, weight) = label.split_at_mut(layout.words());
            fill_targets(&mut random, targets, columns, row);
            weight[0] = random.uniform(0.1, 2.0).to_bits();
        }
        LossCase { layout, rows, capacity, z, labels: Array::words(words), gradient: true }
    }

    /// A target as the loss sees it.
    pub fn target(&self, row: usize, column: usize) -> f64 {
        self.layout.at::<f64>(&self.labels.words, row, column)
    }

    /// A row of outputs.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        let start = row * padded(self.layout.columns);
        (start..start + self.layout.columns).map(|at| f64::from(self.z.at(at)))
    }

    /// A sample's weight.
    pub fn weight(&self, row: usize) -> f64 {
        self.layout.weight(&self.labels.words, row)
    }

    /// The launch. `loss_bounds` has one bound a row, `gradient_bounds` one an element [B, C]; how many answers are
    /// correct is a count, exact but for one quotient.
    pub fn case(self, kernel: Kernel, loss_bounds: Vec<f64>, gradient_bounds: Vec<f64>) -> Case {
        let (rows, columns, stride) = (self.rows, self.layout.columns, padded(self.layout.columns));
        let gradient_bound = move |at: usize, _: f64| gradient_bounds[at / stride * columns + at % stride];
        let gradient = match self.gradient {
            true => Output::matrix(rows, columns, self.capacity).within(gradient_bound),
            false => Output::dummy(),
        };
        let loss_bound = move |at: usize, correct: f64| match at % 2 {
            0 => loss_bounds[at / 2],
            _ if loss_bounds[at / 2].is_finite() => 4.0 * super::UNIT * correct,
            _ => f64::INFINITY,
        };
        let losses = Output::list(2 * rows, 2 * rows, 2 * padded(self.capacity.max(rows))).within(loss_bound);
        Case {
            kernel,
            step: step_of(rows),
            capacity: self.capacity,
            inputs: vec![self.z, self.labels],
            outputs: vec![gradient, losses],
        }
    }
}

fn fill_targets(random: &mut Random, targets: Targets, columns: usize, row: &mut [u32]) {
    match targets {
        // With one output the id is the target itself: 0 or 1.
        Targets::Ids => row[0] = random.below(columns.max(2)) as u32,
        Targets::OneHot => {
            let class = random.below(columns.max(2));
            row.iter_mut().enumerate().for_each(|(column, word)| *word = f32::from(column == class).to_bits());
        }
        Targets::Soft => row.iter_mut().for_each(|word| *word = random.uniform(0.0, 1.0).to_bits()),
    }
}

/// What targets may be, those that are rows of numbers together: they are data, and one shader serves.
pub const KINDS: [(&str, &[Targets]); 2] = [("ids", &[Targets::Ids]), ("rows", &[Targets::OneHot, Targets::Soft])];

/// What label smoothing adds to each target, of a loss's share of it for so many outputs.
pub fn smoothing(loss: Loss, share: f32, columns: usize) -> (f32, f32) {
    match loss {
        Loss::BinaryCrossentropy | Loss::BinaryFocalCrossentropy { .. } => (share, share / 2.0),
        _ => (share, share / columns as f32),
    }
}

/// Adds the cases of an operation that computes these losses, which take turns: every width with every kind of targets over
/// all batches, then smoothing and no gradient.
pub fn add(trials: &mut Trials, losses: &'static [Loss], finish: fn(Loss, LossCase) -> Case) {
    for (place, (name, kinds)) in KINDS.into_iter().enumerate() {
        let each = move |check: &dyn Fn(Targets) -> Result<(), String>| kinds.iter().try_for_each(|&kind| check(kind));
        let turn = move |turn: usize| losses[(2 * turn + place) % losses.len()];
        for (index, columns) in super::COLUMNS.into_iter().enumerate() {
            trials.add(&format!("columns_{columns}_{name}"), move |device| {
                each(&|targets| {
                    let case = |size| finish(turn(index), LossCase::new(columns, size, targets, (0.0, 0.0)));
                    batches().map(case).try_for_each(|case| case.check(device))
                })
            });
        }
        trials.add(&format!("smoothing_{name}"), move |device| {
            each(&|targets| {
                let case = |(index, columns)| {
                    let loss = turn(index);
                    finish(loss, LossCase::new(columns, (7, 9), targets, smoothing(loss, 0.1, columns)))
                };
                [1, 3, 10, 40].into_iter().enumerate().map(case).try_for_each(|case| case.check(device))
            })
        });
        trials.in_half(&format!("columns_{name}"), move |device| {
            each(&|targets| {
                let case = |(index, columns, size)| {
                    let loss = turn(index);
                    finish(loss, LossCase::new(columns, size, targets, smoothing(loss, 0.1, columns)))
                };
                let widths = [1, 3, 10, 70].into_iter().enumerate();
                let sizes = widths.flat_map(|(index, columns)| batches().map(move |size| (index, columns, size)));
                sizes.map(case).try_for_each(|case| case.check_half(device))
            })
        });
        // With a scale of 2²⁰ the gradients of these batches are beyond half precision's range.
        trials.in_half(&format!("saturated_{name}"), move |device| {
            let scale = LossScale { scale: 1_048_576.0, inverse: 1.0 / 1_048_576.0, steps: 3, saturated: 0 };
            each(&|targets| {
                let case = |columns| finish(losses[0], LossCase::new(columns, (2, 2), targets, (0.0, 0.0)));
                [1, 3].map(case).into_iter().try_for_each(|case| case.check_half_but(&[], scale, device))
            })
        });
        trials.add(&format!("no_gradient_{name}"), move |device| {
            each(&|targets| {
                let all = |columns| LossCase::new(columns, (7, 9), targets, (0.0, 0.0));
                let case = |(index, columns)| finish(turn(index), LossCase { gradient: false, ..all(columns) });
                [1, 10, 40].into_iter().enumerate().map(case).try_for_each(|case| case.check(device))
            })
        });
    }
}
