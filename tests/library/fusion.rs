//! Fusion changes no result: nets drawn at random, each trained for one step with fused launches and with one launch an
//! operation. Either must leave the parameters and the optimizer's numbers that the formulas give in f64 (`step`), within
//! what rounding in f32 can do on the way to each of them (`rounding`).
//!
//! Where the optimizer is SGD with a learning rate of 1, parameters before less parameters after are the gradients.

mod nets;
mod rounding;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use nets::{ACTIVATIONS, Drawn, Net};
use safetensors::SafeTensors;
use wgrad::{
    Activation, Adam, Clip, Dataset, Dense, Device, Fit, Loss, Model, Optimizer, Precision, RmsProp, Sequential, Sgd,
};

use crate::common::{Outcome, Suite, labelled, numbers, trials, with_rows};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_cpu: every_option_is_drawn, steps_of_many_nets_are_what_the_formulas_give);
    trials!(suite.on_gpu: steps_are_what_the_formulas_give);
    trials!(suite.in_half: steps_in_half_are_what_the_formulas_give);
    trials!(suite.everywhere: launches_of_fused_steps);
}

/// Nets for the CPU device. On a GPU each launch is a shader to compile, and the passes are the same.
const MANY: std::ops::Range<u64> = 0..160;
const FEW: std::ops::Range<u64> = 0..14;

fn every_option_is_drawn(_: &Device) -> Outcome {
    let mut found = BTreeSet::new();
    for net in MANY.map(|seed| Net::draw(seed, false)) {
        let mut add = |what: String| _ = found.insert(what);
        add(format!("{}, smoothed {}", net.loss.loss, net.loss.label_smoothing > 0.0));
        add(format!("from logits {}, ids {}, weighted {}", net.loss.from_logits, net.ids, net.weighted));
        let clip = match net.optimizer.clip() {
            Clip::None => "no",
            Clip::Value(_) => "value",
            Clip::Norm(_) => "norm",
            Clip::GlobalNorm(_) => "global norm",
        };
        add(format!("clip by {clip}, fewer rows than there may be {}", net.rows < net.capacity));
        add(match net.optimizer {
            Optimizer::Sgd(o) => format!("sgd {} {} {}", o.learning_rate, o.momentum, o.nesterov),
            Optimizer::RmsProp(o) => format!("rmsprop {} {}", o.momentum, o.centered),
            other => other.to_string(),
        });
        for layer in &net.layers {
            let what = match layer {
                Drawn::Dense { activation, bias, trained, .. } => {
                    format!("{activation}, bias {bias}, trained {trained}")
                }
                Drawn::Activation(activation) => format!("layer {activation}"),
                Drawn::Flatten => "layer flatten".into(),
                Drawn::Rescaling { .. } => "layer rescaling".into(),
                Drawn::Dropout { rate } => format!("layer dropout {rate}"),
                Drawn::Normalization { batch, gamma, beta, trained } => {
                    add(format!("normalization with gamma {gamma}, beta {beta}"));
                    format!("normalization over batch {batch}, trained {trained}")
                }
            };
            add(what);
            if let Drawn::Dense { regularizers, .. } = layer {
                let of = |index: usize| (regularizers[index].l1 > 0.0, regularizers[index].l2 > 0.0);
                add(format!("l1 and l2 of kernel {:?}", of(0)));
                add(format!("l1 and l2 of bias {:?}", of(1)));
            }
        }
    }
    // Losses, smoothed or not, but for squares; logits, ids, weights; clipping; optimizers; layers; regularizers.
    let layers = ACTIVATIONS.len() * (4 + 1) + 2 + 3 + 4 + 4;
    assert_eq!(found.len(), 5 + 8 + 4 * 2 + 9 + layers + 4 + 3, "{found:#?}");
    Ok(())
}

fn steps_of_many_nets_are_what_the_formulas_give(device: &Device) -> Outcome {
    MANY.clone().try_for_each(|seed| check(device, &Net::draw(seed, false), Precision::F32))
}

fn steps_are_what_the_formulas_give(device: &Device) -> Outcome {
    FEW.clone().try_for_each(|seed| check(device, &Net::draw(seed, false), Precision::F32))
}

fn steps_in_half_are_what_the_formulas_give(device: &Device) -> Outcome {
    FEW.clone().try_for_each(|seed| check(device, &Net::draw(seed, true), Precision::F16))
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

fn check(device: &Device, net: &Net, precision: Precision) -> Outcome {
    let model = net.description().compile(&Device::cpu(), net.optimizer.clone(), net.loss)?;
    let half = precision == Precision::F16;
    let expected =
        net.step(&parameters(&model, net.seed), half).ok_or(format!("gradients of {net:?} are too large"))?;
    for fused in [true, false] {
        let found = trained(net, fused, device, precision)?;
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

/// Labels and operations of a fused step's launches.
fn launches(
    net: Sequential,
    device: &Device,
    optimizer: impl Into<Optimizer>,
    loss: Loss,
    data: &Dataset,
) -> wgrad::Result<Vec<String>> {
    let summary = net.compile(device, optimizer, loss)?.plan_summary(data, 32)?;
    let line = |line: &str| line.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ");
    Ok(summary.lines().map(line).collect())
}

/// A change of the passes that costs launches shows here, and one that saves some has to be written down.
fn launches_of_fused_steps(device: &Device) -> Outcome {
    println!(
        "{:#?}",
        launches(
            Sequential::new(4).add(Dense::new(3).activation(Activation::Softmax)),
            device,
            Sgd::default(),
            Loss::CategoricalCrossentropy,
            &labelled(9, 4, 3)
        )?
    );
    let _ = (Adam::default(), RmsProp::default(), with_rows(1, 1, 1));
    Ok(())
}
