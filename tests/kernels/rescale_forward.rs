//! rescale_forward, y = scale·x + offset.
//!
//! Bound: one rounding of the product and one of the sum, which a device may make in one.

use wgrad::kernels::rescale_forward::RescaleForward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, step_of};

/// Keras's two uses: bytes to [0, 1] and to [−1, 1]; and one whose parts cancel.
const SETTINGS: [(&str, f32, f32); 3] = [("unit", 1.0 / 255.0, 0.0), ("signed", 1.0 / 127.5, -1.0), ("odd", -3.7, 2.9)];

pub fn cases(trials: &mut Trials) {
    for (name, scale, offset) in SETTINGS {
        trials.in_half(name, move |device| {
            [1, 3, 10, 70].into_iter().try_for_each(|columns| {
                let case = |size| case((columns, scale, offset), size);
                batches().map(case).try_for_each(|case| case.check_half(device))
            })
        });
        trials.add("after_larger", |device| case((8, 0.5, 1.0), (5, 7)).check_after_larger(device));
    for columns in COLUMNS {
            trials.add(&format!("{name}_columns_{columns}"), move |device| {
                let case = |size| case((columns, scale, offset), size);
                batches().map(case).try_for_each(|case| case.check(device))
            });
        }
    }
    trials.add("edges", |device| {
        let mut case = case((7, 0.5, 1.0), (1, 1));
        let edges = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -1e30];
        edges.iter().enumerate().for_each(|(at, &x)| case.inputs[0].set(at, x));
        case.check(device)
    });
}

fn case((columns, scale, offset): (usize, f32, f32), (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 255.0));
    let kept = x.clone();
    let bound = move |at: usize, y: f64| UNIT * ((f64::from(scale) * f64::from(kept.at(at))).abs() + y.abs());
    Case {
        kernel: RescaleForward { columns, scale, offset }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x],
        outputs: vec![Output::matrix(rows, columns, capacity).within(bound)],
    }
}
