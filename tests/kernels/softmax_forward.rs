//! softmax_forward, y = exp(z − max z) / Σ exp(z − max z).
//!
//! Bound, relative to y: z − max is rounded once, which exp turns into |z − max|·u; exp itself may be off by
//! (3 + 2·|z − max|) units in the last place (WGSL); the sum by sum_error(C) and its terms' own errors, of which
//! |x|·exp(−|x|) ≤ 0.37 keeps the largest; the quotient by 2.5 units. What falls below the smallest normal number may be
//! flushed to zero.

use wgrad::kernels::padded;
use wgrad::kernels::softmax_forward::SoftmaxForward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, alone, batches, step_of, sum_error};

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
    trials.add("wide", |device| case(70_000, 3, 3).check(device));
    trials.add("huge", |device| {
        let mut case = case(4, 2, 2);
        [1e4, -1e4, 1e30, -1e30, 1e4, -1e4, 1e4, 9999.0].iter().enumerate().for_each(|(at, &z)| case.inputs[0].set(at, z));
        case.check(device)
    });
    for columns in [5, 70] {
        trials.add(&format!("nan_{columns}"), move |device| {
            let mut case = case(columns, 5, 5);
            case.inputs[0].set(2 * padded(columns) + 3, f32::NAN);
            case.check(device)
        });
    }
    // One invocation a row: more than 64 · 65,535 rows fold the grid.
    trials.add("folded_grid", |device| {
        let _alone = alone();
        case(3, 4_194_305, 4_194_305).check(device)
    });
}

fn case(columns: usize, rows: usize, capacity: usize) -> Case {
    let mut random = Random::new(columns * rows);
    let bound = move |_: usize, y: f64| {
        // −ln y is |z − max| and the logarithm of the sum, so at least |z − max|.
        let shifted = -y.max(f64::MIN_POSITIVE).ln();
        y * (sum_error(columns) + (16.0 + 5.0 * shifted) * UNIT) + f64::from(f32::MIN_POSITIVE)
    };
    Case {
        kernel: SoftmaxForward { columns }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![Array::matrix(rows, columns, capacity, |_, _| random.uniform(-8.0, 8.0))],
        outputs: vec![Output::matrix(rows, columns, capacity).within(bound)],
    }
}
