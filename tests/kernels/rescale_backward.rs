//! rescale_backward, dx = scale·dy.
//!
//! Bound: the product's one rounding.

use wgrad::kernels::rescale_backward::RescaleBackward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, half, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|(rows, capacity)| {
                case(columns, -3.7, rows, capacity).check_half(device)?;
                // As the last layer has it: its gradient may come in single precision.
                case(columns, -3.7, rows, capacity).check_half_but(&["dy"], half::scale(), device)
            })
        });
    }
    trials.in_half("saturated", |device| {
        let mut case = case(5, 2.0, 1, 1);
        [40_000.0, -65_504.0, 1.0].iter().enumerate().for_each(|(at, &dy)| case.inputs[0].set(at, dy));
        case.check_half(device)
    });
    trials.add("after_larger", |device| case(8, 0.5, 5, 7).check_after_larger(device));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().map(|(rows, capacity)| case(columns, 1.0 / 255.0, rows, capacity)).try_for_each(|c| c.check(device))
        });
    }
    trials.add("nan", |device| {
        let mut case = case(5, 0.3, 2, 2);
        case.inputs[0].set(9, f32::NAN);
        case.inputs[0].set(10, f32::INFINITY);
        case.check(device)
    });
}

fn case(columns: usize, scale: f32, rows: usize, capacity: usize) -> Case {
    let mut random = Random::new(columns * rows);
    Case {
        kernel: RescaleBackward { columns, scale }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0))],
        outputs: vec![Output::matrix(rows, columns, capacity).within(|_, dx| UNIT * dx.abs())],
    }
}
