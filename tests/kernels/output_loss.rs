//! output_loss: every loss but softmax cross-entropy, with the gradient of the outputs, and which answers are correct.
//!
//! Bounds: each formula's own, argued in `output_loss/`, `elements.rs` for those that see one output and `rows.rs` for those
//! that see a row. Of the former, with the weight w, C outputs, of which each has the loss l off by e and the slope off by e':
//! - loss: w/C·(Σ e + sum_error(C)·Σ |l|), and some roundings;
//! - gradient: w/(B·C)·(e' + some roundings of the slope).
//!
//! Where the outputs are as near to a kink as they may be off, either slope will do.

mod elements;
mod rows;

use wgrad::Loss;
use wgrad::kernels::output_loss::OutputLoss;
use wgrad::kernels::padded;

use crate::harness::losses::{self, LossCase, Targets};
use crate::harness::{Case, Trials, UNIT, sum_error};
use crate::softmax_cross_entropy;

/// The losses with settings of their own; those that other tests lean on come first.
pub const LOSSES: [Loss; 16] = [
    Loss::MeanSquaredError,
    Loss::BinaryCrossentropy,
    Loss::CategoricalFocalCrossentropy { alpha: 0.3, gamma: 1.5 },
    Loss::BinaryFocalCrossentropy { alpha: None, gamma: 2.0 },
    Loss::BinaryFocalCrossentropy { alpha: Some(0.3), gamma: 0.5 },
    Loss::KlDivergence,
    Loss::Poisson,
    Loss::MeanAbsoluteError,
    Loss::MeanAbsolutePercentageError,
    Loss::MeanSquaredLogarithmicError,
    Loss::Huber { delta: 0.7 },
    Loss::LogCosh,
    Loss::Hinge,
    Loss::SquaredHinge,
    Loss::CategoricalHinge,
    Loss::CosineSimilarity,
];

pub fn cases(trials: &mut Trials) {
    losses::add(trials, &LOSSES, finish);
    for (index, loss) in LOSSES.into_iter().enumerate() {
        let name = format!("{loss}_{index}");
        // One invocation a row, and several.
        trials.add(&name, move |device| {
            let kinds = [Targets::Ids, Targets::OneHot, Targets::Soft];
            [(1, 0), (5, 1), (6, 2), (70, 2)].into_iter().try_for_each(|(columns, kind)| {
                finish(loss, LossCase::new(columns, (7, 9), kinds[(kind + index) % 3], (0.0, 0.0))).check(device)
            })
        });
        trials.add(&format!("{name}_nan"), move |device| {
            [5, 70].into_iter().try_for_each(|columns| {
                let mut case = LossCase::new(columns, (5, 5), Targets::Soft, (0.0, 0.0));
                case.z.set(2 * padded(columns) + 3, f32::NAN);
                finish(loss, case).check(device)
            })
        });
        trials.add(&format!("{name}_huge"), move |device| huge(loss, 1e4).check(device));
    }
    // Beyond what squares may have.
    for loss in [Loss::BinaryCrossentropy, Loss::CosineSimilarity, Loss::LogCosh, Loss::Huber { delta: 1.0 }] {
        trials.add(&format!("{loss}_beyond_squares"), move |device| huge(loss, 1e30).check(device));
    }
    trials.add("no_direction", |device| {
        let mut case = LossCase::new(3, (2, 2), Targets::Soft, (0.0, 0.0));
        (0..3).for_each(|column| case.z.set(column, 0.0)); // Outputs of the first row,
        (0..3).for_each(|column| case.labels.set(4 + column, 0.0)); // and targets of the second.
        finish(Loss::CosineSimilarity, case).check(device)
    });
    trials.add("equal_rivals", |device| {
        let mut case = LossCase::new(4, (1, 1), Targets::OneHot, (0.0, 0.0));
        [0.5, 2.0, 2.0, 1.0].iter().enumerate().for_each(|(at, &y)| case.z.set(at, y));
        [1.0, 0.0, 0.0, 0.0].iter().enumerate().for_each(|(at, &t)| case.labels.set(at, t));
        finish(Loss::CategoricalHinge, case).check(device)
    });
}

/// Outputs of which exp would overflow. The losses must be finite.
fn huge(loss: Loss, size: f32) -> Case {
    let mut case = LossCase::new(4, (1, 1), Targets::OneHot, (0.0, 0.0));
    [size, -size, size, -size].iter().enumerate().for_each(|(at, &z)| case.z.set(at, z));
    [1.0, 0.0, 0.0, 1.0].iter().enumerate().for_each(|(at, &t)| case.labels.set(at, t));
    let case = finish(loss, case);
    assert!(case.expected()[1].floats().iter().all(|loss| !loss.is_infinite()), "the reference must be finite too");
    case
}

fn finish(loss: Loss, mut case: LossCase) -> Case {
    let columns = case.layout.columns;
    for row in 0..case.rows {
        for column in 0..columns {
            let at = row * padded(columns) + column;
            case.z.set(at, suited(loss, case.z.at(at)));
        }
    }
    let (losses, gradients) = bounds(loss, &case);
    let kernel = OutputLoss { loss, targets: case.layout, gradient: case.gradient }.into();
    case.case(kernel, losses, gradients)
}

/// An output that the loss has an opinion of.
pub fn suited(loss: Loss, z: f32) -> f32 {
    match loss {
        Loss::Poisson => z.abs() + 0.01,
        // Now and then beyond 1, where it has none.
        Loss::KlDivergence => 0.27 * z.abs() + 0.001,
        _ => z,
    }
}

/// One bound for the loss of each row, and one for each element [B, C] of the gradient.
pub fn bounds(loss: Loss, case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    match loss {
        Loss::CategoricalCrossentropy => softmax_cross_entropy::bounds(case),
        Loss::CategoricalFocalCrossentropy { alpha, gamma } => rows::focal(alpha.into(), gamma.into(), case),
        Loss::CategoricalHinge => rows::hinge(case),
        Loss::CosineSimilarity => rows::cosine_similarity(case),
        Loss::KlDivergence => of_elements(loss, 1.0, case),
        _ => of_elements(loss, case.layout.columns as f64, case),
    }
}

fn of_elements(loss: Loss, sharers: f64, case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let columns = case.layout.columns;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let (mut error, mut sum) = (0.0, 0.0);
        for (column, y) in case.row(row).enumerate() {
            let found = elements::errors(loss, y, case.target(row, column));
            error += found.loss;
            sum += found.size;
            gradients.push(case.weight(row) / (sharers * case.rows as f64) * found.slope + 1e-37);
        }
        losses.push(case.weight(row) / sharers * (error + (sum_error(columns) + 8.0 * UNIT) * sum) + 1e-37);
    }
    (losses, gradients)
}
