//! dense_backward_update: dW = xᵀ·dz and db = Σ dz, and the optimizer's update with them, expected to leave what
//! dense_backward_weights and the optimizer's own update leave one after the other.
//!
//! Bound: a gradient is off by e = sum_error(B)·Σ|x|·|dz| (or ·Σ|dz|) at most. What the references make of gradients that
//! are e larger and e smaller says how far that moves each result: within an interval so narrow every rule is monotone, or
//! a parabola. The update's own rounding comes on top: as in `harness/updates.rs`, 4 units of the value and 48 of the
//! change.

use wgrad::kernels::shares::Shares;
use wgrad::kernels::adadelta::Adadelta;
use wgrad::kernels::adagrad::Adagrad;
use wgrad::kernels::adam::Adam;
use wgrad::kernels::adamax::Adamax;
use wgrad::kernels::dense_backward_update::DenseBackwardUpdate;
use wgrad::kernels::dense_backward_weights::DenseBackwardWeights;
use wgrad::kernels::ftrl::Ftrl;
use wgrad::kernels::gradients::Keep;
use wgrad::kernels::product::Tiling;
use wgrad::kernels::lion::Lion;
use wgrad::kernels::nadam::Nadam;
use wgrad::kernels::optimizer_update::OptimizerUpdate;
use wgrad::kernels::rmsprop::Rmsprop;
use wgrad::kernels::sgd::Sgd;
use wgrad::kernels::update::{Common, Rule, TENSOR_ALIGNMENT, TensorSettings};
use wgrad::kernels::{Input, Kernel, Output as Sink, padded};
use wgrad::Regularizer;

use crate::harness::arrays::Place;
use crate::harness::case::{Values, reference};
use crate::harness::products::{self, HALF_SHAPES, SHAPES};
use crate::harness::{Array, Case, Output, POISON, Random, Trials, UNIT, batches, step_of, sum_error, tensor_entry};

/// Units of the change that its dozen operations may be off by.
const CHANGE: f64 = 48.0;

/// Features in and out, and whether there is a bias.
type Layer = (usize, usize, bool);

/// L2, weight decay, clip by value.
type Settings = (f32, f32, f32);

const PLAIN: Settings = (0.0, 0.0, 0.0);
const ALL: Settings = (0.05, 0.02, 0.5);

const RMSPROP: Rule = rmsprop(0.0, false);

const fn rmsprop(momentum: f32, centered: bool) -> Rule {
    Rule::Rmsprop(Rmsprop { rho: 0.9, momentum, epsilon: 1e-3, centered })
}

const RULES: [(&str, Rule); 14] = [
    ("sgd", Rule::Sgd(Sgd { momentum: 0.0, nesterov: false })),
    ("sgd_momentum", Rule::Sgd(Sgd { momentum: 0.9, nesterov: false })),
    ("sgd_nesterov", Rule::Sgd(Sgd { momentum: 0.9, nesterov: true })),
    ("rmsprop", RMSPROP),
    ("rmsprop_momentum", rmsprop(0.9, false)),
    ("rmsprop_centered_momentum", rmsprop(0.9, true)),
    ("adam", Rule::Adam(Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-3, amsgrad: false })),
    ("amsgrad", Rule::Adam(Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-3, amsgrad: true })),
    ("adagrad", Rule::Adagrad(Adagrad { epsilon: 1e-3 })),
    ("nadam", Rule::Nadam(Nadam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-3 })),
    ("lion", Rule::Lion(Lion { beta_1: 0.9, beta_2: 0.99 })),
    ("adamax", Rule::Adamax(Adamax { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-3 })),
    ("adadelta", Rule::Adadelta(Adadelta { rho: 0.95, epsilon: 1e-3 })),
    ("ftrl", Rule::Ftrl(Ftrl { power: 0.5, l1: 0.1, l2: 0.05, l2_shrinkage: 0.02, beta: 0.1 })),
];

pub fn cases(trials: &mut Trials) {
    // Its loops are dense_backward_weights's, which tries them with every tiling.
    for (turn, (inputs, outputs)) in SHAPES.into_iter().enumerate() {
        products::add_in_turn(trials, &format!("{inputs}x{outputs}"), turn, move |device, tiling| {
            let case = |size| case((inputs, outputs, true), size, tiling, RMSPROP, PLAIN);
            batches().map(case).try_for_each(|case| case.check(device))
        });
    }
    products::add_briefly(trials, "no_bias", |device, tiling| {
        let case = |size| case((9, 10, false), size, tiling, RMSPROP, PLAIN);
        batches().map(case).try_for_each(|case| case.check(device))
    });
    for (turn, (name, rule)) in RULES.into_iter().enumerate() {
        for (other, (settings, suffix)) in [(PLAIN, ""), (ALL, "_all_settings")].into_iter().enumerate() {
            let rule = rule.clone();
            products::add_in_turn(trials, &format!("{name}{suffix}"), turn + other, move |device, tiling| {
                let case = |size| case((33, 10, true), size, tiling, rule.clone(), settings);
                batches().map(case).try_for_each(|case| case.check(device))
            });
        }
    }
    let half = |trials: &mut Trials, name: String, turn: usize, layer: Layer, rule: Rule| {
        products::add_half_in_turn(trials, &name, turn, move |device, tiling| {
            let case = |size| case_with(layer, size, tiling, rule.clone(), ALL, Array::rounded_to_half, Shares::default());
            batches().map(case).try_for_each(|case| case.check_half(device))
        });
    };
    for (turn, (inputs, outputs)) in HALF_SHAPES.into_iter().enumerate() {
        half(trials, format!("{inputs}x{outputs}"), 2 * turn, (inputs, outputs, true), RMSPROP);
    }
    for (turn, (name, rule)) in RULES.into_iter().enumerate() {
        half(trials, name.into(), turn, (9, 10, true), rule);
    }
    products::add_shared(trials, |device, tiling, shares| {
        batches().try_for_each(|size| {
            RULES.iter().try_for_each(|(_, rule)| {
                case_with((36, 516, true), size, tiling, rule.clone(), ALL, |factor| factor, shares).check(device)
            })
        })
    });
    products::add_in_turn(trials, "long_batch", 0, |device, tiling| {
        case((3, 2, true), (65_536, 65_536), tiling, RMSPROP, PLAIN).check(device)
    });
    products::add_briefly(trials, "nan", |device, tiling| {
        let mut case = case((6, 5, true), (7, 7), tiling, RMSPROP, ALL);
        case.inputs[0].set(2 * padded(6) + 1, f32::NAN);
        case.inputs[1].set(3 * padded(5) + 4, f32::NAN);
        case.check(device)
    });
}

fn case(layer: Layer, size: (usize, usize), tiling: Tiling, rule: Rule, settings: Settings) -> Case {
    case_with(layer, size, tiling, rule, settings, |factor| factor, Shares::default())
}

/// A case whose factors are made of random ones (the bounds depend on them), and whose memory is shared out.
fn case_with(
    layer: Layer,
    size: (usize, usize),
    tiling: Tiling,
    rule: Rule,
    settings: Settings,
    factor: fn(Array) -> Array,
    shares: Shares,
) -> Case {
    let ((inputs, outputs, bias), (rows, capacity)) = (layer, size);
    let (l2, weight_decay, clip_value) = settings;
    let mut random = Random::new(rows * inputs + outputs);
    let bias_offset = bias.then_some((padded(inputs) * padded(outputs)).next_multiple_of(TENSOR_ALIGNMENT));
    let gradients = DenseBackwardWeights { inputs, outputs, bias_offset, tiling, shares, keep: Keep::Overwrite };
    let x = factor(Array::matrix(rows, inputs, capacity, |_, _| random.uniform(-1.0, 1.0))).repeated(shares.input);
    let dz = factor(Array::matrix(rows, outputs, capacity, |_, _| random.uniform(-1.0, 1.0)));
    let mut updated = vec![state(layer, bias_offset, &mut random, (-1.0, 1.0))];
    for range in slots(&rule) {
        updated.push(range.map_or_else(Output::dummy, |range| state(layer, bias_offset, &mut random, range)));
    }
    let (kernel_regularizer, bias_regularizer) = (Regularizer::l1_l2(0.3 * l2, l2), Regularizer::l1_l2(0.2 * l2, 0.5 * l2));
    let tensor = |regularizer, share: f32, learning_rate_factor| TensorSettings {
        regularizer,
        weight_decay: share * weight_decay,
        learning_rate_factor,
    };
    // Without other settings the learning rate is as it is, or no rule were plain.
    let own_rate = if weight_decay > 0.0 { 0.5 } else { 1.0 };
    let (kernel, bias) = (tensor(kernel_regularizer, 1.0, own_rate), tensor(bias_regularizer, 0.0, 1.0));
    let kernel = DenseBackwardUpdate { gradients, rule, kernel, bias, clip_value };
    let mut case = Case {
        kernel: kernel.clone().into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, dz],
        outputs: updated,
    };
    let bounds = bounds(&kernel, &case);
    let outputs = case.outputs.into_iter().zip(bounds);
    case.outputs = outputs.map(|(output, bounds)| output.within(move |at, _| bounds[at])).collect();
    case
}

/// What the slots hold after some steps: mean squares that are larger than the squared means.
fn slots(rule: &Rule) -> Vec<Option<(f32, f32)>> {
    let (means, squares) = (Some((-0.3, 0.3)), Some((0.5, 1.0)));
    let momentum = |momentum: f32| (momentum > 0.0).then_some((-1.0, 1.0));
    match rule {
        Rule::Sgd(sgd) => vec![momentum(sgd.momentum)],
        Rule::Rmsprop(r) => vec![squares, if r.centered { means } else { None }, momentum(r.momentum)],
        Rule::Adam(adam) if adam.amsgrad => vec![means, squares, squares],
        Rule::Adam(_) | Rule::Nadam(_) | Rule::Adamax(_) => vec![means, squares],
        Rule::Adagrad(_) => vec![squares],
        Rule::Lion(_) => vec![means],
        Rule::Adadelta(_) => vec![squares, squares],
        Rule::Ftrl(_) => vec![squares, means],
    }
}

/// Parameters, or a slot of theirs: random where the layer has numbers, zero in their padding, poison between tensors.
fn state((inputs, outputs, _): Layer, bias: Option<usize>, random: &mut Random, range: (f32, f32)) -> Output {
    let mut output = Output::matrix(inputs, outputs, inputs);
    if let Some(offset) = bias {
        output = output.then(offset, Output::list(outputs, padded(outputs), padded(outputs)));
    }
    let words = output.places.iter().map(|place| match place {
        Place::Written => random.uniform(range.0, range.1).to_bits(),
        Place::Zero => 0,
        Place::Kept => POISON,
    });
    let words = words.collect();
    output.from(words)
}

/// How far each element of each output may be off.
fn bounds(kernel: &DenseBackwardUpdate, case: &Case) -> Vec<Vec<f64>> {
    let (expected, product) = (case.expected(), kernel.gradients.clone());
    let gradient = |inputs: Vec<Array>| {
        let mut sums = [Values::Floats(vec![0.0; case.outputs[0].before.len()])];
        reference(&product.clone().into(), &case.step, &inputs, &mut sums);
        sums[0].floats().to_vec()
    };
    let g = gradient(case.inputs.clone());
    let magnitude = gradient(case.inputs.iter().map(Array::absolute).collect());
    let error = sum_error(case.step.rows as usize);
    let after = |sign: f64| {
        let gradient = g.iter().zip(&magnitude).map(|(g, size)| g + sign * error * size).collect();
        one_after_the_other(kernel, case, gradient)
    };
    let (less, exact, more) = (after(-1.0), after(0.0), after(1.0));
    let mut bounds = Vec::new();
    let largest = |at: usize| {
        let sizes = case.outputs.iter().zip(&expected).filter_map(|(output, expected)| {
            let before = f32::from_bits(*output.before.get(at)?);
            Some(f64::from(before.abs()).max(expected.floats()[at].abs()))
        });
        sizes.fold(0.0, f64::max)
    };
    for (index, output) in case.outputs.iter().enumerate() {
        let elements = 0..output.before.len();
        bounds.push(elements.map(|at| {
            let value = expected[index].floats()[at];
            let same = (exact[index][at] - value).abs() <= 1e-12 * value.abs();
            assert!(same || value.is_nan() || output.places[at] != Place::Written, "two references: element {at}");
            let spread = (less[index][at] - value).abs().max((more[index][at] - value).abs());
            let change = (value - f64::from(f32::from_bits(output.before[at]))).abs();
            spread + UNIT * (4.0 * largest(at) + CHANGE * change + of_ftrl(kernel, case, &expected, (index, at)))
        }).collect());
    }
    bounds
}

/// Units that Ftrl's results are off by besides. z holds (q(n') − q(n))·w with q = nᵖ/η, which is small beside either term; a
/// root and a quotient are off by some five units each, a power by 68 more. w is z divided by q'.
fn of_ftrl(kernel: &DenseBackwardUpdate, case: &Case, expected: &[Values<f64>], (index, at): (usize, usize)) -> f64 {
    let Rule::Ftrl(ftrl) = &kernel.rule else { return 0.0 };
    let before = |index: usize| f64::from(f32::from_bits(case.outputs[index].before[at]));
    let is_bias = kernel.gradients.bias_offset.is_some_and(|offset| at >= offset);
    let tensor = if is_bias { kernel.bias } else { kernel.kernel };
    let rate = f64::from(case.step.learning_rate) * f64::from(tensor.learning_rate_factor);
    let q = |n: f64| n.powf(f64::from(ftrl.power)) / rate;
    let units = if ftrl.power == 0.5 { 10.0 } else { 78.0 };
    let w = before(0).abs();
    match index {
        0 => units * 2.0 * (w + expected[0].floats()[at].abs()),
        2 => units * (q(before(1)) + q(expected[1].floats()[at])) * w,
        _ => 0.0,
    }
}

/// What the optimizer's own update makes of gradients.
fn one_after_the_other(kernel: &DenseBackwardUpdate, case: &Case, mut gradients: Vec<f64>) -> Vec<Vec<f64>> {
    let length = gradients.len().next_multiple_of(TENSOR_ALIGNMENT);
    gradients.resize(length, 0.0);
    let entry = |tensor: TensorSettings| {
        let Regularizer { l1, l2 } = tensor.regularizer;
        tensor_entry([l2, tensor.weight_decay, 1.0, 1.0, l1, tensor.learning_rate_factor]).map(f64::from)
    };
    let tensors = [entry(kernel.kernel), entry(kernel.bias)].concat();
    let bias = kernel.gradients.bias_offset.unwrap_or(length) / TENSOR_ALIGNMENT;
    let tensor_of: Vec<_> = (0..length / TENSOR_ALIGNMENT).map(|run| u32::from(run >= bias)).collect();
    let mut outputs: Vec<Vec<f64>> = Vec::new();
    for output in &case.outputs {
        let mut values: Vec<_> = output.before.iter().map(|&word| f32::from_bits(word).into()).collect();
        values.resize(if values.len() == 4 { 4 } else { length }, 0.0);
        outputs.push(values);
    }
    let common = Common::all(length, kernel.clip_value);
    let update = Kernel::from(OptimizerUpdate { common, rule: kernel.rule.clone() });
    let inputs = [Input::Floats(&gradients), Input::Floats(&tensors), Input::Words(&tensor_of)];
    let mut sinks: Vec<_> = outputs.iter_mut().map(|values| Sink::Floats(values)).collect();
    update.reference(&case.step, &inputs, &mut sinks);
    outputs
}
