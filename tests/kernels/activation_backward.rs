//! activation_backward, dz = dy ⊙ f′(kept) for an activation of one number.
//!
//! Bound: |dy| times [`derivative_error`], which the product uses too, and one rounding.

use wgrad::Activation;
use wgrad::kernels::activation_backward::ActivationBackward;

use crate::harness::{ACTIVATIONS, Array, COLUMNS, Case, EXPONENTIAL, Output, Random, Trials, UNIT, batches, half, step_of};

/// The absolute error of f′: for those computed from y a difference of numbers of the size of one, for those computed from
/// z a few quotients of exponentials, each off by [`EXPONENTIAL`], which |z|·exp(−|z|) keeps small. That of the exponential
/// is what was kept.
pub fn derivative_error(activation: Activation) -> f64 {
    match activation {
        Activation::Linear | Activation::Relu | Activation::LeakyRelu(_) | Activation::ReluWith { .. } => 0.0,
        Activation::Exponential => 0.0,
        activation if activation.keeps_input() => 4.0 * EXPONENTIAL,
        _ => 4.0 * UNIT,
    }
}

/// What the forward pass may have kept, for those that keep z. The smallest is a normal number: WGSL lets a device take one
/// that is not for zero (newer versions of lavapipe do), and then f′ is the one on the other side of the kink.
const EDGES: [f32; 15] =
    [0.0, -0.0, f32::MIN_POSITIVE, -1e-30, 0.099, -0.101, 9.0, -17.0, 44.5, -44.5, 88.0, -88.0, 89.0, -104.0, f32::NAN];

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|(rows, capacity)| {
                case(Activation::Tanh, columns, rows, capacity).check_half(device)?;
                // As the last layer has it: what it leaves is in single precision, gradients are not.
                case(Activation::Tanh, columns, rows, capacity).check_half_but(&["kept"], half::scale(), device)
            })
        });
    }
    trials.in_half("saturated", |device| {
        let mut case = case(Activation::LeakyRelu(1.5), 5, 1, 1);
        [(0, 43_000.0), (1, 65_504.0), (2, -65_504.0)].iter().for_each(|&(at, dy)| {
            case.inputs[0].set(at, dy);
            case.inputs[1].set(at, -1.0);
        });
        case.outputs = vec![Output::matrix(1, 5, 1).within(|_, dz| 1e-5 * dz.abs() + 1e-5)];
        case.check_half(device)
    });
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            let case = |(rows, capacity)| case(Activation::Tanh, columns, rows, capacity);
            batches().map(case).try_for_each(|case| case.check(device))
        });
    }
    for (name, activation) in ACTIVATIONS {
        trials.add(name, move |device| {
            case(activation, 10, 129, 129).check(device)?;
            edges(activation).check(device)
        });
    }
}

fn case(activation: Activation, columns: usize, rows: usize, capacity: usize) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let kept = Array::matrix(rows, columns, capacity, |_, _| {
        let z: f32 = random.uniform(-6.0, 6.0);
        if activation.keeps_input() { z } else { activation.activate(z) }
    });
    // |dy| ≤ 2 and |f′| ≤ 1.8, but for the exponential's.
    let bound = 2.0 * derivative_error(activation) + 4.0 * UNIT;
    Case {
        kernel: ActivationBackward { columns, activation }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, kept],
        outputs: vec![Output::matrix(rows, columns, capacity).within(move |_, dz| bound.max(UNIT * dz.abs()))],
    }
}

/// Also a NaN from above, where f′ is not zero.
fn edges(activation: Activation) -> Case {
    let columns = EDGES.len() + 1;
    let mut case = case(activation, columns, 1, 1);
    for (at, &z) in EDGES.iter().enumerate() {
        case.inputs[1].set(at, if activation.keeps_input() { z } else { activation.activate(z) });
    }
    case.inputs[0].set(EDGES.len(), f32::NAN);
    case.inputs[1].set(EDGES.len(), 0.5);
    case
}
