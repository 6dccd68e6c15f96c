//! prelu_forward, y = x where x ≥ 0, else α·x.
//!
//! Bound: the product's one rounding.

use wgrad::kernels::padded;
use wgrad::kernels::prelu_forward::PreluForward;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, step_of};

pub fn cases(trials: &mut Trials) {
    trials.in_half("columns_10", |device| batches().try_for_each(|size| case(10, size).check_half(device)));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, size).check(device))
        });
    }
    // A NaN, zeros of both signs, and what a NaN would be made of: infinity above a slope of zero.
    trials.add("edges", |device| {
        let mut case = case(5, (1, 1));
        let edges = [f32::NAN, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY];
        edges.iter().enumerate().for_each(|(at, &x)| case.inputs[0].set(at, x));
        case.inputs[1].set(3, 0.0);
        case.check(device)
    });
}

/// Slopes of both signs, above one too, padded with zeros.
pub fn slopes(columns: usize, random: &mut Random) -> Array {
    let slope = |column: usize, random: &mut Random| if column < columns { random.uniform(-1.0, 1.5) } else { 0.0 };
    Array::floats(&(0..padded(columns)).map(|column| slope(column, random)).collect::<Vec<f32>>())
}

fn case(columns: usize, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    Case {
        kernel: PreluForward { columns }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, slopes(columns, &mut random)],
        outputs: vec![Output::matrix(rows, columns, capacity).within(|_, y| UNIT * y.abs())],
    }
}
