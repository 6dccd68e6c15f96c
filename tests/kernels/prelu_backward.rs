//! prelu_backward, dx = dy where x > 0, else α·dy.
//!
//! Bound: the product's one rounding.

use wgrad::kernels::prelu_backward::PreluBackward;

use super::prelu_forward::slopes;
use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, half, step_of};

pub fn cases(trials: &mut Trials) {
    trials.in_half("columns_10", |device| {
        batches().try_for_each(|size| {
            case(10, size).check_half(device)?;
            // As the last layer has it: what comes in is in single precision, gradients are not.
            case(10, size).check_half_but(&["x"], half::scale(), device)
        })
    });
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, size).check(device))
        });
    }
    trials.add("edges", |device| {
        let mut case = case(5, (1, 1));
        [0.0, -0.0, f32::NAN, f32::NEG_INFINITY, 1.0].iter().enumerate().for_each(|(at, &x)| case.inputs[1].set(at, x));
        case.inputs[0].set(4, f32::NAN);
        case.check(device)
    });
}

fn case(columns: usize, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    Case {
        kernel: PreluBackward { columns }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, x, slopes(columns, &mut random)],
        outputs: vec![Output::matrix(rows, columns, capacity).within(|_, dx| UNIT * dx.abs())],
    }
}
