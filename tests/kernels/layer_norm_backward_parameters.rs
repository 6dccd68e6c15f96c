//! layer_norm_backward_parameters, dγ = Σ dy ⊙ x̂ and dβ = Σ dy over the batch.
//!
//! Bound: sum_error(B) and the terms' few roundings, relative to Σ |dy·x̂|; sum_error(B)·Σ |dy|.

use wgrad::kernels::gradients::Keep;
use wgrad::kernels::layer_norm_backward_parameters::LayerNormBackwardParameters;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use super::layer_norm_backward::moments;
use crate::harness::norms::{AFFINES, Numbers, accumulated, affine, gradients};
use crate::harness::{Array, COLUMNS, Case, Random, Trials, UNIT, batches, half, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| {
                let case = || case(columns, affine(columns, true, true), size);
                case().check_half(device)?;
                case().check_half_but(&["x"], half::scale(), device)
            })
        });
    }
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, affine(columns, true, true), size).check(device))
        });
    }
    for (name, gamma, beta) in AFFINES {
        trials.add(name, move |device| {
            [5, 70].into_iter().try_for_each(|columns| case(columns, affine(columns, gamma, beta), (7, 9)).check(device))
        });
    }
    for micro in 0..3 {
        let kernel = LayerNormBackwardParameters { columns: 10, affine: affine(10, true, true), keep: Keep::Accumulate };
        let case = move || accumulated(case(10, affine(10, true, true), (7, 9)), kernel.clone().into(), micro);
        let in_half = case.clone();
        trials.add(&format!("accumulated_{micro}"), move |device| case().check(device));
        trials.in_half(&format!("accumulated_{micro}"), move |device| in_half().check_half(device));
    }
    // Enough for the CPU device's threads to share.
    trials.add("wide", |device| case(70_000, affine(70_000, true, true), (3, 3)).check(device));
    trials.add("long_batch", |device| case(5, affine(5, true, true), (65_536, 65_536)).check(device));
    // A NaN stays in its column, though that of x reaches the row's mean.
    trials.add("nan", |device| {
        let mut case = case(6, affine(6, true, true), (5, 5));
        case.inputs[0].set(2 * padded(6) + 3, f32::NAN);
        case.inputs[1].set(3 * padded(6) + 4, f32::NAN);
        case.inputs[2].set(2 * 4, f32::NAN);
        case.check(device)
    });
}

fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let moments = moments(rows, capacity, &mut random);
    let (dys, xs) = (Numbers::of(&dy, columns), Numbers::of(&x, columns));
    let product = |row: usize, column: usize| {
        let distance = xs.at(row, column) - f64::from(moments.at(2 * row));
        (dys.at(row, column) * distance * f64::from(moments.at(2 * row + 1))).abs()
    };
    let error = sum_error(rows) + 8.0 * UNIT;
    let of_gamma = (0..columns).map(|c| error * (0..rows).map(|r| product(r, c)).sum::<f64>());
    let of_beta = (0..columns).map(|c| error * (0..rows).map(|r| dys.at(r, c).abs()).sum::<f64>());
    let bounds = [of_gamma.collect(), of_beta.collect()];
    Case {
        kernel: LayerNormBackwardParameters { columns, affine, keep: Keep::Overwrite }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, x, moments],
        outputs: vec![gradients(affine, columns, bounds)],
    }
}
