//! mean_squared_error: the loss, the gradient of the outputs, and which answers are correct.
//!
//! Bounds, a row of C outputs with the weight w: d = y − t is off by δ = 4·u·(|y| + |t|), smoothing's roundings included, so
//! - loss: w/C·Σ 2·|d|·δ, and sum_error(C) of the sum of squares;
//! - gradient: 2·w/(B·C)·δ, and some roundings of the gradient itself.

use wgrad::kernels::mean_squared_error::MeanSquaredError;
use wgrad::kernels::padded;

use crate::harness::losses::{self, LossCase, Targets};
use crate::harness::{Case, Trials, UNIT, sum_error};

pub fn cases(trials: &mut Trials) {
    losses::add(trials, |smoothing, columns| smoothing / columns as f32, finish);
    for columns in [5, 70] {
        trials.add(&format!("nan_{columns}"), move |device| {
            let mut case = LossCase::new(columns, (5, 5), Targets::Soft, (0.0, 0.0));
            case.z.set(2 * padded(columns) + 3, f32::NAN);
            finish(case).check(device)
        });
    }
}

fn finish(case: LossCase) -> Case {
    let kernel = MeanSquaredError { targets: case.layout, gradient: case.gradient }.into();
    let (losses, gradients) = bounds(&case);
    case.case(kernel, losses, gradients)
}

/// One bound for the loss of each row, and one for each element [B, C] of the gradient.
pub fn bounds(case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let columns = case.layout.columns;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let (mut squares, mut error) = (0.0, 0.0);
        for (column, y) in case.row(row).enumerate() {
            let t = case.target(row, column);
            let (difference, delta) = ((y - t).abs(), 4.0 * UNIT * (y.abs() + t.abs()));
            squares += difference * difference;
            error += 2.0 * difference * delta;
            let scale = 2.0 * case.weight(row) / (columns * case.rows) as f64;
            gradients.push(scale * (delta + 12.0 * UNIT * difference));
        }
        losses.push(case.weight(row) / columns as f64 * (error + (sum_error(columns) + 8.0 * UNIT) * squares));
    }
    (losses, gradients)
}
