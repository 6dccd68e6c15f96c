//! What optimizers are told of single tensors: learning-rate factors of layers, and what weight decay leaves out.

use std::ops::ControlFlow;

use wgrad::{
    Adagrad, Clip, Constraint, Dataset, Dense, Device, Fit, LayerNormalization, Loss, Model, Nadam, Optimizer,
    Sequential, Sgd,
};

use crate::common::{Outcome, Suite, labelled, numbers, refused, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        every_name_is_an_optimizer,
        a_factor_is_a_learning_rate_of_the_layer,
        a_factor_of_zero_is_not_frozen,
        decay_leaves_out_what_it_is_told_to,
        averages_become_the_weights_at_the_end_alone,
        constraints_hold_fused_or_not,
    );
}

fn every_name_is_an_optimizer(device: &Device) -> Outcome {
    let data = labelled(20, 3, 2);
    for name in ["rmsprop", "sgd", "adam", "adamw", "adagrad", "nadam", "lion", "adamax", "adadelta", "ftrl"] {
        let optimizer: Optimizer = name.parse()?;
        assert_eq!(optimizer.to_string(), name);
        let net = Sequential::new(3).add(Dense::new(2));
        let mut model = net.compile(device, optimizer, Loss::CategoricalCrossentropy.from_logits())?;
        let before = model.parameter("dense_0.kernel")?;
        model.fit(&data, Fit::new())?;
        assert_ne!(model.parameter("dense_0.kernel")?, before, "{name}");
    }
    Ok(())
}

fn net(factor: f32) -> Sequential {
    let last = Dense::new(2).learning_rate_factor(factor);
    Sequential::new(5).add(Dense::new(4)).add(LayerNormalization::new().learning_rate_factor(factor)).add(last)
}

fn regression() -> wgrad::Result<Dataset> {
    Dataset::from_rows(numbers(60, 3), 5, numbers(24, 4), 2)
}

fn trained(device: &Device, net: Sequential, optimizer: impl Into<Optimizer>, fused: bool) -> wgrad::Result<Model> {
    let mut model = net.compile(device, optimizer, Loss::MeanSquaredError)?;
    model.set_fusion(fused);
    model.fit(&regression()?, Fit::new().batch_size(12).shuffle(false))?;
    Ok(model)
}

/// A factor of a power of two is exact, so a step is one with a learning rate that much smaller.
fn a_factor_is_a_learning_rate_of_the_layer(device: &Device) -> Outcome {
    let optimizer = |rate: f32| Sgd::default().learning_rate(rate).weight_decay(0.5).clip(Clip::Value(0.2));
    for fused in [true, false] {
        let (whole, half) =
            (trained(device, net(1.0), optimizer(0.1), fused)?, trained(device, net(1.0), optimizer(0.05), fused)?);
        let mixed = trained(device, net(0.5), optimizer(0.1), fused)?;
        for name in ["dense_0.kernel", "dense_0.bias"] {
            assert_eq!(mixed.parameter(name)?, whole.parameter(name)?, "{name}");
        }
        for name in ["dense_1.kernel", "dense_1.bias", "layer_normalization_0.gamma"] {
            assert_eq!(mixed.parameter(name)?, half.parameter(name)?, "{name}");
        }
    }
    let bad = net(-1.0).compile(device, Sgd::default(), Loss::MeanSquaredError);
    let expected = "layer layer_normalization_0: expected a learning_rate_factor that is not negative, found -1";
    refused(bad, expected);
    Ok(())
}

/// Its numbers stay, its gradients move the optimizer's state, and files keep the factor.
fn a_factor_of_zero_is_not_frozen(device: &Device) -> Outcome {
    let start = net(0.0).compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    let model = trained(device, net(0.0), Adagrad::default(), true)?;
    assert_eq!(model.parameter("dense_1.kernel")?, start.parameter("dense_1.kernel")?);
    assert_ne!(model.parameter("dense_0.kernel")?, start.parameter("dense_0.kernel")?);
    let bytes = model.to_bytes_with_optimizer()?;
    let file = safetensors::SafeTensors::deserialize(&bytes)?;
    let state = file.tensor("optimizer.accumulator.dense_1.kernel")?;
    assert!(bytemuck::pod_collect_to_vec::<u8, f32>(state.data()).iter().any(|&s| s != 0.1));
    let loaded = Model::from_bytes(&bytes, "zero".as_ref(), device)?;
    assert_eq!(loaded.description(), model.description());
    Ok(())
}

/// With no learning by gradients to speak of, what decays is what the names say; files keep them.
fn decay_leaves_out_what_it_is_told_to(device: &Device) -> Outcome {
    for (excluded, kept) in [
        (vec!["bias", "gamma", "beta"], vec!["layer_normalization_0.gamma"]),
        (vec!["dense_1"], vec!["dense_1.kernel"]),
    ] {
        let plain = || Nadam::default().learning_rate(0.01).clip(Clip::Value(1e-30)).epsilon(1.0);
        let optimizer = plain().weight_decay(10.0).exclude_from_weight_decay(excluded);
        for fused in [true, false] {
            let without = trained(device, net(1.0), plain(), fused)?;
            let model = trained(device, net(1.0), optimizer.clone(), fused)?;
            for name in ["dense_0.kernel", "dense_1.kernel", "layer_normalization_0.gamma"] {
                let same = model.parameter(name)? == without.parameter(name)?;
                assert_eq!(same, kept.contains(&name), "{name}, fused {fused}");
            }
            let loaded = Model::from_bytes(&model.to_bytes()?, "decay".as_ref(), device)?;
            assert_eq!(loaded.optimizer(), &Optimizer::from(optimizer.clone()));
        }
    }
    Ok(())
}

/// Of the kernel alone: after the first update the average is the weights, so one batch shows nothing.
fn averages_become_the_weights_at_the_end_alone(device: &Device) -> Outcome {
    let optimizer = || Sgd::default().use_ema(true).ema_momentum(0.5);
    let data = regression()?;
    let fit = || Fit::new().batch_size(4).shuffle(false);
    let compile = || net(1.0).compile(device, optimizer(), Loss::MeanSquaredError);
    let kernel = |model: &Model| model.parameter("dense_0.kernel");
    let (mut plain, mut averaged, mut stopped) = (compile()?, compile()?, compile()?);
    plain.fit(&data, fit().average_at_end(false))?;
    averaged.fit(&data, fit())?;
    stopped.fit(&data, fit().epochs(2).observer(|_| ControlFlow::Break(())))?;
    let weights = kernel(&plain)?;
    plain.swap_averages()?;
    assert_ne!(kernel(&plain)?, weights);
    assert_eq!(kernel(&plain)?, kernel(&averaged)?);
    plain.swap_averages()?;
    assert_eq!(kernel(&plain)?, weights);
    // A file takes the averages along, and training goes on with the bits that it had.
    let mut loaded = Model::from_bytes(&plain.to_bytes_with_optimizer()?, "averages".as_ref(), device)?;
    for model in [&mut plain, &mut loaded] {
        model.fit(&data, fit())?;
    }
    assert_eq!(kernel(&plain)?, kernel(&loaded)?);
    let before = kernel(&stopped)?;
    stopped.swap_averages()?;
    stopped.swap_averages()?;
    assert_eq!(kernel(&stopped)?, before);
    let mut without = net(1.0).compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    let expected = "optimizer: expected one that keeps averages of the weights: `use_ema(true)`, found sgd";
    refused(without.swap_averages(), expected);
    let bad = net(1.0).compile(device, optimizer().ema_overwrite_frequency(0), Loss::MeanSquaredError);
    refused(bad, "ema_overwrite_frequency: expected at least 1, or None, found 0");
    Ok(())
}

fn constraints_hold_fused_or_not(device: &Device) -> Outcome {
    let layer = |constraint| Dense::new(40).kernel_constraint(constraint).bias_constraint(Constraint::NonNeg);
    let net = |constraint| Sequential::new(5).add(layer(constraint)).add(Dense::new(2));
    for fused in [true, false] {
        let model = trained(device, net(Constraint::max_norm(0.25)), Sgd::default().learning_rate(0.1), fused)?;
        let kernel = model.parameter("dense_0.kernel")?;
        for column in 0..40 {
            let norm = (0..5).map(|row| kernel[40 * row + column].powi(2)).sum::<f32>().sqrt();
            assert!((norm - 0.25).abs() < 1e-5, "norm {norm}");
        }
        assert!(model.parameter("dense_0.bias")?.iter().all(|&b| b >= 0.0));
        let loaded = Model::from_bytes(&model.to_bytes()?, "constraints".as_ref(), device)?;
        assert_eq!(loaded.description(), model.description());
    }
    let bad = net(Constraint::min_max_norm(2.0, 1.0)).compile(device, Sgd::default(), Loss::MeanSquaredError);
    refused(bad, "layer dense_0: expected min_value from 0 up to max_value, and a rate from 0 to 1, found …");
    Ok(())
}
