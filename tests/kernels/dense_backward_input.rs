//! dense_backward_input, dx = (dz·Wᵀ) ⊙ f′(kept).
//!
//! Bound: the sum's error is sum_error(O)·Σ|dz|·|W|, times |f′|; f′ itself is off by what `activation_backward` argues,
//! times the sum. Both are at most (slope·sum_error(O) + derivative's error)·Σ|dz|·|W|.

use wgrad::Activation;
use wgrad::kernels::dense_backward_input::DenseBackwardInput;
use wgrad::kernels::padded;
use wgrad::kernels::product::Tiling;

use crate::activation_backward::derivative_error;
use crate::activation_forward::slope;
use crate::harness::products::{self, HALF_SHAPES, SHAPES, TUNED_SHAPES};
use crate::harness::{ACTIVATIONS, Array, Case, Output, Random, Trials, batches, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    for (turn, (outputs, inputs)) in SHAPES.into_iter().enumerate() {
        products::add_every_other(trials, &format!("{inputs}x{outputs}"), turn, move |device, tiling| {
            let case = |size| case((inputs, outputs), Activation::Relu, size, tiling);
            batches().map(case).try_for_each(|case| case.check(device))
        });
    }
    for (turn, (outputs, inputs)) in TUNED_SHAPES.into_iter().enumerate() {
        products::add_tuned(trials, &format!("{inputs}x{outputs}"), turn, move |device, tiling| {
            let case = |size| case((inputs, outputs), Activation::Relu, size, tiling);
            batches().map(case).try_for_each(|case| case.check(device))
        });
    }
    for (outputs, inputs) in HALF_SHAPES {
        products::add_half(trials, &format!("{inputs}x{outputs}"), move |device, tiling| {
            let case = |size| case((inputs, outputs), Activation::Sigmoid, size, tiling);
            batches().map(case).try_for_each(|case| case.check_half(device))
        });
    }
    for (inputs, outputs) in TUNED_SHAPES {
        products::add_half_tuned(trials, &format!("{inputs}x{outputs}"), move |device, tiling| {
            let case = |size| case((inputs, outputs), Activation::Relu, size, tiling);
            batches().map(case).try_for_each(|case| case.check_half(device))
        });
    }
    products::add_half_in_turn(trials, "saturated", 0, |device, tiling| {
        let mut case = case((5, 6), Activation::Linear, (7, 7), tiling);
        case.inputs[0].set(3 * padded(6) + 1, 60_000.0);
        let weights = case.inputs[1].words.iter_mut().filter(|word| f32::from_bits(**word).is_normal());
        weights.for_each(|word| *word = 2f32.to_bits());
        case.outputs = vec![Output::matrix(7, 5, 7).within(|_, dx| 1e-5 * dx.abs() + 1e-5)];
        case.check_half(device)
    });
    products::add_same_bits(trials, |tiling| case((70, 131), Activation::Tanh, (67, 67), tiling));
    for (turn, (name, activation)) in ACTIVATIONS.into_iter().enumerate() {
        products::add_in_turn(trials, &format!("activation_{name}"), turn, move |device, tiling| {
            case((6, 5), activation, (7, 9), tiling).check(device)
        });
    }
    products::add_long(trials, "long_sum", |device, tiling| {
        case((5, 70_000), Activation::Linear, (3, 3), tiling).check(device)
    });
    products::add_folded(trials, "folded_grid", |device, tiling| {
        case((65, 2), Activation::Linear, (65_537, 65_537), tiling).check(device)
    });
    products::add(trials, "nan", |device, tiling| {
        let mut case = case((6, 5), Activation::Linear, (7, 7), tiling);
        case.inputs[0].set(2 * padded(5) + 1, f32::NAN);
        case.inputs[1].set(3 * padded(5) + 4, f32::NAN);
        case.check(device)
    });
}

fn case(
    (inputs, outputs): (usize, usize),
    activation: Activation,
    (rows, capacity): (usize, usize),
    tiling: Tiling,
) -> Case {
    let mut random = Random::new(rows * outputs + inputs);
    let kernel = DenseBackwardInput { inputs, outputs, activation, tiling };
    let dz = Array::matrix(rows, outputs, capacity, |_, _| random.uniform(-1.0, 1.0));
    let weights = Array::kernel(inputs, outputs, None, || random.uniform(-1.0, 1.0));
    // What was kept is z, or y = f(z): either way a value that f takes.
    let kept = Array::matrix(rows, inputs, capacity, |_, _| {
        let z: f32 = random.uniform(-3.0, 3.0);
        if activation.keeps_input() { z } else { activation.activate(z) }
    });
    let sums = DenseBackwardInput { activation: Activation::Linear, ..kernel.clone() }.into();
    let mut case = Case {
        kernel: kernel.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dz, weights, kept],
        outputs: vec![Output::matrix(rows, inputs, capacity)],
    };
    let magnitude = case.magnitude(&sums);
    let output = case.outputs.swap_remove(0);
    let error = slope(activation) * sum_error(outputs) + derivative_error(activation);
    case.outputs.push(output.within(move |at, _| error * magnitude[at]));
    case
}
