//! Nets of all kinds of layers: the same bits twice, streamed or not, and after a resume; masks and moving averages; gradients
//! that are accumulated; learning rates from a schedule.

use std::ops::ControlFlow;

use wgrad::{
    Activation, Adam, AnyDataset, Augmentation, BatchNormalization, Dataset, Dense, Device, Dropout, Event,
    ExponentialDecay, Fit, Flatten, GaussianNoise, Initializer, LayerNormalization, Loss, Model, Optimizer, Prelu,
    Rescaling, RmsProp, Schedule, Sequential, Sgd, StreamedDataset,
};

use crate::common::{Outcome, Suite, bits, labelled, numbers, refused_for, trials, with_rows};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        the_same_seed_gives_the_same_bits,
        streaming_changes_nothing,
        a_resume_goes_on_with_the_same_bits,
        dropout_is_for_training_alone,
        dropout_keeps_the_expectation,
        moving_averages_come_from_the_batches,
        accumulated_batches_are_one_large_one,
        a_part_of_an_update_carries_over,
        schedules_count_batches,
        five_calls_of_one_epoch_are_one_of_five,
        layers_that_cannot_be_are_refused,
        a_net_without_parameters_predicts,
        tensors_start_as_they_are_told,
        softmax_has_a_temperature,
        noise_is_for_training_alone,
        images_are_augmented_in_training_alone,
        augmentation_knows_where_it_may_stand,
    );
    trials!(suite.in_half: the_same_seed_gives_the_same_bits);
    trials!(suite.on_gpu: masks_are_those_of_the_cpu, plans_have_as_many_launches_as_said);
}

/// Every layer there is.
fn net() -> Sequential {
    Sequential::new([2, 3])
        .add(Rescaling::new(0.5).offset(0.1))
        .add(
            Augmentation::new()
                .translation(0.3, 0.2)
                .rotation(0.1)
                .zoom(0.2)
                .shear(0.1, 0.1)
                .elastic(3.0, 1.0)
                .cutout(0.5, 0.5),
        )
        .add(Flatten)
        .add(Dense::new(9).use_bias(false))
        .add(BatchNormalization::new().momentum(0.9))
        .add(Activation::Relu)
        .add(Dropout::new(0.25))
        .add(GaussianNoise::new(0.1))
        .add(Dense::new(7).activation(Activation::Gelu))
        .add(Prelu::new())
        .add(LayerNormalization::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(3).activation(Activation::Softmax))
}

fn compiled(device: &Device, optimizer: impl Into<Optimizer>) -> wgrad::Result<Model> {
    net().compile(device, optimizer, Loss::CategoricalCrossentropy)
}

fn scheduled() -> Adam {
    Adam::default().learning_rate(ExponentialDecay::new(0.02, 3u32, 0.7)).gradient_accumulation_steps(3)
}

fn the_same_seed_gives_the_same_bits(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    for optimizer in [Optimizer::from(RmsProp::default()), scheduled().into()] {
        let train = || -> wgrad::Result<_> {
            let mut model = compiled(device, optimizer.clone())?;
            model.fit(&data, Fit::new().epochs(3).batch_size(16))?;
            Ok((bits(&model)?, model.to_bytes_with_optimizer()?))
        };
        assert!(train()? == train()?, "{optimizer:?}");
    }
    Ok(())
}

fn streaming_changes_nothing(device: &Device) -> Outcome {
    let data = labelled(61, 6, 3);
    let train = |budget| -> wgrad::Result<_> {
        let mut model = compiled(device, scheduled())?;
        model.fit(&data, Fit::new().epochs(2).batch_size(8).device_budget(budget))?;
        model.to_bytes_with_optimizer()
    };
    assert!(train(1 << 30)? == train(1)?);
    Ok(())
}

fn a_resume_goes_on_with_the_same_bits(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let fit = |epochs| Fit::new().epochs(epochs).batch_size(16);
    for optimizer in [Optimizer::from(RmsProp::default()), scheduled().into()] {
        let mut whole = compiled(device, optimizer.clone())?;
        whole.fit(&data, fit(4))?;
        let mut first = compiled(device, optimizer.clone())?;
        first.fit(&data, fit(1))?;
        let bytes = first.to_bytes_with_optimizer()?;
        let mut second = Model::from_bytes(&bytes, std::path::Path::new("memory"), device)?;
        assert_eq!((second.batches(), second.iterations()), (first.batches(), first.iterations()));
        second.fit(&data, fit(3))?;
        assert!(whole.to_bytes_with_optimizer()? == second.to_bytes_with_optimizer()?, "{optimizer:?}");
    }
    Ok(())
}

/// Without its dropout layers a net evaluates and predicts alike.
fn dropout_is_for_training_alone(device: &Device) -> Outcome {
    let data = labelled(20, 6, 3);
    let with =
        Sequential::new(6).add(Dense::new(5)).add(Dropout::new(0.9)).add(Dense::new(3).activation(Activation::Softmax));
    let without = Sequential::new(6).add(Dense::new(5)).add(Dense::new(3).activation(Activation::Softmax));
    let with = with.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
    let without = without.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
    assert_eq!(with.predict(&data)?, without.predict(&data)?);
    assert_eq!(with.evaluate(&data)?, without.evaluate(&data)?);
    Ok(())
}

/// The outputs of dropout alone, as a linear net's bias sees them: of n ones a share stays, each 1 / (1 − rate) as large.
fn dropped_sums(device: &Device, rate: f32, batches: usize) -> wgrad::Result<Vec<f32>> {
    let features = 64;
    let data = Dataset::from_rows(vec![1.0; features * 16], features, vec![0.0; 16], 1)?;
    let net = Sequential::new(features)
        .add(Dropout::new(rate))
        .add(Dense::new(1).use_bias(false).trainable(false))
        .add(Dense::new(1));
    let mut model = net.compile(device, Sgd::default().learning_rate(0.0), Loss::MeanSquaredError)?;
    let ones = vec![1.0; features];
    model.set_parameters([("dense_0.kernel", &ones[..]), ("dense_1.kernel", &[1.0][..])])?;
    let mut losses = Vec::new();
    for _ in 0..batches {
        // The loss of one batch is the mean of the squared sums.
        losses.push(model.train_on_batch(&data)?.loss.sqrt() as f32);
    }
    Ok(losses)
}

fn dropout_keeps_the_expectation(device: &Device) -> Outcome {
    let sums = dropped_sums(device, 0.25, 20)?;
    // 64 numbers, each 4/3 with probability 3/4: the sum's deviation is 64^½ · (1/3)^½ = 4.6; of 16 rows and 20 batches 0.26.
    let root_mean_square = (sums.iter().map(|sum| sum * sum).sum::<f32>() / 20.0).sqrt();
    let expected = (64.0f32 * 64.0 + 64.0 / 3.0).sqrt();
    assert!((root_mean_square - expected).abs() < 1.5, "{root_mean_square} instead of {expected}");
    assert!(sums.windows(2).all(|pair| pair[0] != pair[1]), "each batch has a mask of its own: {sums:?}");
    Ok(())
}

fn masks_are_those_of_the_cpu(device: &Device) -> Outcome {
    let (gpu, cpu) = (dropped_sums(device, 0.4, 6)?, dropped_sums(&Device::cpu(), 0.4, 6)?);
    for (gpu, cpu) in gpu.iter().zip(&cpu) {
        assert!((gpu - cpu).abs() < 1e-4 * cpu, "{gpu} on the GPU, {cpu} on the CPU");
    }
    Ok(())
}

fn moving_averages_come_from_the_batches(device: &Device) -> Outcome {
    let inputs = numbers(40, 9);
    let data = Dataset::from_rows(inputs.clone(), 2, vec![0.5; 20], 1)?;
    let net = Sequential::new(2).add(BatchNormalization::new().momentum(0.75)).add(Dense::new(1));
    let mut model = net.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    model.train_on_batch(&data)?;
    let (mean, variance) = (
        model.parameter("batch_normalization_0.moving_mean")?,
        model.parameter("batch_normalization_0.moving_variance")?,
    );
    for column in 0..2 {
        let values: Vec<f64> = inputs.iter().skip(column).step_by(2).map(|&x| x.into()).collect();
        let average = values.iter().sum::<f64>() / 20.0;
        let spread = values.iter().map(|x| (x - average).powi(2)).sum::<f64>() / 20.0;
        assert!((f64::from(mean[column]) - 0.25 * average).abs() < 1e-6);
        assert!((f64::from(variance[column]) - (0.75 + 0.25 * spread)).abs() < 1e-6);
    }
    // Evaluation leaves them alone, and so does a layer that is not trained.
    model.evaluate(&data)?;
    assert_eq!(model.parameter("batch_normalization_0.moving_mean")?, mean);
    let frozen = Sequential::new(2).add(BatchNormalization::new().trainable(false)).add(Dense::new(1));
    let mut frozen = frozen.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    frozen.train_on_batch(&data)?;
    assert_eq!(frozen.parameter("batch_normalization_0.moving_mean")?, [0.0; 2]);
    // A batch of one row has no variance; what is normalized is then zero, not a NaN.
    let one = data.take(1);
    assert!(model.train_on_batch(&one)?.loss.is_finite());
    assert!(model.parameter("dense_0.kernel")?.iter().all(|w| w.is_finite()));
    Ok(())
}

fn accumulated_batches_are_one_large_one(device: &Device) -> Outcome {
    let data = with_rows(48, 5, 3);
    let net = || Sequential::new(5).add(Dense::new(40).activation(Activation::Tanh)).add(Dense::new(3));
    let train = |optimizer: Sgd, batch_size| -> wgrad::Result<_> {
        let mut model = net().compile(device, optimizer, Loss::MeanSquaredError)?;
        model.fit(&data, Fit::new().epochs(2).batch_size(batch_size).shuffle(false))?;
        Ok((model.iterations(), model.parameter("dense_0.kernel")?, model.parameter("dense_1.bias")?))
    };
    let sgd = || Sgd::default().learning_rate(0.1).momentum(0.5);
    let (large, parts) = (train(sgd(), 24)?, train(sgd().gradient_accumulation_steps(3), 8)?);
    assert_eq!((large.0, parts.0), (4, 4));
    for (a, b) in large.1.iter().chain(&large.2).zip(parts.1.iter().chain(&parts.2)) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
    Ok(())
}

fn a_part_of_an_update_carries_over(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let mut model = compiled(device, Adam::default().gradient_accumulation_steps(3))?;
    let fit = || Fit::new().batch_size(16); // four batches an epoch
    let mut seen = Vec::new();
    for _ in 0..3 {
        model.fit(&data, fit())?;
        seen.push((model.batches(), model.iterations()));
    }
    assert_eq!(seen, [(4, 1), (8, 2), (12, 4)]);
    let mut whole = compiled(device, Adam::default().gradient_accumulation_steps(3))?;
    whole.fit(&data, fit().epochs(3))?;
    assert!(whole.to_bytes_with_optimizer()? == model.to_bytes_with_optimizer()?);
    Ok(())
}

fn schedules_count_batches(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let decay = ExponentialDecay::new(0.02, 3u32, 0.7);
    let schedule = Schedule::from(decay.clone());
    let mut model = compiled(device, scheduled())?;
    let mut rates = Vec::new();
    let observe = |event: &Event| {
        if let Event::Step(record) = event {
            rates.push(record.learning_rate);
        }
        ControlFlow::Continue(())
    };
    model.fit(&data, Fit::new().epochs(3).batch_size(16).observer(observe))?;
    assert_eq!(rates, (0..12).map(|batch| schedule.at(batch)).collect::<Vec<_>>());
    assert_eq!(model.learning_rate(), schedule.at(12));
    // What the device used is what the records say: with plain descent a step is the rate times the gradient.
    let rows = Dataset::from_rows(vec![1.0; 6], 1, vec![0.0; 6], 1)?;
    let net = Sequential::new(1).add(Dense::new(1).use_bias(false));
    let mut line = net.compile(device, Sgd::default().learning_rate(decay), Loss::MeanSquaredError)?;
    line.set_parameters([("dense_0.kernel", &[1.0][..])])?;
    line.fit(&rows, Fit::new().epochs(4).batch_size(3))?;
    let expected = (0..8).fold(1.0f32, |w, batch| w - schedule.at(batch) * 2.0 * w);
    assert!((line.parameter("dense_0.kernel")?[0] - expected).abs() < 1e-6);
    refused_for(line.set_learning_rate(0.5), "schedule");
    Ok(())
}

fn five_calls_of_one_epoch_are_one_of_five(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let rows = data.clone();
    let streamed =
        StreamedDataset::from_fn(50, move |range| Ok(rows.range(range)?))?.block_size(4)?.shuffle_buffer(20)?;
    let fit = || Fit::new().batch_size(16).seed(4);
    for data in [AnyDataset::from(&data), AnyDataset::from(&streamed)] {
        let (mut once, mut often) = (compiled(device, RmsProp::default())?, compiled(device, RmsProp::default())?);
        once.fit(&data, fit().epochs(5))?;
        for _ in 0..5 {
            often.fit(&data, fit())?;
        }
        assert!(bits(&once)? == bits(&often)?);
    }
    Ok(())
}

fn layers_that_cannot_be_are_refused(device: &Device) -> Outcome {
    let compile = |net: Sequential| net.compile(device, Sgd::default(), Loss::MeanSquaredError);
    refused_for(compile(Sequential::new(3).add(Dropout::new(1.0))), "layer dropout_0");
    refused_for(compile(Sequential::new(3).add(GaussianNoise::new(-0.1))), "layer gaussian_noise_0");
    refused_for(compile(Sequential::new([3, 2]).add(Prelu::new())), "Flatten");
    refused_for(compile(Sequential::new(3).add(Activation::Celu(0.0))), "layer activation_0");
    let start = Dense::new(2).bias_initializer(Initializer::Orthogonal { gain: 1.0 });
    refused_for(compile(Sequential::new(3).add(start)), "start of dense_0.bias");
    refused_for(compile(Sequential::new(3).add(BatchNormalization::new().momentum(1.5))), "momentum from 0 to 1");
    refused_for(compile(Sequential::new(3).add(LayerNormalization::new().epsilon(0.0))), "epsilon");
    refused_for(compile(Sequential::new([3, 2]).add(BatchNormalization::new())), "Flatten");
    refused_for(compile(Sequential::new(3).add(Rescaling::new(f32::NAN))), "a finite scale");
    let optimizer = Sgd::default().gradient_accumulation_steps(0);
    refused_for(Sequential::new(3).add(Dense::new(1)).compile(device, optimizer, Loss::MeanSquaredError), "at least 1");
    Ok(())
}

fn a_net_without_parameters_predicts(device: &Device) -> Outcome {
    let net = Sequential::new([2, 2]).add(Rescaling::new(2.0)).add(Flatten);
    let mut model = net.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    assert_eq!(model.predict(vec![1.0, 2.0, 3.0, 4.0])?, [2.0, 4.0, 6.0, 8.0]);
    let data = Dataset::from_rows(vec![1.0; 8], 4, vec![2.0; 8], 4)?;
    assert_eq!(model.fit(&data, Fit::new())?.epochs[0].train.loss, 0.0);
    Ok(())
}

fn tensors_start_as_they_are_told(device: &Device) -> Outcome {
    let net = |start: Initializer| {
        Sequential::new(2)
            .add(Dense::new(3).bias_initializer(Initializer::Values(vec![1.0, 2.0, 3.0])))
            .add(LayerNormalization::new().gamma_initializer(Initializer::Constant(0.5)).beta_initializer(start))
            .add(BatchNormalization::new().gamma_initializer(Initializer::Constant(2.0)))
            .add(Prelu::new().alpha_initializer(Initializer::Constant(0.25)))
            .add(Dense::new(3).kernel_initializer(Initializer::Identity { gain: 2.0 }))
    };
    let compile = |net: Sequential| net.compile(device, Sgd::default(), Loss::MeanSquaredError);
    let model = compile(net(Initializer::Ones))?;
    assert_eq!(model.parameter("dense_0.bias")?, [1.0, 2.0, 3.0]);
    assert_eq!(model.parameter("layer_normalization_0.gamma")?, [0.5; 3]);
    assert_eq!(model.parameter("layer_normalization_0.beta")?, [1.0; 3]);
    assert_eq!(model.parameter("batch_normalization_0.gamma")?, [2.0; 3]);
    assert_eq!(model.parameter("prelu_0.alpha")?, [0.25; 3]);
    assert_eq!(model.parameter("dense_1.kernel")?, [2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
    // A file keeps how tensors started.
    let again = Model::from_bytes(&model.to_bytes()?, std::path::Path::new("memory"), device)?;
    assert_eq!(again.description(), model.description());
    // Drawn numbers repeat with the seed, and are others with another.
    let drawn = |seed| -> wgrad::Result<_> {
        let start = Initializer::RandomNormal { mean: 1.0, stddev: 0.5 };
        compile(net(start).seed(seed))?.parameter("layer_normalization_0.beta")
    };
    assert_eq!(drawn(3)?, drawn(3)?);
    assert_ne!(drawn(3)?, drawn(4)?);
    Ok(())
}

/// Softmax of z / T is `Rescaling` before it, in training too: the loss takes the softmax upon itself behind it.
fn softmax_has_a_temperature(device: &Device) -> Outcome {
    let net = Sequential::new(3).add(Rescaling::new(1.0 / 4.0)).add(Activation::Softmax);
    let mut model = net.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
    let z = [1.0f64, -2.0, 4.0];
    let exponentials = z.map(|z| (z / 4.0).exp());
    let sum: f64 = exponentials.iter().sum();
    for (found, expected) in model.predict([1.0, -2.0, 4.0])?.iter().zip(exponentials) {
        assert!((f64::from(*found) - expected / sum).abs() < 1e-6, "{found} for {}", expected / sum);
    }
    let data = Dataset::from_classes(vec![1.0, -2.0, 4.0], 3, vec![1], 3)?;
    let loss = model.train_on_batch(&data)?.loss;
    assert!((loss + (exponentials[1] / sum).ln()).abs() < 1e-6, "{loss}");
    Ok(())
}

fn noise_is_for_training_alone(device: &Device) -> Outcome {
    let data = labelled(20, 6, 3);
    let net = |stddev| {
        let last = Dense::new(3).activation(Activation::Softmax);
        Sequential::new(6).add(GaussianNoise::new(stddev)).add(last)
    };
    let compile =
        |stddev| net(stddev).compile(device, Sgd::default().learning_rate(0.0), Loss::CategoricalCrossentropy);
    let (mut with, mut without) = (compile(2.0)?, compile(0.0)?);
    assert_eq!(with.predict(&data)?, without.predict(&data)?);
    assert_eq!(with.evaluate(&data)?, without.evaluate(&data)?);
    let mut losses = Vec::new();
    for _ in 0..2 {
        losses.push(with.train_on_batch(&data)?.loss);
    }
    assert!(losses[0] != losses[1] && losses[0] != without.train_on_batch(&data)?.loss, "{losses:?}");
    Ok(())
}

fn images_are_augmented_in_training_alone(device: &Device) -> Outcome {
    let data = labelled(20, 12, 3);
    let compile = |augmentation: Augmentation| {
        let last = Dense::new(3).activation(Activation::Softmax);
        let net = Sequential::new([2, 3, 2]).add(augmentation).add(Flatten).add(last);
        net.compile(device, Sgd::default().learning_rate(0.0), Loss::CategoricalCrossentropy)
    };
    let mut without = compile(Augmentation::new())?;
    let plain = without.train_on_batch(&data)?.loss;
    let kinds = [
        Augmentation::new().translation(0.5, 0.0),
        Augmentation::new().translation(0.0, 0.5),
        Augmentation::new().rotation(0.1),
        Augmentation::new().zoom(0.3),
        Augmentation::new().shear(0.3, 0.0),
        Augmentation::new().shear(0.0, 0.3),
        Augmentation::new().elastic(5.0, 2.0),
        Augmentation::new().cutout(0.5, 0.7),
    ];
    for kind in kinds {
        let mut with = compile(kind)?;
        assert_eq!(with.predict(&data)?, without.predict(&data)?, "{kind:?}");
        assert_eq!(with.evaluate(&data)?, without.evaluate(&data)?, "{kind:?}");
        let losses = [with.train_on_batch(&data)?.loss, with.train_on_batch(&data)?.loss];
        assert!(losses[0] != losses[1] && losses[0] != plain, "{kind:?}: {losses:?} and {plain}");
        // A file says what it is.
        let again = Model::from_bytes(&with.to_bytes()?, std::path::Path::new("memory"), device)?;
        assert_eq!(again.description(), with.description());
    }
    // One launch more where it does anything.
    let launches =
        |augmentation| -> wgrad::Result<usize> { Ok(compile(augmentation)?.plan_summary(&data, 4)?.lines().count()) };
    assert_eq!(launches(Augmentation::new().zoom(0.1))?, launches(Augmentation::new())? + 1);
    Ok(())
}

fn augmentation_knows_where_it_may_stand(device: &Device) -> Outcome {
    let compile = |net: Sequential| net.compile(device, Sgd::default(), Loss::MeanSquaredError);
    let own = || Augmentation::new().zoom(0.1);
    compile(Sequential::new([3, 2]).add(Rescaling::new(2.0)).add(own()).add(own()).add(Flatten).add(Dense::new(1)))?;
    // What has parameters makes rows of one dimension, or takes no others.
    let behind = Sequential::new([3, 2]).add(Dense::new(6)).add(own());
    refused_for(compile(behind), "layer augmentation_0: expected images");
    refused_for(compile(Sequential::new(6).add(own())), "[height, width]");
    refused_for(compile(Sequential::new([1, 2, 3, 4]).add(own())), "[height, width]");
    refused_for(compile(Sequential::new([1, 20_000]).add(own())), "16384 pixels");
    refused_for(compile(Sequential::new([3, 2]).add(own()).add(Dense::new(1))), "Flatten");
    let wrong = [
        (Augmentation::new().translation(1.5, 0.0), "height_factor from 0 to 1"),
        (Augmentation::new().translation(0.0, -0.1), "width_factor from 0 to 1"),
        (Augmentation::new().rotation(f32::NAN), "rotation from 0 to 1"),
        (Augmentation::new().zoom(1.0), "not including, 1"),
        (Augmentation::new().shear(2.0, 0.0), "x_factor"),
        (Augmentation::new().shear(0.0, 2.0), "y_factor"),
        (Augmentation::new().cutout(0.5, 1.1), "cutout"),
        (Augmentation::new().elastic(-1.0, 4.0), "alpha"),
        (Augmentation::new().elastic(1.0, 0.5), "sigma from 1"),
        (Augmentation::new().fill_value(f32::INFINITY), "fill_value"),
    ];
    for (wrong, message) in wrong {
        refused_for(compile(Sequential::new([3, 2]).add(wrong)), message);
    }
    // The coarsest and the finest grid of a large image.
    compile(Sequential::new([98, 98]).add(Augmentation::new().elastic(9.0, 2.1)).add(Flatten).add(Dense::new(1)))?;
    let fine = Sequential::new([98, 98]).add(Augmentation::new().elastic(9.0, 2.0));
    refused_for(compile(fine), "sigma of 2.0207");
    Ok(())
}

/// What each layer costs a step, in launches: the table of docs/plan.md.
fn plans_have_as_many_launches_as_said(device: &Device) -> Outcome {
    let data = labelled(40, 6, 3);
    let launches = |middle: Option<wgrad::Layer>| -> wgrad::Result<usize> {
        let mut net = Sequential::new(6).add(Dense::new(9));
        if let Some(layer) = middle {
            net = net.add(layer);
        }
        let net = net.add(Activation::Relu).add(Dense::new(3).activation(Activation::Softmax));
        let model = net.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
        Ok(model.plan_summary(&data, 16)?.lines().count())
    };
    let plain = launches(None)?;
    assert_eq!(plain, 6);
    // Each way one; and the activation and its derivative, which the layer keeps from riding in the product before.
    assert_eq!(launches(Some(Dropout::new(0.5).into()))?, plain + 3);
    // The same, and the update of γ and β.
    assert_eq!(launches(Some(BatchNormalization::new().into()))?, plain + 4);
    // One more backward, for the gradients of γ and β.
    assert_eq!(launches(Some(LayerNormalization::new().into()))?, plain + 5);
    assert_eq!(launches(Some(Flatten.into()))?, plain);
    // One forward and none backward: only the activation no longer rides; its derivative does.
    assert_eq!(launches(Some(GaussianNoise::new(0.1).into()))?, plain + 2);
    // As layer normalization, for α.
    assert_eq!(launches(Some(Prelu::new().into()))?, plain + 5);
    Ok(())
}
