//! dense_forward, y = f(x·W + b).
//!
//! Bound: the sum's error is sum_error(I)·(Σ|x|·|W| + |b|), which f passes on at most |f′| ≤ max(1.2, slope) times; what f
//! adds itself is as in `activation_forward`.

use wgrad::Activation;
use wgrad::kernels::shares::Shares;
use wgrad::kernels::dense_forward::DenseForward;
use wgrad::kernels::padded;
use wgrad::kernels::product::Tiling;

use crate::activation_forward::{own_error, slope};
use crate::harness::products::{self, HALF_SHAPES, SHAPES, TUNED_SHAPES};
use crate::harness::{ACTIVATIONS, Array, Case, Output, Random, Trials, batches, half, step_of, sum_error};

#[derive(Clone, Copy)]
struct Layer {
    inputs: usize,
    outputs: usize,
    bias: bool,
    activation: Activation,
}

pub fn cases(trials: &mut Trials) {
    for (turn, (inputs, outputs)) in SHAPES.into_iter().enumerate() {
        let layer = Layer { inputs, outputs, bias: outputs != 31, activation: Activation::Relu };
        add(trials, &format!("{inputs}x{outputs}"), turn, layer);
    }
    for (turn, (inputs, outputs)) in TUNED_SHAPES.into_iter().enumerate() {
        let layer = Layer { inputs, outputs, bias: true, activation: Activation::Relu };
        products::add_tuned(trials, &format!("{inputs}x{outputs}"), turn, move |device, tiling| {
            batches().try_for_each(|(rows, capacity)| case(&layer, rows, capacity, tiling).check(device))
        });
    }
    let layer = Layer { inputs: 131, outputs: 70, bias: true, activation: Activation::Tanh };
    // All is made of whole blocks, so that numbers may stand in any order.
    products::add_shared(trials, |device, tiling, shares| {
        let layer = Layer { inputs: 36, outputs: 516, bias: true, activation: Activation::Relu };
        batches().try_for_each(|(rows, capacity)| case_with(&layer, rows, capacity, tiling, shares).check(device))
    });
    products::add_same_bits(trials, move |tiling| case(&layer, 67, 67, tiling));
    for (turn, (name, activation)) in ACTIVATIONS.into_iter().enumerate() {
        let layer = Layer { inputs: 6, outputs: 5, bias: true, activation };
        products::add_in_turn(trials, &format!("activation_{name}"), turn, move |device, tiling| {
            case(&layer, 7, 9, tiling).check(device)
        });
    }
    let long = Layer { inputs: 70_000, outputs: 5, bias: true, activation: Activation::Linear };
    products::add_long(trials, "long_sum", move |device, tiling| case(&long, 3, 3, tiling).check(device));
    let many = Layer { inputs: 2, outputs: 65, bias: true, activation: Activation::Linear };
    products::add_folded(trials, "folded_grid", move |device, tiling| {
        case(&many, 65_537, 65_537, tiling).check(device)
    });
    products::add_half_in_turn(trials, "evaluation", 0, |device, tiling| {
        let layer = Layer { inputs: 13, outputs: 9, bias: true, activation: Activation::Relu };
        case(&layer, 1024, 1024, tiling).check_half(device)
    });
    for (inputs, outputs) in HALF_SHAPES {
        let layer = Layer { inputs, outputs, bias: true, activation: Activation::Tanh };
        products::add_half(trials, &format!("{inputs}x{outputs}"), move |device, tiling| {
            batches().try_for_each(|(rows, capacity)| {
                case(&layer, rows, capacity, tiling).check_half(device)?;
                // As the last layer has it: the model's outputs are in single precision.
                case(&layer, rows, capacity, tiling).check_half_but(&["y"], half::scale(), device)
            })
        });
    }
    for (inputs, outputs) in TUNED_SHAPES {
        let layer = Layer { inputs, outputs, bias: true, activation: Activation::Relu };
        products::add_half_tuned(trials, &format!("{inputs}x{outputs}"), move |device, tiling| {
            batches().try_for_each(|(rows, capacity)| case(&layer, rows, capacity, tiling).check_half(device))
        });
    }
    products::add_half_in_turn(trials, "nan", 2, |device, tiling| nan(tiling).check_half(device));
    products::add_half_in_turn(trials, "out_of_range", 4, |device, tiling| {
        let layer = Layer { inputs: 5, outputs: 6, bias: true, activation: Activation::Linear };
        let mut case = case(&layer, 7, 7, tiling);
        let bias = padded(5) * padded(6);
        [1e6, -1e6, 65_504.0].iter().enumerate().for_each(|(column, &b)| {
            case.inputs[1].set(bias.next_multiple_of(64) + column, b);
        });
        case.outputs = vec![Output::matrix(7, 6, 7).within(|_, y| if y.abs() < 65_000.0 { 1e-5 } else { 0.0 })];
        case.check_half(device)
    });
}

/// One shape, on one of them with every tiling and also with NaNs.
fn add(trials: &mut Trials, name: &str, turn: usize, layer: Layer) {
    if (layer.inputs, layer.outputs) == NAN_SHAPE {
        return products::add(trials, name, move |device, tiling| {
            batches().try_for_each(|(rows, capacity)| case(&layer, rows, capacity, tiling).check(device))?;
            nan(tiling).check(device)
        });
    }
    products::add_every_other(trials, name, turn, move |device, tiling| {
        batches().try_for_each(|(rows, capacity)| case(&layer, rows, capacity, tiling).check(device))
    });
}

/// One of the shapes.
const NAN_SHAPE: (usize, usize) = (7, 8);

fn case(layer: &Layer, rows: usize, capacity: usize, tiling: Tiling) -> Case {
    case_with(layer, rows, capacity, tiling, Shares::default())
}

fn case_with(layer: &Layer, rows: usize, capacity: usize, tiling: Tiling, shares: Shares) -> Case {
    let &Layer { inputs, outputs, bias, activation } = layer;
    let mut random = Random::new(rows * inputs + outputs);
    let bias_offset = bias.then(|| (padded(inputs) * padded(outputs)).next_multiple_of(64));
    let kernel = DenseForward { inputs, outputs, bias_offset, activation, tiling, shares };
    let x = Array::matrix(rows, inputs, capacity, |_, _| random.uniform(-1.0, 1.0)).repeated(shares.input);
    let weights = Array::kernel(inputs, outputs, bias_offset, || random.uniform(-1.0, 1.0));
    let sums = DenseForward { activation: Activation::Linear, ..kernel.clone() }.into();
    let mut case = Case {
        kernel: kernel.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, weights],
        outputs: vec![Output::matrix(rows, outputs, capacity)],
    };
    let magnitude = case.magnitude(&sums);
    let output = case.outputs.swap_remove(0);
    let (error, slope) = (sum_error(inputs), slope(activation));
    case.outputs.push(output.within(move |at, y| slope * error * magnitude[at] + own_error(activation, y)));
    case
}

/// A NaN in a sample makes a NaN of its row alone, and one in a weight of its column, whatever relu does with them.
fn nan(tiling: Tiling) -> Case {
    let (inputs, outputs) = NAN_SHAPE;
    let layer = Layer { inputs, outputs, bias: true, activation: Activation::Relu };
    let mut case = case(&layer, 7, 7, tiling);
    case.inputs[0].set(2 * padded(inputs) + 1, f32::NAN);
    case.inputs[1].set(3 * padded(outputs) + 4, f32::NAN);
    case
}
