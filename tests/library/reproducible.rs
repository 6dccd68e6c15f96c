//! The same seed gives the same bits: twice, on any number of threads, from resident or streamed data, in one call or in
//! two. And fusion changes nothing beyond rounding.

use wgrad::{
    Activation, Adam, Clip, Dense, Device, Fit, InstructionSet, Loss, LossFunction, Model, Optimizer, RmsProp,
    Sequential, Sgd,
};

use crate::common::{
    Outcome, Suite, assert_same_net, bits, classifier, every_format, labelled, parameters, trials, with_shares,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        same_seed_same_bits,
        epochs_in_two_calls,
        fusion_changes_rounding_alone,
        many_batch_sizes_do_not_disturb_each_other,
    );
    trials!(suite.on_cpu: threads_change_nothing, files_do_not_depend_on_threads);
    trials!(suite.on_gpu: streamed_data_gives_the_bits_of_resident, streamed_validation_gives_the_same_score);
}

fn fit() -> Fit<'static> {
    Fit::new().epochs(2).batch_size(32).seed(5)
}

fn same_seed_same_bits(device: &Device) -> Outcome {
    let data = labelled(203, 37, 5);
    let train = |model_seed, order_seed| -> wgrad::Result<_> {
        let description = classifier(37, 19, 5).seed(model_seed);
        let mut model = description.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
        let history = model.fit(&data, fit().seed(order_seed))?;
        Ok((bits(&model)?, history.epochs.iter().map(|epoch| epoch.train.clone()).collect::<Vec<_>>()))
    };
    let first = train(1, 5)?;
    assert_eq!(first, train(1, 5)?);
    assert_ne!(first.0, train(2, 5)?.0, "the model's seed changed nothing");
    assert_ne!(first.0, train(1, 6)?.0, "the order's seed changed nothing");
    Ok(())
}

/// More sizes than a model keeps plans for, gone through twice, against a model that is new at each step.
fn many_batch_sizes_do_not_disturb_each_other(device: &Device) -> Outcome {
    let data = labelled(24, 7, 3);
    let description = || classifier(7, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy);
    let (mut one, mut renewed) = (description()?, description()?);
    for samples in (1..=24).chain(1..=24) {
        let batch = data.take(samples);
        let score = one.train_on_batch(&batch)?;
        renewed = Model::from_bytes(&renewed.to_bytes_with_optimizer()?, "memory".as_ref(), device)?;
        assert_eq!(score, renewed.train_on_batch(&batch)?, "{samples} samples");
        assert_eq!(one.evaluate(&data)?, renewed.evaluate(&data)?, "after {samples} samples");
    }
    assert_eq!(bits(&one)?, bits(&renewed)?);
    Ok(())
}

/// The net is large enough for its products and its update to be shared, and wide enough for its first kernel to lie in a
/// share for each thread, where no sum over all parameters forbids it.
fn threads_change_nothing(_: &Device) -> Outcome {
    let data = labelled(150, 253, 10);
    let many = labelled(1100, 253, 10);
    let optimizers: [Optimizer; 3] = [
        Adam::default().into(),
        RmsProp { momentum: 0.5, ..RmsProp::default() }.into(),
        Sgd { clip: Clip::GlobalNorm(0.1), ..Sgd::default() }.into(),
    ];
    let combinations = || {
        let with = |fused| optimizers.clone().map(|optimizer| (fused, optimizer));
        [true, false].into_iter().flat_map(with)
    };
    for (index, set) in InstructionSet::available().into_iter().enumerate() {
        // Everything with the best instructions, and the first combination with the others.
        for (fused, optimizer) in combinations().take(if index == 0 { usize::MAX } else { 1 }) {
            let train = |threads, cache| -> wgrad::Result<_> {
                let device = Device::options().instruction_set(set).threads(threads).cache_size(cache).cpu()?;
                assert_eq!(device.info().threads, Some(threads));
                let mut model =
                    classifier(253, 390, 10).compile(&device, optimizer.clone(), Loss::CategoricalCrossentropy)?;
                model.set_fusion(fused);
                let history = model.fit(&data, fit().batch_size(64))?;
                // A batch that is too large for a copy a thread.
                model.fit(&many, Fit::new().batch_size(1100))?;
                let outputs: Vec<_> = model.predict(&data)?.into_iter().map(f32::to_bits).collect();
                Ok((bits(&model)?, outputs, history.epochs[1].train.clone(), model.evaluate(&many)?))
            };
            let alone = train(1, 1 << 20)?;
            for (threads, cache) in [(2, 1 << 20), (3, 128 << 10)] {
                let what = format!("{optimizer:?}, fused: {fused}, {set}");
                assert!(alone == train(threads, cache)?, "{threads} threads give other bits with {what}");
            }
        }
    }
    Ok(())
}

/// What is saved does not show how many threads there were, and a training goes on with another number of them.
fn files_do_not_depend_on_threads(_: &Device) -> Outcome {
    let data = labelled(150, 253, 10);
    let device = |threads| Device::cpu_with_threads(threads);
    let compile =
        |threads| classifier(253, 390, 10).compile(&device(threads), RmsProp::default(), Loss::CategoricalCrossentropy);
    let fit = |epoch| Fit::new().batch_size(32).initial_epoch(epoch);
    let mut alone = compile(1)?;
    let initial = parameters(&alone)?;
    alone.fit(&data, fit(0).epochs(2))?;
    let mut first = compile(3)?;
    assert_eq!(parameters(&first)?, initial);
    first.fit(&data, fit(0))?;
    let bytes = first.to_bytes_with_optimizer()?;
    let mut second = Model::from_bytes(&bytes, "memory".as_ref(), &device(2))?;
    assert_eq!(second.to_bytes_with_optimizer()?, bytes);
    second.fit(&data, fit(1))?;
    assert_eq!(second.to_bytes_with_optimizer()?, alone.to_bytes_with_optimizer()?);
    // What is set is what is read, and what the launches see.
    second.set_parameters(initial.iter().map(|(name, values)| (name.as_str(), values.as_slice())))?;
    assert_eq!(parameters(&second)?, initial);
    let verification = second.verify(&data, 32, 3)?;
    assert!(verification.largest_share < 0.5, "{verification}");
    Ok(())
}

fn epochs_in_two_calls(device: &Device) -> Outcome {
    let data = labelled(100, 12, 4);
    let compile = || classifier(12, 9, 4).compile(device, Adam::default(), Loss::CategoricalCrossentropy);
    let mut whole = compile()?;
    let at_once = whole.fit(&data, fit().epochs(4))?;
    let mut halves = compile()?;
    let first = halves.fit(&data, fit().epochs(2))?;
    let second = halves.fit(&data, fit().epochs(2).initial_epoch(2))?;
    assert_eq!(bits(&whole)?, bits(&halves)?);
    assert_eq!((whole.iterations(), halves.iterations()), (16, 16));
    let losses = |history: &wgrad::History| history.epochs.iter().map(|epoch| epoch.train.loss).collect::<Vec<_>>();
    assert_eq!(losses(&at_once), [losses(&first), losses(&second)].concat());
    Ok(())
}

const ACTIVATIONS: [Activation; 12] = [
    Activation::Linear,
    Activation::Relu,
    Activation::LeakyRelu(0.2),
    Activation::Elu(1.0),
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Gelu,
    Activation::Softplus,
    Activation::Softmax,
    Activation::GeluExact,
    Activation::RELU6,
];

/// Plain gradient descent, since RMSprop and Adam divide by the gradient's size and so magnify rounding near zero.
fn fusion_changes_rounding_alone(device: &Device) -> Outcome {
    let losses: [(LossFunction, Activation); 3] = [
        (Loss::CategoricalCrossentropy.into(), Activation::Softmax),
        (Loss::BinaryCrossentropy.into(), Activation::Sigmoid),
        (Loss::MeanSquaredError.into(), Activation::Tanh),
    ];
    let data = with_shares(50, 9, 3);
    for hidden in ACTIVATIONS {
        for (loss, last) in losses {
            let train = |fused| -> wgrad::Result<_> {
                let mut model = Sequential::new(9)
                    .add(Dense::new(11).activation(hidden))
                    .add(Dense::new(7).activation(hidden))
                    .add(Dense::new(3).activation(last))
                    .compile(device, Sgd { learning_rate: 0.1, ..Sgd::default() }, loss)?;
                model.set_fusion(fused);
                model.fit(&data, Fit::new().epochs(2).batch_size(16))?;
                Ok(model)
            };
            let what = format!("{hidden} under {}", loss.loss);
            assert_same_net(&what, &train(true)?, &train(false)?, 2e-6)?;
        }
    }
    Ok(())
}

const SAMPLES: usize = 203;
const FEATURES: usize = 30;

fn streamed_data_gives_the_bits_of_resident(device: &Device) -> Outcome {
    for data in every_format(SAMPLES, FEATURES, 5)? {
        let train = |budget| -> wgrad::Result<_> {
            let mut model =
                classifier(FEATURES, 8, 5).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
            let history = model.fit(&data, fit().batch_size(16).device_budget(budget))?;
            let scores: Vec<_> = history.epochs.iter().map(|epoch| epoch.train.clone()).collect();
            Ok((bits(&model)?, scores))
        };
        let resident = train(1 << 30)?;
        // 1 and 0: a batch at a time. 12288: three batches of these floats at a time, or more of bytes; the last chunk
        // and its last batch are ragged.
        for budget in [0, 1, 12_288] {
            assert!(resident == train(budget)?, "a budget of {budget} bytes gives other bits: {data:?}");
        }
    }
    Ok(())
}

/// Evaluation goes through 1024 rows at a time: three chunks here, the last one ragged.
fn streamed_validation_gives_the_same_score(device: &Device) -> Outcome {
    let (data, validation) = (labelled(64, 12, 4), labelled(2500, 12, 4));
    let score = |budget| -> wgrad::Result<_> {
        let mut model: Model = classifier(12, 8, 4).compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
        let history = model.fit(&data, fit().validation_data(&validation).device_budget(budget))?;
        Ok(history.epochs.iter().map(|epoch| epoch.validation.clone()).collect::<Vec<_>>())
    };
    let resident = score(1 << 30)?;
    assert!(resident.iter().all(Option::is_some));
    assert_eq!(resident, score(1)?);
    Ok(())
}
