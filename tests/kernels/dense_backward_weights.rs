//! dense_backward_weights, dW = xᵀ·dz and db = Σ dz over the batch, alone or added to the batches' before.
//!
//! Bound: sum_error(B)·Σ|x|·|dz|, and sum_error(B)·Σ|dz|; with the sum of the batches before, which is below 1, that of one more
//! term, and of a division's few units.

use wgrad::StepBlock;
use wgrad::kernels::gradients::Keep;
use wgrad::kernels::shares::Shares;
use wgrad::kernels::dense_backward_weights::DenseBackwardWeights;
use wgrad::kernels::padded;
use wgrad::kernels::product::Tiling;

use crate::harness::arrays::Place;
use crate::harness::products::{self, HALF_SHAPES, SHAPES, TUNED_SHAPES};
use crate::harness::{Array, Case, Output, Random, Trials, UNIT, batches, step_of, sum_error};

/// Features in and out, and whether there is a bias.
type Layer = (usize, usize, bool);

pub fn cases(trials: &mut Trials) {
    for (turn, (inputs, outputs)) in SHAPES.into_iter().enumerate() {
        // Not the half of the tilings that dense_forward has with this shape.
        add(trials, &format!("{inputs}x{outputs}"), turn + 1, (inputs, outputs, true));
    }
    add(trials, "no_bias", 0, (9, 10, false));
    for (turn, (inputs, outputs)) in TUNED_SHAPES.into_iter().enumerate() {
        products::add_tuned(trials, &format!("{inputs}x{outputs}"), turn, move |device, tiling| {
            let case = |size| case((inputs, outputs, true), size, tiling);
            batches().map(case).try_for_each(|case| case.check(device))
        });
        products::add_half_tuned(trials, &format!("{inputs}x{outputs}"), move |device, tiling| {
            let case = |size| case((inputs, outputs, true), size, tiling);
            batches().map(case).try_for_each(|case| case.check_half(device))
        });
    }
    for (inputs, outputs) in HALF_SHAPES {
        products::add_half(trials, &format!("{inputs}x{outputs}"), move |device, tiling| {
            let case = |size| case((inputs, outputs, true), size, tiling);
            batches().map(case).try_for_each(|case| case.check_half(device))
        });
    }
    products::add_shared(trials, |device, tiling, shares| {
        let case = |size| case_with((36, 516, true), size, tiling, shares);
        batches().map(case).try_for_each(|case| case.check(device))
    });
    // Whether a batch is the first, one between, or the last of an update is data: one shader serves.
    products::add_briefly(trials, "accumulated", |device, tiling| {
        let shared = device.wgpu().is_none().then_some(Shares { kernel: 2, input: 1 });
        [Shares::default()].into_iter().chain(shared).try_for_each(|shares| {
            let layer = if shares.kernel > 1 { (36, 516, true) } else { (33, 10, true) };
            let case = |(micro, size)| accumulated(layer, size, tiling, shares, micro);
            let all = [0, 1, 2].into_iter().flat_map(|micro| batches().map(move |size| (micro, size)));
            all.map(case).try_for_each(|case| case.check(device))
        })
    });
    products::add_half_in_turn(trials, "accumulated", 0, |device, tiling| {
        batches().map(|size| accumulated((9, 10, true), size, tiling, Shares::default(), 2)).try_for_each(|case| case.check_half(device))
    });
    products::add_same_bits(trials, |tiling| case((70, 67, true), (131, 131), tiling));
    products::add_long(trials, "long_batch", |device, tiling| {
        case((3, 2, true), (65_536, 65_536), tiling).check(device)
    });
}

/// One shape, on one of them with every tiling and also with NaNs.
fn add(trials: &mut Trials, name: &str, turn: usize, layer: Layer) {
    if layer != (7, 8, true) {
        return products::add_every_other(trials, name, turn, move |device, tiling| {
            batches().map(|size| case(layer, size, tiling)).try_for_each(|case| case.check(device))
        });
    }
    products::add(trials, name, move |device, tiling| {
        batches().map(|size| case(layer, size, tiling)).try_for_each(|case| case.check(device))?;
        let mut case = case(layer, (7, 7), tiling);
        case.inputs[0].set(2 * padded(7) + 1, f32::NAN);
        case.inputs[1].set(3 * padded(8) + 4, f32::NAN);
        case.check(device)
    });
}

fn case(layer: Layer, size: (usize, usize), tiling: Tiling) -> Case {
    case_with(layer, size, tiling, Shares::default())
}

/// Gradients on top of those of `micro` batches before, of three.
fn accumulated(layer: Layer, size: (usize, usize), tiling: Tiling, shares: Shares, micro: u32) -> Case {
    let mut case = case_with(layer, size, tiling, shares);
    let mut random = Random::new(micro as usize);
    case.step = StepBlock { micro, accumulate: 3, ..case.step };
    let gradients = kernel(layer, tiling, shares, Keep::Accumulate);
    case.kernel = gradients.clone().into();
    let output = case.outputs.swap_remove(0);
    let before: Vec<u32> = output.before.iter().zip(&output.places).map(|(&before, place)| match place {
        Place::Written => random.uniform(-1.0, 1.0).to_bits(),
        Place::Zero => 0,
        Place::Kept => before,
    }).collect();
    // The bound is relative to the sum of all terms without their signs, that of the batches before included.
    let size_of = |(&before, place): (&u32, &Place)| match place {
        Place::Written => f32::from_bits(before).abs().to_bits(),
        _ => before,
    };
    let sizes = before.iter().zip(&output.places).map(size_of).collect();
    case.outputs.push(output.from(sizes));
    let magnitude = case.magnitude(&gradients.into());
    let error = sum_error(size.0 + 1) + 4.0 * UNIT;
    let output = case.outputs.swap_remove(0).from(before);
    case.outputs.push(output.within(move |at, _| error * magnitude[at]));
    case
}

fn kernel((inputs, outputs, bias): Layer, tiling: Tiling, shares: Shares, keep: Keep) -> DenseBackwardWeights {
    let bias_offset = bias.then_some((padded(inputs) * padded(outputs)).next_multiple_of(64));
    DenseBackwardWeights { inputs, outputs, bias_offset, tiling, shares, keep }
}

fn case_with(
    (inputs, outputs, bias): Layer,
    (rows, capacity): (usize, usize),
    tiling: Tiling,
    shares: Shares,
) -> Case {
    let mut random = Random::new(rows * inputs + outputs);
    let kernel = kernel((inputs, outputs, bias), tiling, shares, Keep::Overwrite);
    let x = Array::matrix(rows, inputs, capacity, |_, _| random.uniform(-1.0, 1.0)).repeated(shares.input);
    let dz = Array::matrix(rows, outputs, capacity, |_, _| random.uniform(-1.0, 1.0));
    // The gradient of W has a whole block of rows for each block of columns of x, as W itself has.
    let mut gradients = Output::matrix(inputs, outputs, inputs);
    if let Some(offset) = kernel.bias_offset {
        gradients = gradients.then(offset, Output::list(outputs, padded(outputs), padded(outputs)));
    }
    let mut case = Case {
        kernel: kernel.clone().into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, dz],
        outputs: vec![gradients],
    };
    let magnitude = case.magnitude(&kernel.into());
    let error = sum_error(rows);
    let output = case.outputs.swap_remove(0);
    case.outputs.push(output.within(move |at, _| error * magnitude[at]));
    case
}
