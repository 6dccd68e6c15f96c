//! batch_norm_inference_forward, y = γ ⊙ (x − mean) / √(variance + ε) + β with the moving statistics.
//!
//! Bound: the root of WGSL is 2 units in the last place off, and there are a sum before it, three products and a difference;
//! β's sum is rounded once more.

use wgrad::kernels::batch_norm_inference_forward::BatchNormInferenceForward;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use super::batch_norm_forward::moving;
use crate::harness::norms::{AFFINES, affine, beta_of, weights};
use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, alone, batches, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, affine(columns, true, true), size).check_half(device))
        });
    }
    trials.add("after_larger", |device| case(8, affine(8, true, true), (5, 7)).check_after_larger(device));
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
    trials.add("nan", |device| {
        let mut case = case(6, affine(6, true, true), (5, 5));
        case.inputs[0].set(2 * padded(6) + 3, f32::NAN);
        case.check(device)
    });
    // More blocks than the 65,535 workgroups of one dimension have.
    trials.add("folded_grid", |device| {
        let _alone = alone();
        case(256, affine(256, true, true), (65_537, 65_537)).check(device)
    });
}

fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize)) -> Case {
    let (mut random, epsilon) = (Random::new(columns * rows), 1e-3);
    let (stride, variance_offset) = (padded(columns), padded(columns).next_multiple_of(64));
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let weights = weights(affine, columns, &mut random);
    let moving = Array::words(moving(columns, variance_offset, &mut random));
    let held = weights.clone();
    let bound = move |at: usize, y: f64| {
        let beta = beta_of(affine, &held, at % stride);
        12.0 * UNIT * (y - beta).abs() + UNIT * (y.abs() + beta.abs())
    };
    Case {
        kernel: BatchNormInferenceForward { columns, epsilon, affine, variance_offset }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, weights, moving],
        outputs: vec![Output::matrix(rows, columns, capacity).within(bound)],
    }
}
