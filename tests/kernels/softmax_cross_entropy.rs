//! softmax_cross_entropy: the loss, the gradient of the logits, and which answers are correct.
//!
//! Bounds, with T = Σ|t|, p the softmax and w the sample's weight:
//! - loss: Σ t·(z − m) is off by sum_error(C) of its absolute terms, log Σ exp by LOGARITHM and the relative error of its
//!   argument (as in `softmax_forward`, at most 16 units and sum_error(C)), times T.
//! - gradient: w/B·(T·p·(p's relative error) + a few units of T·p and t).

use wgrad::Loss;
use wgrad::kernels::padded;
use wgrad::kernels::softmax_cross_entropy::SoftmaxCrossEntropy;

use crate::harness::losses::{self, LossCase, Targets};
use crate::harness::{Case, LOGARITHM, Trials, UNIT, sum_error};

pub fn cases(trials: &mut Trials) {
    losses::add(trials, &[Loss::CategoricalCrossentropy], |_, case| finish(case));
    trials.add("wide", |device| {
        finish(LossCase::new(70_000, (3, 3), Targets::Ids, (0.1, 0.1 / 70_000.0))).check(device)?;
        finish(LossCase::new(70_000, (3, 3), Targets::Soft, (0.0, 0.0))).check(device)
    });
    trials.add("huge", |device| huge(1e4).check(device).and_then(|()| huge(1e30).check(device)));
    trials.add("no_target_for_minus_infinity", |device| {
        let mut case = LossCase::new(4, (1, 1), Targets::OneHot, (0.0, 0.0));
        [1.0, f32::NEG_INFINITY, 0.5, -1.0].iter().enumerate().for_each(|(at, &z)| case.z.set(at, z));
        [1.0, 0.0, 0.0, 0.0].iter().enumerate().for_each(|(at, &t)| case.labels.set(at, t));
        finish(case).check(device)
    });
    for columns in [5, 70] {
        trials.add(&format!("nan_{columns}"), move |device| {
            let mut case = LossCase::new(columns, (5, 5), Targets::Ids, (0.0, 0.0));
            case.z.set(2 * padded(columns) + 3, f32::NAN);
            finish(case).check(device)
        });
    }
}

/// Logits so far apart that exp of them, or of their difference, would overflow. The losses must be finite.
fn huge(size: f32) -> Case {
    let mut case = LossCase::new(3, (4, 4), Targets::Ids, (0.0, 0.0));
    let logits = [[size, -size, 0.0], [-size, -size, size], [size, size, size], [-size, 0.5 * size, 0.25 * size]];
    for (row, logits) in logits.iter().enumerate() {
        logits.iter().enumerate().for_each(|(column, &z)| case.z.set(4 * row + column, z));
        case.labels.words[2 * row] = (row % 3) as u32;
    }
    let case = finish(case);
    assert!(case.expected()[1].floats().iter().all(|loss| !loss.is_infinite()), "the reference must be finite too");
    case
}

fn finish(case: LossCase) -> Case {
    let kernel = SoftmaxCrossEntropy { targets: case.layout, gradient: case.gradient }.into();
    let (losses, gradients) = bounds(&case);
    case.case(kernel, losses, gradients)
}

/// One bound for the loss of each row, and one for each element [B, C] of the gradient.
pub fn bounds(case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let columns = case.layout.columns;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let largest = case.row(row).fold(f64::NEG_INFINITY, f64::max);
        let exponentials: f64 = case.row(row).map(|z| (z - largest).exp()).sum();
        let (mut targets, mut agreement) = (0.0, 0.0);
        for (column, z) in case.row(row).enumerate() {
            let t = case.target(row, column).abs();
            targets += t;
            agreement += if t == 0.0 { 0.0 } else { t * (z - largest).abs() };
        }
        let sum = sum_error(columns);
        let loss = targets * (LOGARITHM + 16.0 * UNIT + sum + sum * exponentials.ln()) + sum * agreement;
        losses.push(case.weight(row) * loss);
        for (column, z) in case.row(row).enumerate() {
            let p = (z - largest).exp() / exponentials;
            let shifted = if p > 0.0 { (largest - z) * p } else { 0.0 };
            let error = p * (2.0 * sum + 24.0 * UNIT) + 5.0 * UNIT * shifted;
            let t = case.target(row, column).abs();
            gradients.push(case.weight(row) / case.rows as f64 * (targets * error + 8.0 * UNIT * t) + 1e-37);
        }
    }
    (losses, gradients)
}
