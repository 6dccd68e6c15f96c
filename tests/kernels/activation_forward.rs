//! activation_forward, y = f(z) for an activation of one number.
//!
//! Bound: [`own_error`], which the products use too.

use wgrad::Activation;
use wgrad::kernels::activation_forward::ActivationForward;
use wgrad::kernels::padded;

use crate::harness::{ACTIVATIONS, Array, COLUMNS, Case, EXPONENTIAL, LOGARITHM, Output, Random, Trials, UNIT};
use crate::harness::{batches, step_of};

/// What computing f adds to a result of this size. Comparisons and one product are exact or rounded once. The others take
/// an exponential to a quotient: each gives a few units of what the exponential is worth, at most 1 beside sums with 1,
/// and gelu and silu multiply that by |z| where it is not yet small. Softplus takes a logarithm as well. An exponential alone
/// is exp2 of z·log₂e, whose rounding counts for as much as z is large; below the smallest normal number it may be zero.
pub fn own_error(activation: Activation, y: f64) -> f64 {
    match activation {
        Activation::Linear | Activation::Relu | Activation::LeakyRelu(_) => UNIT * y.abs(),
        Activation::Softplus => EXPONENTIAL + LOGARITHM + 4.0 * UNIT * y.abs(),
        Activation::Exponential => {
            let size = y.max(f64::from(f32::MIN_POSITIVE));
            (EXPONENTIAL + 2.0 * UNIT * size.ln().abs()) * y + f64::from(f32::MIN_POSITIVE)
        }
        _ => EXPONENTIAL * (1.0 + y.abs()),
    }
}

/// The most that f′ comes to.
pub fn slope(activation: Activation) -> f64 {
    match activation {
        Activation::LeakyRelu(slope) => f64::from(slope).max(1.0),
        Activation::ReluWith { negative_slope, .. } => f64::from(negative_slope).max(1.0),
        Activation::Silu | Activation::Gelu | Activation::GeluExact | Activation::Mish => 1.2,
        Activation::HardSilu => 1.5,
        Activation::Selu => 1.76,
        // The trials' z are 6 at most.
        Activation::Exponential => 404.0,
        _ => 1.0,
    }
}

/// Where formulas break: both zeros, denormal and tiny numbers, the series of tanh and beyond, the largest exponent of f32
/// and beyond, the infinities and NaN.
pub const EDGES: [f32; 25] = [
    0.0, -0.0, 1e-40, -1e-30, 1e-8, -1e-4, 0.099, -0.101, 9.0, -9.0, 17.0, -17.0, 44.5, -44.5, 88.0, -88.0, 89.0, -104.0, 1e4,
    -1e4, 1e18, -1e18, f32::INFINITY, f32::NEG_INFINITY, f32::NAN,
];

pub fn cases(trials: &mut Trials) {
    for (name, activation) in ACTIVATIONS {
        trials.in_half(name, move |device| {
            batches().map(|(rows, capacity)| case(activation, 10, rows, capacity)).try_for_each(|case| case.check_half(device))
        });
    }
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            let case = |(rows, capacity)| case(Activation::Sigmoid, columns, rows, capacity);
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
    Case {
        kernel: ActivationForward { columns, activation }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![Array::matrix(rows, columns, capacity, |_, _| random.uniform(-6.0, 6.0))],
        outputs: vec![Output::matrix(rows, columns, capacity).within(move |_, y| own_error(activation, y))],
    }
}

fn edges(activation: Activation) -> Case {
    let mut case = case(activation, EDGES.len(), 1, 1);
    EDGES.iter().enumerate().for_each(|(at, &z)| case.inputs[0].set(at, z));
    assert!(EDGES.len() < padded(EDGES.len()), "a padding column shows that f(0) is not written there");
    case
}
