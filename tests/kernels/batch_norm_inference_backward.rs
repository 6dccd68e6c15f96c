//! batch_norm_inference_backward, dx = dy ⊙ γ / √(variance + ε) with the moving variance.
//!
//! Bound: the root of WGSL is 2 units in the last place off, and there are a sum before it and two products.

use wgrad::kernels::batch_norm_inference_backward::BatchNormInferenceBackward;
use wgrad::kernels::batch_norm_inference_forward::BatchNormInferenceForward;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use super::batch_norm_forward::moving;
use crate::harness::norms::{AFFINES, affine, weights};
use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, half, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| {
                let case = || case(columns, affine(columns, true, true), size);
                case().check_half(device)?;
                // As the last layer has it: its gradient may come in single precision.
                case().check_half_but(&["dy"], half::scale(), device)
            })
        });
    }
    trials.in_half("saturated", |device| {
        let mut case = case(10, affine(10, false, false), (1, 1));
        (0..10).for_each(|at| case.inputs[0].set(at, 65_504.0));
        // Two of the factors are above one.
        (0..10).for_each(|at| case.inputs[2].set(64 + at, if at < 2 { 0.1 } else { 4.0 }));
        case.check_half(device)
    });
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
}

fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let variance_offset = padded(columns).next_multiple_of(64);
    let forward = BatchNormInferenceForward { columns, epsilon: 1e-3, affine, variance_offset };
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let weights = weights(affine, columns, &mut random);
    let moving = Array::words(moving(columns, variance_offset, &mut random));
    Case {
        kernel: BatchNormInferenceBackward { forward }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, weights, moving],
        outputs: vec![Output::matrix(rows, columns, capacity).within(|_, dx| 10.0 * UNIT * dx.abs())],
    }
}
