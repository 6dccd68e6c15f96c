//! relu_backward, dz = dy where y > 0, else 0.
//!
//! Bound: none, it is a choice between two numbers.

use wgrad::kernels::relu_backward::ReluBackward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, batches, step_of};

pub fn cases(trials: &mut Trials) {
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
