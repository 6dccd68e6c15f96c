//! relu_backward, dz = dy where y > 0, else 0.
//!
//! Bound: none, it is a choice between two numbers.

use wgrad::kernels::relu_backward::ReluBackward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, batches, half, step_of};

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
    trials.in_half("saturated", |device| {
        let mut case = case(5, 1, 1);
        [(0, 65_504.0), (1, f32::INFINITY), (2, f32::NEG_INFINITY)].iter().for_each(|&(at, dy)| {
            case.inputs[0].set(at, dy);
            case.inputs[1].set(at, 1.5);
        });
        case.outputs = vec![Output::matrix(1, 5, 1).within(|_, dz| 1e-5 * dz.abs() + 1e-5)];
        case.check_half(device)
    });
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().map(|(rows, capacity)| case(columns, rows, capacity)).try_for_each(|case| case.check(device))
        });
    }
    // A NaN from above passes where y > 0 and is stopped where relu was at rest.
    trials.add("nan", |device| {
        let mut case = case(5, 1, 1);
        case.inputs[0].set(1, f32::NAN);
        case.inputs[1].set(1, 1.5);
        case.inputs[0].set(2, f32::NAN);
        case.inputs[1].set(2, 0.0);
        case.check(device)
    });
}

fn case(columns: usize, rows: usize, capacity: usize) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let y = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0).max(0.0));
    Case {
        kernel: ReluBackward { columns }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, y],
        outputs: vec![Output::matrix(rows, columns, capacity)],
    }
}
