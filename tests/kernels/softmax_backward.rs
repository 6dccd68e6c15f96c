//! softmax_backward, dz = y ⊙ (dy − Σ dy·y).
//!
//! Bound: with |dy| ≤ 2 and Σ y ≤ 2 the sum is off by 4·sum_error(C), which has room for the difference and the product;
//! all of it times y.

use wgrad::kernels::padded;
use wgrad::kernels::softmax_backward::SoftmaxBackward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, batches, half, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|(rows, capacity)| {
                case(columns, rows, capacity).check_half(device)?;
                // As the last layer has it: what it leaves is in single precision, gradients are not.
                case(columns, rows, capacity).check_half_but(&["y"], half::scale(), device)
            })
        });
    }
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().map(|(rows, capacity)| case(columns, rows, capacity)).try_for_each(|case| case.check(device))
        });
    }
    trials.add("wide", |device| case(70_000, 3, 3).check(device));
    trials.add("nan", |device| {
        let mut case = case(5, 5, 5);
        case.inputs[0].set(2 * padded(5) + 3, f32::NAN);
        case.check(device)
    });
}

fn case(columns: usize, rows: usize, capacity: usize) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    // Rows that sum to about one, and never to more than two.
    let share = 2.0 / columns as f32;
    let y = Array::matrix(rows, columns, capacity, |_, _| random.uniform(0.0, share));
    let (error, kept) = (4.0 * sum_error(columns), y.clone());
    Case {
        kernel: SoftmaxBackward { columns }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, y],
        outputs: vec![
            Output::matrix(rows, columns, capacity).within(move |at, _| error * f64::from(kept.at(at))),
        ],
    }
}
