//! relu_forward, y = max(z, 0).
//!
//! Bound: none, it is a choice between two numbers.

use wgrad::kernels::relu_forward::ReluForward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, alone, batches, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().map(|(rows, capacity)| case(columns, rows, capacity)).try_for_each(|case| case.check_half(device))
        });
    }
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().map(|(rows, capacity)| case(columns, rows, capacity)).try_for_each(|case| case.check(device))
        });
    }
    trials.add("edges", |device| {
        let mut case = case(7, 1, 1);
        let edges = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -1e30];
        edges.iter().enumerate().for_each(|(at, &z)| case.inputs[0].set(at, z));
        case.check(device)
    });
    // 65,540 · 64 blocks in workgroups of 64 are more than the 65,535 workgroups of one dimension.
    trials.add("folded_grid", |device| {
        let _alone = alone();
        case(256, 65_537, 65_537).check(device)
    });
}

fn case(columns: usize, rows: usize, capacity: usize) -> Case {
    let mut random = Random::new(columns * rows);
    Case {
        kernel: ReluForward { columns }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0))],
        outputs: vec![Output::matrix(rows, columns, capacity)],
    }
}
