//! `fit` and `train_on_batch`: what observers see, how training stops, validation, weights, frozen layers, and batches of
//! odd sizes.

use std::ops::ControlFlow;

use wgrad::{AdamW, Clip, Dataset, Dense, Device, Error, Event, Fit, History, Loss, Model, RmsProp, Sequential, Sgd};

use crate::common::{
    Outcome, Suite, assert_same_net, bits, classifier, ids, labelled, numbers, parameters, trials, with_rows,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        learns,
        observers_see_every_step_once_and_in_order,
        a_break_in_a_step_ends_the_epoch,
        a_break_after_an_epoch_ends_the_training,
        epochs_in_one_call_are_those_of_several,
        validation_equals_a_later_evaluation,
        class_weights_are_sample_weights,
        a_weight_of_two_is_the_sample_twice,
        weight_zero_is_as_if_absent,
        train_on_batch_is_one_step,
        train_on_batch_accumulates,
        frozen_layers_keep_their_bits,
        a_net_all_frozen_stays,
        learning_rate_zero_changes_nothing,
        odd_batch_sizes,
        no_epochs_change_nothing,
        a_training_that_diverges_ends_and_says_where,
        a_validation_that_diverges_ends_the_training,
    );
}

fn compile(device: &Device, data: &Dataset) -> wgrad::Result<Model> {
    let description = classifier(data.features(), 8, data.target_width());
    description.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)
}

fn learns(device: &Device) -> Outcome {
    let data = labelled(400, 6, 3);
    let mut model = compile(device, &data)?;
    let before = model.evaluate(&data)?;
    let history = model.fit(&data, Fit::new().epochs(30).batch_size(16))?;
    let after = model.evaluate(&data)?;
    assert!(after.loss < 0.5 * before.loss, "loss {} came from {}", after.loss, before.loss);
    assert!(after.accuracy > Some(0.85), "{after}");
    assert_eq!(history.epochs.len(), 30);
    assert_eq!(history.to_csv().lines().count(), 31);
    Ok(())
}

/// Trains and returns all events.
fn observed(model: &mut Model, data: &Dataset, fit: Fit<'_>) -> wgrad::Result<(wgrad::History, Vec<Event>)> {
    let mut events = Vec::new();
    let history = model.fit(
        data,
        fit.observer(|event| {
            events.push(event.clone());
            ControlFlow::Continue(())
        }),
    )?;
    Ok((history, events))
}

fn observers_see_every_step_once_and_in_order(device: &Device) -> Outcome {
    let data = labelled(70, 6, 3);
    let mut model = compile(device, &data)?;
    let (history, events) = observed(&mut model, &data, Fit::new().epochs(3).batch_size(16))?;
    assert_eq!(events.len(), 3 * (5 + 1));
    for (epoch, events) in events.chunks(6).enumerate() {
        let mut loss_sum = 0.0;
        for (index, event) in events[..5].iter().enumerate() {
            let Event::Step(step) = event else { panic!("{event:?} at step {index}") };
            assert_eq!((step.epoch, step.epochs, step.step, step.steps), (epoch + 1, 3, index + 1, 5));
            assert_eq!(step.samples, (16 * (index + 1)).min(70));
            loss_sum += step.loss * if index == 4 { 6.0 } else { 16.0 };
            assert!((step.so_far.loss - loss_sum / step.samples as f64).abs() < 1e-6);
            assert!(step.so_far.accuracy.is_some());
        }
        let (Event::Step(last), Event::Epoch(record)) = (&events[4], &events[5]) else { panic!("{events:?}") };
        assert_eq!(*record, history.epochs[epoch]);
        assert_eq!((record.epoch, record.samples, &record.train), (epoch + 1, 70, &last.so_far));
        assert!(record.seconds > 0.0 && last.seconds <= record.seconds);
    }
    assert_eq!(model.iterations(), 15);
    Ok(())
}

/// Steps that were on the device already are made and counted, though the observer hears no more of them.
fn a_break_in_a_step_ends_the_epoch(device: &Device) -> Outcome {
    let data = labelled(1000, 6, 3);
    let mut model = compile(device, &data)?;
    let mut seen = Vec::new();
    let observer = |event: &Event| {
        seen.push(event.clone());
        if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let fit = Fit::new().epochs(3).batch_size(4).shuffle(false).validation_data(&data).observer(observer);
    let history = model.fit(&data, fit)?;
    assert_eq!(history.epochs.len(), 1);
    let record = &history.epochs[0];
    assert_eq!(record.validation, None);
    assert!(matches!(seen[..], [Event::Step(_), Event::Step(_), Event::Step(_), Event::Epoch(_)]), "{seen:?}");
    let steps = model.iterations() as usize;
    assert!((3..250).contains(&steps), "{steps} steps");
    assert_eq!(record.samples, 4 * steps);
    let mut same = compile(device, &data)?;
    same.fit(&data.take(4 * steps), Fit::new().batch_size(4).shuffle(false))?;
    assert_eq!(bits(&model)?, bits(&same)?);
    model.fit(&data, Fit::new().batch_size(4))?;
    assert_eq!(model.iterations() as usize, steps + 250);
    Ok(())
}

fn a_break_after_an_epoch_ends_the_training(device: &Device) -> Outcome {
    let data = labelled(40, 6, 3);
    let mut model = compile(device, &data)?;
    let observer = |event: &Event| match event {
        Event::Epoch(record) if record.epoch == 2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let history = model.fit(&data, Fit::new().epochs(9).batch_size(10).observer(observer))?;
    assert_eq!((history.epochs.len(), model.iterations()), (2, 8));
    // Nothing of the third epoch was under way.
    let mut two = compile(device, &data)?;
    two.fit(&data, Fit::new().epochs(2).batch_size(10))?;
    assert_eq!(bits(&model)?, bits(&two)?);
    Ok(())
}

/// What is prepared for an epoch while the one before is under way makes no difference, nor does validation in between.
fn epochs_in_one_call_are_those_of_several(device: &Device) -> Outcome {
    let data = labelled(103, 6, 3);
    for shuffle in [true, false] {
        let fit = || Fit::new().batch_size(10).seed(4).shuffle(shuffle);
        let (mut whole, mut validated, mut parts) =
            (compile(device, &data)?, compile(device, &data)?, compile(device, &data)?);
        let at_once = whole.fit(&data, fit().epochs(4))?;
        validated.fit(&data, fit().epochs(4).validation_data(&data))?;
        for (epoch, expected) in at_once.epochs.iter().enumerate() {
            let one = parts.fit(&data, fit().initial_epoch(epoch))?;
            assert_eq!(one.epochs[0].train, expected.train);
        }
        assert_eq!(bits(&parts)?, bits(&whole)?);
        assert_eq!(bits(&validated)?, bits(&whole)?);
    }
    Ok(())
}

fn validation_equals_a_later_evaluation(device: &Device) -> Outcome {
    let data = labelled(100, 6, 3);
    let (part, kept) = data.split_validation(0.25)?;
    assert_eq!((part.len(), kept.len()), (75, 25));
    let mut split = compile(device, &data)?;
    let of_split = split.fit(&data, Fit::new().epochs(2).validation_split(0.25))?;
    let mut given = compile(device, &data)?;
    // Validation data wins over a split.
    let of_given = given.fit(&part, Fit::new().epochs(2).validation_data(&kept).validation_split(0.5))?;
    assert_eq!(bits(&split)?, bits(&given)?);
    let score = split.evaluate(&kept)?;
    assert_eq!(of_split.last().and_then(|record| record.validation.as_ref()), Some(&score));
    assert_eq!(of_given.last().and_then(|record| record.validation.as_ref()), Some(&score));
    assert_eq!(of_split.last().map(|record| record.samples), Some(75));
    Ok(())
}

fn class_weights_are_sample_weights(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let by_class = [0.5f32, 2.0, 1.25];
    let by_sample = ids(&numbers(50 * 6, 1), 6, 3).iter().map(|&id| by_class[id as usize]).collect();
    let train = |data: &Dataset, fit: Fit<'_>| -> wgrad::Result<_> {
        let mut model = compile(device, data)?;
        let history = model.fit(data, fit.epochs(2).batch_size(16))?;
        Ok((bits(&model)?, history.last().map(|record| record.train.clone())))
    };
    let weighted = data.clone().with_sample_weights(by_sample)?;
    let expected = train(&weighted, Fit::new())?;
    assert_eq!(train(&data, Fit::new().class_weight(by_class))?, expected);
    // Both at once multiply.
    let halves = data.clone().with_sample_weights(vec![0.5; 50])?;
    let doubled = by_class.map(|weight| 2.0 * weight);
    assert_eq!(train(&halves, Fit::new().class_weight(doubled))?, expected);
    assert_ne!(train(&data, Fit::new())?.0, expected.0);
    Ok(())
}

/// The mean is over the batch's rows, weighted or not (Keras's `sum_over_batch_size`), so a batch in which samples stand
/// twice has more rows, and takes a larger rate to make the same step.
fn a_weight_of_two_is_the_sample_twice(device: &Device) -> Outcome {
    let (inputs, features) = (numbers(8 * 6, 1), 6);
    let classes = ids(&inputs, features, 3);
    let weights: Vec<f32> = vec![1.0, 2.0, 3.0, 1.0, 2.0, 1.0, 1.0, 1.0];
    let weighted =
        Dataset::from_classes(inputs.clone(), features, classes.clone(), 3)?.with_sample_weights(weights.clone())?;
    let repeated: Vec<usize> = (0..8).flat_map(|row| vec![row; weights[row] as usize]).collect();
    let rows = repeated.iter().flat_map(|&row| inputs[row * features..][..features].to_vec()).collect();
    let duplicated = Dataset::from_classes(rows, features, repeated.iter().map(|&row| classes[row]).collect(), 3)?;
    let train = |data: &Dataset, learning_rate| -> wgrad::Result<_> {
        let mut model = classifier(6, 8, 3).compile(
            device,
            Sgd { learning_rate, ..Sgd::default() },
            Loss::CategoricalCrossentropy,
        )?;
        (0..5).try_for_each(|_| model.train_on_batch(data).map(drop))?;
        Ok(model)
    };
    assert_same_net("weights", &train(&weighted, 0.1)?, &train(&duplicated, 0.1 * 12.0 / 8.0)?, 2e-6)?;
    Ok(())
}

fn weight_zero_is_as_if_absent(device: &Device) -> Outcome {
    let (good, mut inputs) = (labelled(10, 6, 3), numbers(20 * 6, 1));
    inputs[60..].fill(1e30);
    let classes = [ids(&inputs[..60], 6, 3), vec![0; 10]].concat();
    let weights = [[2.0; 10], [0.0; 10]].concat();
    let data = Dataset::from_classes(inputs, 6, classes, 3)?.with_sample_weights(weights)?;
    let train = |data: &Dataset| -> wgrad::Result<_> {
        let mut model = classifier(6, 8, 3).compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
        model.train_on_batch(data)?;
        Ok(model)
    };
    assert_same_net("weights", &train(&data)?, &train(&good)?, 2e-6)?;
    Ok(())
}

fn train_on_batch_is_one_step(device: &Device) -> Outcome {
    let data = labelled(45, 6, 3);
    let (mut model, mut fitted) = (compile(device, &data)?, compile(device, &data)?);
    for step in 0..3 {
        let before = model.evaluate(&data)?;
        let score = model.train_on_batch(&data)?;
        assert_eq!(score.accuracy, before.accuracy);
        assert!((score.loss - before.loss).abs() < 1e-6, "{score} and {before}");
        assert_eq!(model.iterations(), step + 1);
    }
    fitted.fit(&data, Fit::new().epochs(3).batch_size(45).shuffle(false))?;
    assert_eq!(bits(&model)?, bits(&fitted)?);
    Ok(())
}

/// With gradients of three batches to an update, two calls only add to them.
fn train_on_batch_accumulates(device: &Device) -> Outcome {
    let data = labelled(45, 6, 3);
    let optimizer = Sgd::default().gradient_accumulation_steps(3);
    let mut model = classifier(6, 8, 3).compile(device, optimizer, Loss::CategoricalCrossentropy)?;
    let before = bits(&model)?;
    for call in 1..=6 {
        model.train_on_batch(&data)?;
        assert_eq!((model.batches(), model.iterations()), (call, call / 3));
        assert_eq!(bits(&model)? == before, call < 3, "call {call}");
    }
    Ok(())
}

/// AdamW, since its decay moves even parameters without a gradient; clipping, since it looks at all gradients.
fn frozen_layers_keep_their_bits(device: &Device) -> Outcome {
    let data = with_rows(40, 6, 3);
    for frozen in 0..3 {
        let layer = |index: usize, units| Dense::new(units).trainable(index != frozen);
        let description = Sequential::new(6).add(layer(0, 5)).add(layer(1, 4)).add(layer(2, 3));
        let optimizer = AdamW { clip: Clip::GlobalNorm(0.5), ..AdamW::default() };
        let mut model = description.compile(device, optimizer, Loss::MeanSquaredError)?;
        let before = parameters(&model)?;
        model.fit(&data, Fit::new().epochs(2).batch_size(16))?;
        for ((name, after), (_, before)) in parameters(&model)?.iter().zip(&before) {
            let same = after.iter().map(|x| x.to_bits()).eq(before.iter().map(|x| x.to_bits()));
            assert_eq!(same, name.starts_with(&format!("dense_{frozen}")), "{name} with layer {frozen} frozen");
        }
    }
    Ok(())
}

fn a_net_all_frozen_stays(device: &Device) -> Outcome {
    let description = Sequential::new(6).add(Dense::new(3).trainable(false).l2(0.1));
    let mut model = description.compile(device, AdamW::default(), Loss::MeanSquaredError)?;
    let before = bits(&model)?;
    let history = model.fit(&with_rows(40, 6, 3), Fit::new().epochs(2))?;
    assert_eq!(bits(&model)?, before);
    assert!(history.epochs.iter().all(|epoch| epoch.train.loss.is_finite() && epoch.train.loss > 0.0));
    Ok(())
}

fn learning_rate_zero_changes_nothing(device: &Device) -> Outcome {
    let data = labelled(40, 6, 3);
    let mut model = classifier(6, 8, 3).compile(device, AdamW::default(), Loss::CategoricalCrossentropy)?;
    let before = bits(&model)?;
    model.set_learning_rate(0.0)?;
    model.fit(&data, Fit::new().epochs(2))?;
    assert_eq!((bits(&model)?, model.learning_rate()), (before.clone(), 0.0));
    model.set_learning_rate(1e-3)?;
    model.fit(&data, Fit::new())?;
    assert_ne!(bits(&model)?, before);
    Ok(())
}

fn odd_batch_sizes(device: &Device) -> Outcome {
    let data = labelled(21, 6, 3);
    let mut single = compile(device, &data)?;
    let history = single.fit(&data, Fit::new().batch_size(1))?;
    assert_eq!((single.iterations(), history.epochs[0].samples), (21, 21));
    let train = |batch_size| -> wgrad::Result<_> {
        let mut model = compile(device, &data)?;
        model.fit(&data, Fit::new().epochs(3).batch_size(batch_size))?;
        assert_eq!(model.iterations(), 3);
        bits(&model)
    };
    assert_eq!(train(21)?, train(wgrad::MAX_BATCH_SIZE)?);
    Ok(())
}

fn no_epochs_change_nothing(device: &Device) -> Outcome {
    let data = labelled(21, 6, 3);
    let mut model = compile(device, &data)?;
    let before = bits(&model)?;
    assert!(model.fit(&data, Fit::new().epochs(0))?.epochs.is_empty());
    assert_eq!((bits(&model)?, model.iterations()), (before, 0));
    Ok(())
}

/// A line with inputs so large that gradient descent doubles its error many times a step.
fn steep(device: &Device, momentum: f32) -> wgrad::Result<(Model, Dataset)> {
    let data = Dataset::from_rows(vec![1e3; 40], 1, vec![1.0; 40], 1)?;
    let net = Sequential::new(1).add(Dense::new(1));
    Ok((net.compile(device, Sgd { momentum, ..Sgd::default() }, Loss::MeanSquaredError)?, data))
}

fn a_training_that_diverges_ends_and_says_where(device: &Device) -> Outcome {
    let fit = || Fit::new().epochs(30).batch_size(10).shuffle(false);
    for momentum in [0.0, 0.5] {
        let (mut model, data) = steep(device, momentum)?;
        let mut seen = Vec::new();
        let observer = |event: &Event| {
            seen.push(event.clone());
            ControlFlow::Continue(())
        };
        let error = model.fit(&data, fit().observer(observer)).expect_err("a loss that is not finite");
        let Error::Diverged { monitor, loss, epoch, step, tensors, .. } = &error else { panic!("{error}") };
        assert!(*monitor == "loss" && !loss.is_finite(), "{error}");
        let says = format!("the training diverged: loss is {loss} in epoch {epoch}, step {step}; ");
        assert!(error.to_string().starts_with(&says), "{error}");
        let history = error.history().expect("the epochs up to there");
        assert_eq!(history.epochs.len(), *epoch);
        // The observer hears of the step, of the epoch, and of nothing beyond; what was under way is made and counted.
        let steps: Vec<_> = seen.iter().filter(|event| matches!(event, Event::Step(_))).collect();
        let Some(Event::Step(last)) = steps.last() else { panic!("{seen:?}") };
        assert_eq!((last.epoch, last.step, last.loss.is_finite()), (*epoch, *step, false));
        assert_eq!(steps.len(), 4 * (epoch - 1) + step);
        assert!(steps.len() <= model.iterations() as usize && model.iterations() as usize <= 4 * epoch);
        assert!(matches!(seen.last(), Some(Event::Epoch(record)) if record.epoch == *epoch), "{seen:?}");
        // Those that are named are those that are broken.
        for (name, values) in parameters(&model)? {
            assert_eq!(tensors.contains(&name), values.iter().any(|value| !value.is_finite()), "{name}: {tensors:?}");
        }
        assert!(!tensors.iter().any(|name| name.starts_with("optimizer.momentum.")) || momentum > 0.0, "{tensors:?}");
        // With the switch it goes on, and its history, NaN and all, is written and read.
        let (mut model, data) = steep(device, momentum)?;
        let history = model.fit(&data, fit().allow_divergence(true))?;
        assert_eq!((history.epochs.len(), model.iterations()), (30, 120));
        assert!(!history.epochs[29].train.loss.is_finite());
        let json = serde_json::to_string(&history)?;
        assert_eq!(serde_json::to_string(&serde_json::from_str::<History>(&json)?)?, json);
    }
    Ok(())
}

/// The one step's loss is finite, and so is what it leaves; the loss after it is beyond any number.
fn a_validation_that_diverges_ends_the_training(device: &Device) -> Outcome {
    let data = Dataset::from_rows(vec![1e15; 4], 1, vec![0.0; 4], 1)?;
    let net = Sequential::new(1).add(Dense::new(1).use_bias(false));
    let compile = || net.clone().compile(device, Sgd::default(), Loss::MeanSquaredError);
    let fit = || Fit::new().epochs(3).validation_data(&data);
    let error = compile()?.fit(&data, fit()).expect_err("a loss that is not finite");
    let says = "the training diverged: val_loss is inf in epoch 1, step 1; all tensors are finite; ";
    assert!(error.to_string().starts_with(says), "{error}");
    assert_eq!(error.history().map(|history| history.epochs.len()), Some(1));
    assert_eq!(compile()?.fit(&data, fit().allow_divergence(true))?.epochs.len(), 3);
    Ok(())
}
