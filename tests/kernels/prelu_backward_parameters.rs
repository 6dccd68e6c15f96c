//! prelu_backward_parameters, dα = Σ dy·x over those of the batch where x < 0.
//!
//! Bound: sum_error(B) and the products' rounding, relative to Σ |dy·x|.

use wgrad::kernels::gradients::Keep;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;
use wgrad::kernels::prelu_backward_parameters::PreluBackwardParameters;

use crate::harness::norms::{Numbers, accumulated, gradients};
use crate::harness::{Array, COLUMNS, Case, Random, Trials, UNIT, batches, half, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    trials.in_half("columns_10", |device| {
        batches().try_for_each(|size| {
            case(10, size).check_half(device)?;
            case(10, size).check_half_but(&["x"], half::scale(), device)
        })
    });
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, size).check(device))
        });
    }
    trials.add("accumulated", |device| {
        (0..3).try_for_each(|micro| {
            let kernel = PreluBackwardParameters { columns: 10, keep: Keep::Accumulate };
            accumulated(case(10, (7, 9)), kernel.into(), micro).check(device)
        })
    });
    // A NaN counts where x is below zero, and stays in its column.
    trials.add("nan", |device| {
        let mut case = case(6, (5, 5));
        for (row, column, x) in [(2, 3, 1.0), (3, 4, -1.0)] {
            case.inputs[0].set(row * padded(6) + column, f32::NAN);
            case.inputs[1].set(row * padded(6) + column, x);
        }
        case.check(device)
    });
}

fn case(columns: usize, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let (dys, xs) = (Numbers::of(&dy, columns), Numbers::of(&x, columns));
    let size = |column: usize| (0..rows).map(|row| (dys.at(row, column) * xs.at(row, column)).abs()).sum::<f64>();
    let bounds = (0..columns).map(|column| (sum_error(rows) + 2.0 * UNIT) * size(column)).collect();
    // α stands where γ does elsewhere, at the beginning.
    let alpha = Affine { gamma: Some(0), beta: None };
    Case {
        kernel: PreluBackwardParameters { columns, keep: Keep::Overwrite }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, x],
        outputs: vec![gradients(alpha, columns, [bounds, Vec::new()])],
    }
}
