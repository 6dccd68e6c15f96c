//! Half precision as users meet it: what it changes, what it leaves alone, and what it refuses. Kernels have their tests in
//! half in `tests/kernels`, whole trainings against Keras in `tests/golden.rs`.

use wgrad::{
    Activation, Adam, Clip, Dataset, Dense, Device, Fit, Loss, Model, Optimizer, Precision, RmsProp, Sequential, Sgd,
    StreamedDataset,
};

use crate::common::{
    Outcome, Suite, assert_close, assert_same_net, bits, classifier, labelled, numbers, parameters, refused, trials,
    with_shares, without_digests,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_cpu: the_cpu_device_refuses_it);
    trials!(suite.in_half:
        every_launch_agrees_with_its_reference,
        single_precision_is_near,
        a_step_has_the_same_launches,
        the_same_seed_gives_the_same_bits,
        streamed_data_gives_the_same_bits,
        parameters_stay_in_single_precision,
        gradients_that_are_too_small_for_it_are_not_lost,
        gradients_that_are_too_large_for_it_do_no_harm,
        a_checkpoint_goes_on_with_the_same_bits,
        a_wrong_loss_scale_is_refused,
        samples_beyond_its_range_are_refused,
        it_can_be_changed_at_any_time,
    );
    trials!(suite.on_matrix_units:
        every_launch_agrees_with_its_reference,
        single_precision_is_near,
        a_step_has_the_same_launches,
        the_same_seed_gives_the_same_bits,
        streamed_data_gives_the_same_bits,
        gradients_that_are_too_small_for_it_are_not_lost,
        gradients_that_are_too_large_for_it_do_no_harm,
        a_checkpoint_goes_on_with_the_same_bits,
        it_can_be_changed_at_any_time,
    );
}

fn half(model: Model) -> wgrad::Result<Model> {
    let mut model = model;
    model.set_precision(Precision::F16)?;
    Ok(model)
}

fn compile(device: &Device, data: &Dataset) -> wgrad::Result<Model> {
    let description = classifier(data.features(), 20, data.target_width());
    description.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)
}

fn the_cpu_device_refuses_it(device: &Device) -> Outcome {
    let mut model = classifier(3, 4, 2).compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
    let message = format!("half precision: expected a GPU with the feature shader-f16, found {}", device.info());
    refused(model.set_precision(Precision::F16), &message);
    assert_eq!(model.precision(), Precision::F32);
    model.set_precision(Precision::F32)?;
    assert!(!device.info().has_half_precision());
    Ok(())
}

/// Every activation, loss and kind of update, fused and not.
fn every_launch_agrees_with_its_reference(device: &Device) -> Outcome {
    let optimizers: [Optimizer; 3] = [
        RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() }.into(),
        Adam { clip: Clip::GlobalNorm(0.5), ..Adam::default() }.into(),
        Sgd { clip: Clip::Value(0.01), ..Sgd::default() }.into(),
    ];
    let losses = [
        (Loss::CategoricalCrossentropy, Activation::Softmax),
        (Loss::BinaryCrossentropy, Activation::Sigmoid),
        (Loss::MeanSquaredError, Activation::Gelu),
        (Loss::MeanSquaredError, Activation::Softmax),
    ];
    let hidden = [Activation::Relu, Activation::Silu, Activation::Softmax, Activation::Elu(0.5)];
    let data = with_shares(37, 11, 5);
    for (index, (loss, last)) in losses.into_iter().enumerate() {
        for fused in [true, false] {
            let description = Sequential::new(11)
                .add(Dense::new(9).activation(hidden[index]).l2(0.01))
                .add(Dense::new(6).activation(hidden[(index + 1) % hidden.len()]))
                .add(Dense::new(5).activation(last));
            let mut model = half(description.compile(device, optimizers[index % 3].clone(), loss)?)?;
            model.set_fusion(fused);
            let verification = model.verify(&data, 16, 3)?;
            assert!(verification.launches >= 3 * 10, "{verification}");
        }
    }
    Ok(())
}

fn single_precision_is_near(device: &Device) -> Outcome {
    let data = labelled(300, 7, 3);
    let (mut single, mut double_check) = (compile(device, &data)?, half(compile(device, &data)?)?);
    let fit = || Fit::new().epochs(5).batch_size(20);
    let (expected, found) = (single.fit(&data, fit())?, double_check.fit(&data, fit())?);
    for (expected, found) in expected.epochs.iter().zip(&found.epochs) {
        let apart = (expected.train.loss - found.train.loss).abs();
        assert!(
            apart < 2e-3 * expected.train.loss,
            "loss {} in half, {} in single",
            found.train.loss,
            expected.train.loss
        );
    }
    assert_ne!(bits(&single)?, bits(&double_check)?, "it makes a difference at all");
    // The same parameters: outputs differ by the rounding of what lies between the layers.
    let outputs = double_check.predict(&data)?;
    double_check.set_precision(Precision::F32)?;
    assert_close("outputs", &outputs, &double_check.predict(&data)?, 2e-3);
    Ok(())
}

/// No more of them, that is, and no others: what differs is that those of gradients bind the loss scale.
fn a_step_has_the_same_launches(device: &Device) -> Outcome {
    let data = labelled(16, 7, 3);
    let mut model = compile(device, &data)?;
    let summary = |model: &Model| model.plan_summary(&data, 16);
    let single = summary(&model)?;
    model.set_precision(Precision::F16)?;
    let in_half = summary(&model)?;
    assert_eq!(in_half.lines().filter(|line| line.ends_with("loss_scale")).count(), 4, "{in_half}");
    // What ends the step changes the scale that the updates read, so it shares no dispatch with them.
    let unmarked = |summary: &str| summary.replace("+update", "update ");
    let without_scale = in_half.replace(" →loss_scale", "").replace(" loss_scale", "");
    assert_eq!(unmarked(&without_scale), unmarked(&single));
    Ok(())
}

fn the_same_seed_gives_the_same_bits(device: &Device) -> Outcome {
    let data = labelled(130, 7, 3);
    let train = || -> wgrad::Result<_> {
        let mut model = half(compile(device, &data)?)?;
        let history = model.fit(&data, Fit::new().epochs(3).batch_size(16))?;
        Ok((bits(&model)?, history.epochs.iter().map(|epoch| epoch.train.clone()).collect::<Vec<_>>()))
    };
    assert_eq!(train()?, train()?);
    Ok(())
}

fn streamed_data_gives_the_same_bits(device: &Device) -> Outcome {
    let data = labelled(130, 7, 3);
    let train = |budget| -> wgrad::Result<_> {
        let mut model = half(compile(device, &data)?)?;
        model.fit(&data, Fit::new().epochs(2).batch_size(16).device_budget(budget))?;
        bits(&model)
    };
    assert_eq!(train(1 << 30)?, train(1)?);
    Ok(())
}

/// Updates far smaller than half precision could add to a weight are kept.
fn parameters_stay_in_single_precision(device: &Device) -> Outcome {
    let data = labelled(64, 7, 3);
    let description = classifier(7, 20, 3);
    let optimizer = Sgd { learning_rate: 1e-5, ..Sgd::default() };
    let mut model = half(description.compile(device, optimizer, Loss::CategoricalCrossentropy)?)?;
    let before = parameters(&model)?;
    model.fit(&data, Fit::new().batch_size(64))?;
    for ((name, before), (_, after)) in before.iter().zip(&parameters(&model)?) {
        let moved = before.iter().zip(after).filter(|(before, after)| before != after).count();
        assert!(2 * moved > before.len(), "only {moved} of {} numbers of {name} moved", before.len());
    }
    Ok(())
}

/// Weights of 10⁻⁶ make gradients of 10⁻⁸, below half precision's smallest number, 6·10⁻⁸. RMSprop does not mind their size.
fn gradients_that_are_too_small_for_it_are_not_lost(device: &Device) -> Outcome {
    let data = labelled(128, 7, 3).with_sample_weights(vec![1e-6; 128])?;
    let optimizer = RmsProp { epsilon: 1e-24, ..RmsProp::default() };
    let compile = || classifier(7, 20, 3).compile(device, optimizer.clone(), Loss::CategoricalCrossentropy);
    let (mut single, mut model) = (compile()?, half(compile()?)?);
    let fit = || Fit::new().epochs(10).batch_size(32);
    single.fit(&data, fit())?;
    model.fit(&data, fit())?;
    assert_same_net("40 steps", &model, &single, 5e-3)?;
    let moved =
        parameters(&compile()?)?[0].1.iter().zip(&parameters(&model)?[0].1).map(|(a, b)| (a - b).abs()).sum::<f32>();
    assert!(moved > 1.0, "the first kernel's 140 numbers have gone {moved} in all");
    Ok(())
}

/// Targets of a million make gradients of thousands, which times the first scale are far out of range. The scale comes down,
/// and the training gets where it gets in single precision.
fn gradients_that_are_too_large_for_it_do_no_harm(device: &Device) -> Outcome {
    let inputs = numbers(256 * 5, 1);
    let targets = inputs.chunks_exact(5).map(|row| 1e6 * (row[0] - 0.5 * row[3])).collect();
    let data = Dataset::from_rows(inputs, 5, targets, 1)?;
    let compile = || {
        let net = Sequential::new(5).add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(1));
        net.compile(device, Adam { learning_rate: 3.0, ..Adam::default() }, Loss::MeanSquaredError)
    };
    let (mut single, mut model) = (compile()?, half(compile()?)?);
    let fit = || Fit::new().epochs(60).batch_size(32);
    let (expected, found) = (single.fit(&data, fit())?, model.fit(&data, fit())?);
    let losses = |history: &wgrad::History| (history.epochs[0].train.loss, history.epochs[59].train.loss);
    let ((first, in_single), (_, in_half)) = (losses(&expected), losses(&found));
    assert!(
        in_half < 0.1 * first && in_half < 1.5 * in_single,
        "{first:e} became {in_half:e}, and {in_single:e} in single"
    );
    Ok(())
}

fn a_checkpoint_goes_on_with_the_same_bits(device: &Device) -> Outcome {
    let inputs = numbers(64 * 5, 1);
    let targets = inputs.chunks_exact(5).map(|row| 1e4 * row[0]).collect();
    let data = Dataset::from_rows(inputs, 5, targets, 1)?;
    let net = Sequential::new(5).add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(1));
    let compile = || net.clone().compile(device, Adam::default(), Loss::MeanSquaredError).and_then(half);
    let fit = |first| Fit::new().epochs(2).initial_epoch(first).batch_size(16);
    let mut whole = compile()?;
    whole.fit(&data, fit(0))?;
    whole.fit(&data, fit(2))?;
    let mut first = compile()?;
    first.fit(&data, fit(0))?;
    let bytes = first.to_bytes_with_optimizer()?;
    assert!(text(&bytes).contains("\"loss_scale\":["), "these gradients change the scale, so it is kept");
    assert!(!text(&first.to_bytes()?).contains("loss_scale"), "weights alone need none");
    let mut second = half(Model::from_bytes(&bytes, "memory".as_ref(), device)?)?;
    second.fit(&data, fit(2))?;
    assert_eq!(bits(&second)?, bits(&whole)?);
    // A device without half precision has no use for it, and keeps it.
    let elsewhere = Model::from_bytes(&bytes, "memory".as_ref(), &Device::cpu())?;
    assert_eq!(elsewhere.to_bytes_with_optimizer()?, bytes);
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\\', "")
}

fn a_wrong_loss_scale_is_refused(device: &Device) -> Outcome {
    let data = labelled(16, 7, 3);
    let mut model = half(compile(device, &data)?)?;
    model.fit(&data, Fit::new().batch_size(16))?;
    let bytes = without_digests(&model.to_bytes_with_optimizer()?)?;
    let (right, wrong) = (b"[32768.0,1]".as_slice(), b"[32769.0,1]".as_slice());
    let at = bytes.windows(right.len()).position(|window| window == right).expect("the scale after one step");
    let mut changed = bytes.clone();
    changed[at..at + wrong.len()].copy_from_slice(wrong);
    let message = "checkpoint memory: expected a loss scale that is a power of two from 2⁻²⁴ to 2²⁴, and fewer than 2000 \
                   steps, found 32769, 1 steps";
    refused(Model::from_bytes(&changed, "memory".as_ref(), device), message);
    Ok(())
}

fn samples_beyond_its_range_are_refused(device: &Device) -> Outcome {
    let mut inputs = vec![65_504.0; 4 * 3];
    let within = Dataset::from_classes(inputs.clone(), 3, vec![0, 1, 0, 1], 2)?;
    inputs[7] = 65_505.0;
    let beyond = Dataset::from_classes(inputs.clone(), 3, vec![0, 1, 0, 1], 2)?;
    let mut model = half(compile(device, &within)?)?;
    model.fit(&within, Fit::new())?;
    let before = bits(&model)?;
    let message = "samples in half precision: expected numbers from −65504 to 65504, found 65505 in row 2, column 1";
    refused(model.fit(&beyond, Fit::new()), message);
    refused(model.evaluate(&beyond), message);
    refused(model.predict(&inputs), message);
    // Of a streamed set only the pieces are seen, each as it comes.
    assert_eq!(bits(&model)?, before);
    let pieces = beyond.clone();
    let pieces = StreamedDataset::from_fn(4, move |rows| Ok(pieces.range(rows)?))?.shuffle_buffer(1)?;
    refused(model.fit(&pieces, Fit::new().batch_size(1).shuffle(false)), message);
    assert_eq!(model.iterations(), 3, "one step on all, and one each on the samples before");
    // Whatever the order in which they are read, the row is the set's.
    refused(model.fit(&pieces.block_size(2)?.shuffle_buffer(4)?, Fit::new()), message);
    Ok(())
}

fn it_can_be_changed_at_any_time(device: &Device) -> Outcome {
    let data = labelled(64, 7, 3);
    let mut model = compile(device, &data)?;
    let mut losses = Vec::new();
    for precision in [Precision::F32, Precision::F16, Precision::F32, Precision::F16] {
        model.set_precision(precision)?;
        assert_eq!(model.precision(), precision);
        model.fit(&data, Fit::new().epochs(10))?;
        losses.push(model.evaluate(&data)?.loss);
    }
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
    Ok(())
}
