//! Fusion changes no result: nets drawn at random, each trained for one step with fused launches and with one launch an
//! operation. Either must leave the parameters and the optimizer's numbers that the formulas give in f64 (`step`), within
//! what rounding in f32 can do on the way to each of them (`rounding`).
//!
//! Where the optimizer is SGD with a learning rate of 1, parameters before less parameters after are the gradients.

mod layers;
mod nets;
mod rounding;
mod step;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use nets::{ACTIVATIONS, Drawn, Net};
use safetensors::SafeTensors;
use step::Expected;
use wgrad::{
    Activation, Adam, BatchNormalization, Clip, Dataset, Dense, Device, Dropout, Fit, Loss, Model, Optimizer,
    Precision, Regularizer, Rescaling, RmsProp, Sequential, Sgd,
};

use crate::common::{Outcome, Suite, labelled, numbers, trials, with_rows};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_cpu: every_option_is_drawn, steps_of_many_nets_are_what_the_formulas_give);
    trials!(suite.on_gpu: steps_are_what_the_formulas_give);
    trials!(suite.in_half: steps_in_half_are_what_the_formulas_give);
    trials!(suite.everywhere: launches_of_fused_steps);
}

/// Nets for the CPU device. On a GPU each launch is a shader to compile, and the passes are the same.
const MANY: std::ops::Range<u64> = 219..379;
const FEW: std::ops::Range<u64> = 0..14;
/// In half precision, where most shaders are others again.
const FEWER: std::ops::Range<u64> = 0..6;

fn every_option_is_drawn(_: &Device) -> Outcome {
    let nets: Vec<_> = MANY.map(|seed| Net::draw(seed, false)).collect();
    let found: BTreeSet<_> = nets.iter().flat_map(options).collect();
    // Losses, smoothed or not, but for squares; logits, ids, weights; clipping; optimizers; layers; regularizers.
    let layers = ACTIVATIONS.len() * (4 + 1) + 2 + 3 + 2 + 4 + 4 + 4 + 1;
    assert_eq!(found.len(), 5 + 8 + 4 * 2 + 12 + layers + 4 + 3, "{found:#?}");
    Ok(())
}

/// What a net has of everything that can be chosen.
fn options(net: &Net) -> Vec<String> {
    let clip = match net.optimizer.clip() {
        Clip::None => "no",
        Clip::Value(_) => "value",
        Clip::Norm(_) => "norm",
        Clip::GlobalNorm(_) => "global norm",
    };
    let mut found = vec![
        format!("{}, smoothed {}", net.loss.loss, net.loss.label_smoothing > 0.0),
        format!("from logits {}, ids {}, weighted {}", net.loss.from_logits, net.ids, net.weighted),
        format!("clip by {clip}, fewer rows than there may be {}", net.rows < net.capacity),
        match &net.optimizer {
            Optimizer::Sgd(o) => format!("sgd {} {} {}", o.learning_rate, o.momentum, o.nesterov),
            Optimizer::RmsProp(o) => format!("rmsprop {} {}", o.momentum, o.centered),
            other => other.to_string(),
        },
    ];
    for layer in &net.layers {
        match layer {
            Drawn::Dense { activation, bias, trained, regularizers: [kernel, of_bias], .. } => found.extend([
                format!("{activation}, bias {bias}, trained {trained}"),
                format!("l1 and l2 of kernel {} {}", kernel.l1 > 0.0, kernel.l2 > 0.0),
                format!("l1 and l2 of bias {} {}", of_bias.l1 > 0.0, of_bias.l2 > 0.0),
            ]),
            Drawn::Activation(activation) => found.push(format!("layer {activation}")),
            Drawn::Flatten => found.push("layer flatten".into()),
            Drawn::Rescaling { .. } => found.push("layer rescaling".into()),
            Drawn::Dropout { rate } => found.push(format!("layer dropout {rate}")),
            Drawn::Noise { stddev } => found.push(format!("layer gaussian noise {stddev}")),
            Drawn::Augmentation => found.push("layer augmentation".into()),
            Drawn::Prelu { trained, regularizer } => {
                found.push(format!("layer prelu, trained {trained}, penalised {}", regularizer.l2 > 0.0));
            }
            Drawn::Normalization { batch, gamma, beta, trained } => found.extend([
                format!("normalization with gamma {gamma}, beta {beta}"),
                format!("normalization over batch {batch}, trained {trained}"),
            ]),
        }
    }
    found
}

fn steps_of_many_nets_are_what_the_formulas_give(device: &Device) -> Outcome {
    MANY.into_iter().try_for_each(|seed| check(device, seed, Precision::F32))
}

fn steps_are_what_the_formulas_give(device: &Device) -> Outcome {
    FEW.into_iter().try_for_each(|seed| check(device, seed, Precision::F32))
}

fn steps_in_half_are_what_the_formulas_give(device: &Device) -> Outcome {
    FEWER.into_iter().try_for_each(|seed| check(device, seed, Precision::F16))
}

/// Parameters of the size that training gives them: none are zero but for one of each tensor, where L1 has its kink.
fn parameters(model: &Model, seed: u64) -> BTreeMap<String, Vec<f32>> {
    let mut drawn = BTreeMap::new();
    for (index, (name, shape)) in model.parameter_names().enumerate() {
        let size = if shape.len() > 1 { 1.7 / (shape[0] as f32).sqrt() } else { 0.5 };
        let count = shape.iter().product();
        let mut values: Vec<f32> = numbers(count, 100 * seed + index as u64).iter().map(|x| size * x).collect();
        if name.ends_with(".gamma") || name.ends_with(".moving_variance") {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        values[count / 2] = 0.0;
        drawn.insert(name.to_string(), values);
    }
    drawn
}

/// What a step leaves, by name.
fn trained(net: &Net, fused: bool, device: &Device, precision: Precision) -> wgrad::Result<BTreeMap<String, Vec<f32>>> {
    let mut model = net.description().compile(device, net.optimizer.clone(), net.loss)?;
    model.set_fusion(fused);
    model.set_precision(precision)?;
    let initial = parameters(&model, net.seed);
    let fit = || Fit::new().batch_size(net.capacity).shuffle(false);
    if net.shows_gradients() {
        // A whole batch before leaves its numbers where those of fewer rows come next.
        model.fit(&net.dataset(net.capacity)?, fit())?;
    }
    model.set_parameters(initial.iter().map(|(name, values)| (name.as_str(), values.as_slice())))?;
    model.fit(&net.dataset(net.rows)?, fit())?;
    let bytes = model.to_bytes_with_optimizer()?;
    let file = SafeTensors::deserialize(&bytes).expect("a model's file");
    Ok(file.tensors().into_iter().map(|(name, view)| (name, bytemuck::pod_collect_to_vec(view.data()))).collect())
}

/// The net of a seed and what a step must leave; in half precision one whose gradients are within its range.
fn expected(seed: u64, half: bool) -> wgrad::Result<(Net, Expected)> {
    for seed in (seed..).step_by(1_000) {
        let net = Net::draw(seed, half);
        let model = net.description().compile(&Device::cpu(), net.optimizer.clone(), net.loss)?;
        if let Some(expected) = net.step(&parameters(&model, net.seed), half) {
            return Ok((net, expected));
        }
    }
    unreachable!("seeds have no end")
}

fn check(device: &Device, seed: u64, precision: Precision) -> Outcome {
    let (net, expected) = expected(seed, precision == Precision::F16)?;
    for fused in [true, false] {
        let found = trained(&net, fused, device, precision)?;
        let missing: Vec<_> = expected.keys().filter(|name| !found.contains_key(*name)).collect();
        assert!(missing.is_empty(), "no {missing:?} in what a step leaves of {net:?}");
        for (name, values) in &found {
            let Some(expected) = expected.get(name) else {
                // What an optimizer keeps of a frozen tensor stays as it starts.
                assert!(values.iter().all(|value| value == &values[0]), "{name} of {net:?}: {values:?}");
                continue;
            };
            assert_eq!(values.len(), expected.len());
            for (at, (&found, &(expected, error))) in values.iter().zip(expected).enumerate() {
                let apart = (f64::from(found) - expected).abs();
                if !matches!(apart.partial_cmp(&error), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
                    let way = if fused { "fused" } else { "unfused" };
                    let message = format!("{name}[{at}] is {found}, expected {expected} ± {error:e}, {way}: {net:#?}");
                    return Err(message.into());
                }
            }
        }
    }
    Ok(())
}

/// A change of the passes that costs launches shows here, and one that saves some has to be written down.
fn launches_of_fused_steps(device: &Device) -> Outcome {
    let classes = (Loss::CategoricalCrossentropy, labelled(9, 6, 3));
    let plain = Sequential::new(6).add(Dense::new(5).activation(Activation::Tanh));
    let softmax = || Dense::new(3).activation(Activation::Softmax);

    // GELU's derivative is computed from z, which the last layer's product does not read.
    let gelu = plain.clone().add(Dense::new(4).activation(Activation::Gelu)).add(softmax());
    let expected = "gather gather_batch, dense_0.forward dense_forward, dense_1.forward dense_forward, \
        dense_1.gelu activation_forward, dense_2.categorical_crossentropy dense_loss, \
        dense_2.backward_input dense_backward_input, dense_1.backward_input dense_backward_input, \
        dense_2.update dense_backward_update, dense_1.update dense_backward_update, \
        dense_0.update dense_backward_update, advance_step advance_step";
    assert_launches(gelu, device, RmsProp::default(), &classes, expected)?;

    // A norm wants all gradients first.
    let clipped = Adam { clip: Clip::GlobalNorm(1.0), ..Adam::default() };
    let expected = "gather gather_batch, dense_0.forward dense_forward, \
        dense_1.categorical_crossentropy dense_loss, dense_1.backward_weights dense_backward_weights, \
        dense_0.backward_weights dense_backward_weights, gradient_squares sum_squares, \
        gradient_scales gradient_scales, update optimizer_update, advance_step advance_step";
    assert_launches(plain.add(softmax()), device, clipped, &classes, expected)?;

    // An activation rides from wherever it stands; what stands between a product and a derivative keeps it apart.
    let apart = Sequential::new(6)
        .add(Rescaling::new(0.5))
        .add(Dense::new(5).kernel_regularizer(Regularizer::l1(0.1)))
        .add(Activation::Relu)
        .add(Dropout::new(0.5))
        .add(Dense::new(1).activation(Activation::Sigmoid));
    let expected = "gather gather_batch, rescaling_0.forward rescale_forward, dense_0.forward dense_forward, \
        dropout_0.forward dropout_forward, dense_1.binary_crossentropy dense_loss, \
        dropout_0.backward dropout_backward, activation_0.relu.backward relu_backward, penalty sum_squares, \
        dense_1.update dense_backward_update, dense_0.update dense_backward_update, advance_step advance_step";
    let numbers = (Loss::BinaryCrossentropy, with_rows(9, 6, 1));
    assert_launches(apart, device, Sgd::default(), &numbers, expected)?;

    // Below the lowest trained layer nothing runs backwards; so many outputs are a product of their own; what norms have is
    // updated in one launch.
    let frozen = Sequential::new(6)
        .add(Dense::new(5).activation(Activation::Relu).trainable(false))
        .add(BatchNormalization::new())
        .add(Dense::new(33));
    let expected = "gather gather_batch, dense_0.forward dense_forward, \
        batch_normalization_0.forward batch_norm_forward, dense_1.forward dense_forward, \
        mean_squared_error output_loss, dense_1.backward_input dense_backward_input, \
        batch_normalization_0.backward batch_norm_backward, dense_1.update dense_backward_update, \
        update optimizer_update, advance_step advance_step";
    let numbers = (Loss::MeanSquaredError, with_rows(9, 6, 33));
    assert_launches(frozen, device, Sgd::default(), &numbers, expected)?;

    // Softmax works on whole rows, which a product does not have.
    let expected = "gather gather_batch, dense_0.forward dense_forward, dense_0.softmax softmax_forward, \
        mean_squared_error output_loss, dense_0.softmax.backward softmax_backward, \
        dense_0.update dense_backward_update, advance_step advance_step";
    let numbers = (Loss::MeanSquaredError, labelled(9, 6, 3));
    assert_launches(Sequential::new(6).add(softmax()), device, Sgd::default(), &numbers, expected)
}

/// Labels and operations of a fused step's launches are these.
#[track_caller]
fn assert_launches(
    net: Sequential,
    device: &Device,
    optimizer: impl Into<Optimizer>,
    (loss, data): &(Loss, Dataset),
    expected: &str,
) -> Outcome {
    let summary = net.compile(device, optimizer, *loss)?.plan_summary(data, 32)?;
    let line = |line: &str| line.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(summary.lines().map(line).collect::<Vec<_>>().join(", "), expected);
    Ok(())
}
