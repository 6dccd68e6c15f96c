//! binary_crossentropy: the loss, the gradient of the logits, and the share of correct answers.
//!
//! Bounds, a row of C outputs with the weight w:
//! - loss: w/C times, for each output, an exponential and a logarithm (at most EXPONENTIAL + LOGARITHM) and some roundings
//!   of |z|·(1 + |t|); then sum_error(C) of the terms' sum.
//! - gradient: w/(B·C) times the sigmoid's error, a quotient beside an exponential, and a rounding of t.

use wgrad::kernels::binary_crossentropy::BinaryCrossentropy;
use wgrad::kernels::padded;

use crate::harness::losses::{self, LossCase, Targets};
use crate::harness::{Case, EXPONENTIAL, LOGARITHM, Trials, UNIT, sum_error};

pub fn cases(trials: &mut Trials) {
    losses::add(trials, |smoothing, _| smoothing / 2.0, finish);
    trials.add("huge", |device| huge(1e4).check(device).and_then(|()| huge(1e30).check(device)));
    for columns in [5, 70] {
        trials.add(&format!("nan_{columns}"), move |device| {
            let mut case = LossCase::new(columns, (5, 5), Targets::Soft, (0.0, 0.0));
            case.z.set(2 * padded(columns) + 3, f32::NAN);
            finish(case).check(device)
        });
    }
}

/// Logits of which exp would overflow. The losses must be finite.
fn huge(size: f32) -> Case {
    let mut case = LossCase::new(4, (1, 1), Targets::OneHot, (0.0, 0.0));
    [size, -size, size, -size].iter().enumerate().for_each(|(at, &z)| case.z.set(at, z));
    [1.0, 0.0, 0.0, 1.0].iter().enumerate().for_each(|(at, &t)| case.labels.set(at, t));
    let case = finish(case);
    assert!(case.expected()[1].floats().iter().all(|loss| !loss.is_infinite()), "the reference must be finite too");
    case
}

fn finish(case: LossCase) -> Case {
    let kernel = BinaryCrossentropy { targets: case.layout, gradient: case.gradient }.into();
    let (losses, gradients) = bounds(&case);
    case.case(kernel, losses, gradients)
}

/// One bound for the loss of each row, and one for each element [B, C] of the gradient.
pub fn bounds(case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let columns = case.layout.columns;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let (mut error, mut sum) = (0.0, 0.0);
        for (column, z) in case.row(row).enumerate() {
            let t = case.target(row, column);
            error += EXPONENTIAL + LOGARITHM + 8.0 * UNIT * z.abs() * (1.0 + t.abs());
            sum += (z.max(0.0) - z * t).abs() + 1.0;
            let gradient = EXPONENTIAL + 8.0 * UNIT * (1.0 + t.abs());
            gradients.push(case.weight(row) / (columns * case.rows) as f64 * gradient);
        }
        losses.push(case.weight(row) / columns as f64 * (error + sum_error(columns) * sum));
    }
    (losses, gradients)
}
