//! Callbacks between epochs.

use std::ops::ControlFlow;

use wgrad::{
    Checkpoint, CsvLog, Dataset, Dense, Device, EarlyStopping, EpochRecord, Event, Fit, History, JsonLines, KeepBest,
    Loss, Metric, Model, Monitor, OnEpochEnd, ReduceLrOnPlateau, Sequential, Sgd, TerminateAfter,
};

use crate::common::{Outcome, Suite, refused_for, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        a_training_that_gets_worse_is_stopped_and_the_best_comes_back,
        the_best_epoch_is_kept,
        a_figure_that_is_not_there_is_refused,
        an_epoch_that_was_broken_off_is_not_judged,
        a_loss_that_is_no_number_is_no_best_one,
        a_program_that_trains_is_not_given_up_for_one_that_evaluates,
        steps_that_accumulate_are_not_profiled,
        a_second_training_is_judged_by_itself,
        any_metric_can_be_gone_by,
        a_rate_falls_on_a_plateau,
        a_training_ends_when_it_is_good_enough_or_late,
        models_and_figures_are_written_as_it_goes,
        callbacks_go_on_with_what_they_remember,
        what_a_file_cannot_hold_is_said,
    );
}

/// A line through the origin, with a learning rate beyond what is stable: each epoch is worse than the one before.
fn diverging(device: &Device) -> wgrad::Result<(Model, Dataset)> {
    let data = Dataset::from_rows(vec![1.0, 2.0], 1, vec![1.0, 2.0], 1)?;
    let net = Sequential::new(1).add(Dense::new(1).use_bias(false));
    let mut model = net.compile(device, Sgd::default().learning_rate(0.5), Loss::MeanSquaredError)?;
    model.set_parameters([("dense_0.kernel", &[1.25][..])])?;
    Ok((model, data))
}

fn a_training_that_gets_worse_is_stopped_and_the_best_comes_back(device: &Device) -> Outcome {
    for (patience, epochs) in [(0, 2), (1, 2), (3, 4)] {
        let (mut model, data) = diverging(device)?;
        let stop = EarlyStopping::new().patience(patience).restore_best_weights(true);
        let history = model.fit(&data, Fit::new().epochs(20).validation_data(&data).callback(stop))?;
        assert_eq!(history.epochs.len(), epochs, "patience {patience}");
        // The first epoch was the best: one update from 1.25.
        let (mut once, data) = diverging(device)?;
        once.fit(&data, Fit::new())?;
        assert_eq!(model.parameter("dense_0.kernel")?, once.parameter("dense_0.kernel")?);
    }
    let (mut model, data) = diverging(device)?;
    let improves_too_little = EarlyStopping::new().monitor("loss".parse()?).min_delta(1e9).patience(2);
    let history = model.fit(&data, Fit::new().epochs(20).callback(improves_too_little))?;
    assert_eq!(history.epochs.len(), 3);
    Ok(())
}

fn the_best_epoch_is_kept(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    let mut best = KeepBest::new(Monitor::ValidationLoss);
    model.fit(&data, Fit::new().epochs(4).validation_data(&data).callback(&mut best))?;
    let (epoch, snapshot) = best.best().expect("a best epoch");
    assert_eq!((epoch, snapshot.iterations()), (1, 1));
    assert_ne!(snapshot.open(device)?.parameter("dense_0.kernel")?, model.parameter("dense_0.kernel")?);
    Ok(())
}

fn a_figure_that_is_not_there_is_refused(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    refused_for(model.fit(&data, Fit::new().callback(EarlyStopping::new())), "val_loss");
    let accuracy = EarlyStopping::new().monitor(Monitor::Accuracy);
    refused_for(model.fit(&data, Fit::new().callback(accuracy)), "accuracy");
    refused_for("precison".parse::<Monitor>(), "val_accuracy");
    Ok(())
}

fn an_epoch_that_was_broken_off_is_not_judged(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    let mut steps = 0;
    let third = |event: &Event| {
        steps += usize::from(matches!(event, Event::Step(_)));
        if steps == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stop = EarlyStopping::new().patience(9).restore_best_weights(true);
    let fit = Fit::new().epochs(5).batch_size(1).validation_data(&data).callback(stop).observer(third);
    assert_eq!(model.fit(&data, fit)?.epochs.len(), 2);
    let (mut once, data) = diverging(device)?;
    once.fit(&data, Fit::new().batch_size(1))?;
    assert_eq!(model.parameter("dense_0.kernel")?, once.parameter("dense_0.kernel")?, "the whole epoch's weights");
    Ok(())
}

fn a_loss_that_is_no_number_is_no_best_one(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    model.set_parameters([("dense_0.kernel", &[1e30][..])])?;
    let mut best = KeepBest::new(Monitor::Loss);
    model.fit(&data, Fit::new().epochs(2).callback(&mut best).allow_divergence(true))?;
    assert!(best.best().is_none());
    model.set_parameters([("dense_0.kernel", &[1.25][..])])?;
    model.fit(&data, Fit::new().callback(&mut best))?;
    assert!(best.best().is_some());
    Ok(())
}

fn a_program_that_trains_is_not_given_up_for_one_that_evaluates(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    let (mut other, _) = diverging(device)?;
    let fit = || Fit::new().epochs(2).batch_size(2).validation_data(&data);
    // Sixteen programs are kept; the training's is the oldest.
    model.fit(&data, Fit::new().batch_size(2))?;
    other.fit(&data, Fit::new().batch_size(2))?;
    for rows in (0..15).map(|power| 1 << power) {
        model.predict(vec![1.0; rows])?;
    }
    let (found, expected) = (model.fit(&data, fit())?, other.fit(&data, fit())?);
    assert_eq!(found.epochs[1].validation, expected.epochs[1].validation);
    assert_eq!(model.parameter("dense_0.kernel")?, other.parameter("dense_0.kernel")?);
    Ok(())
}

fn steps_that_accumulate_are_not_profiled(device: &Device) -> Outcome {
    let data = Dataset::from_rows(vec![1.0, 2.0], 1, vec![1.0, 2.0], 1)?;
    let net = Sequential::new(1).add(Dense::new(1));
    let optimizer = Sgd::default().gradient_accumulation_steps(2);
    let mut model = net.compile(device, optimizer, Loss::MeanSquaredError)?;
    assert!(!model.profile(&data, 1, 0)?.is_empty());
    let message = "profile: expected an optimizer that updates after every batch, found updates of 2 batches";
    refused_for(model.profile(&data, 1, 3), message);
    // In the middle of an update too, which stays as it is.
    model.train_on_batch(&data)?;
    let before = model.to_bytes_with_optimizer()?;
    refused_for(model.profile(&data, 1, 3), message);
    assert!(!model.profile(&data, 1, 0)?.is_empty());
    assert!(model.to_bytes_with_optimizer()? == before);
    Ok(())
}

fn a_second_training_is_judged_by_itself(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    let mut stop = EarlyStopping::new().monitor(Monitor::Loss).patience(2);
    let epochs = |model: &mut Model, stop: &mut EarlyStopping| {
        model.fit(&data, Fit::new().epochs(20).callback(stop)).map(|history| history.epochs.len())
    };
    assert_eq!(epochs(&mut model, &mut stop)?, 3);
    // Worse than all of the first from its first epoch on: with that one's best it would end after two.
    assert_eq!(epochs(&mut model, &mut stop)?, 3);
    Ok(())
}

fn any_metric_can_be_gone_by(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    model.set_metrics([Metric::MeanAbsoluteError, Metric::R2Score])?;
    for name in ["mean_absolute_error", "val_mean_absolute_error", "r2_score"] {
        let monitor: Monitor = name.parse()?;
        assert_eq!(monitor.to_string(), name);
        let (mut model, _) = diverging(device)?;
        model.set_metrics([Metric::MeanAbsoluteError, Metric::R2Score])?;
        let stop = EarlyStopping::new().monitor(monitor);
        let history = model.fit(&data, Fit::new().epochs(20).validation_data(&data).callback(stop))?;
        assert_eq!(history.epochs.len(), 2, "{name}");
    }
    let stop = EarlyStopping::new().monitor("auc".parse()?);
    refused_for(model.fit(&data, Fit::new().callback(stop)), "loss, mean_absolute_error, r2_score");
    Ok(())
}

fn a_rate_falls_on_a_plateau(device: &Device) -> Outcome {
    let rates = |reduce: ReduceLrOnPlateau| -> wgrad::Result<Vec<f32>> {
        let (mut model, data) = diverging(device)?;
        let fit = Fit::new().epochs(6).callback(reduce.monitor(Monitor::Loss));
        Ok(model.fit(&data, fit)?.epochs.iter().map(|epoch| epoch.learning_rate).collect())
    };
    // With 0.5 each epoch is worse than the one before; what comes after is still worse than the first.
    let reduce = || ReduceLrOnPlateau::new().patience(2);
    assert_eq!(rates(reduce().factor(0.1))?[..5], [0.5, 0.5, 0.5, 0.05, 0.05]);
    assert_eq!(rates(reduce().factor(0.9))?, [0.5, 0.5, 0.5, 0.45, 0.45, 0.45 * 0.9]);
    assert_eq!(rates(reduce().factor(0.9).cooldown(2))?, [0.5, 0.5, 0.5, 0.45, 0.45, 0.45]);
    assert_eq!(rates(reduce().factor(0.1).min_learning_rate(0.4))?[3..], [0.4; 3]);
    refused_for(rates(reduce().factor(1.0)), "a factor from 0 up to, not including, 1, found 1");
    Ok(())
}

fn a_training_ends_when_it_is_good_enough_or_late(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    model.set_learning_rate(0.05)?;
    let history = model.fit(&data, Fit::new().epochs(500).until(Monitor::Loss, 1e-4))?;
    let losses: Vec<_> = history.epochs.iter().map(|epoch| epoch.train.loss).collect();
    let (last, before) = losses.split_last().expect("an epoch");
    assert!(*last <= 1e-4 && !before.is_empty() && before.iter().all(|loss| *loss > 1e-4), "{losses:?}");
    let late = TerminateAfter::new(std::time::Duration::ZERO);
    assert_eq!(model.fit(&data, Fit::new().epochs(500).callback(late))?.epochs.len(), 1);
    let mut seen = Vec::new();
    let third = OnEpochEnd::new(|training, record: &EpochRecord| {
        seen.push((record.epoch, training.iterations()));
        Ok(if record.epoch == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    let before = model.iterations();
    model.fit(&data, Fit::new().epochs(500).callback(third))?;
    assert_eq!(seen, [(1, before + 1), (2, before + 2), (3, before + 3)]);
    Ok(())
}

fn models_and_figures_are_written_as_it_goes(device: &Device) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (mut model, data) = diverging(device)?;
    let checkpoint = Checkpoint::new(path("net")).every(2).keep(2).best(Monitor::Loss);
    let (csv, json) = (CsvLog::new(path("log.csv")), JsonLines::new(path("log.jsonl")));
    let fit = Fit::new().epochs(7).callback(checkpoint).callback(csv).callback(json);
    let history = model.fit(&data, fit)?;
    let mut names: Vec<_> = std::fs::read_dir(folder.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    // Of 2, 4 and 6 the last two; the first epoch was the best.
    assert_eq!(names, ["log.csv", "log.jsonl", "net-4.safetensors", "net-6.safetensors", "net-best.safetensors"]);
    assert_eq!(Model::load(path("net-best.safetensors"), device)?.iterations(), 1);
    assert_eq!(std::fs::read_to_string(path("log.csv"))?, history.to_csv());
    let lines = std::fs::read_to_string(path("log.jsonl"))?;
    let records = lines.lines().collect::<Vec<_>>().join(",");
    assert_eq!(History::from_json(&format!("{{\"epochs\":[{records}]}}"))?, history);
    // From the fourth epoch's file on it comes to the same as it did.
    let mut resumed = Model::load(path("net-4.safetensors"), device)?;
    let fit = Fit::resume(&resumed)?;
    resumed.fit(&data, fit)?;
    assert_eq!(resumed.parameter("dense_0.kernel")?, model.parameter("dense_0.kernel")?);
    refused_for(
        model.fit(&data, Fit::new().callback(Checkpoint::new(path("no/such/net")))),
        "no/such/net-1.safetensors",
    );
    Ok(())
}

/// All callbacks that remember something, resumed from a checkpoint after every epoch: figures, rates, files and the epoch in
/// which the training ends are those of one that was never stopped.
fn callbacks_go_on_with_what_they_remember(device: &Device) -> Outcome {
    /// As a user adds them: the checkpoint saves what those behind it will remember.
    fn with_callbacks<'f>(fit: Fit<'f>, folder: &std::path::Path) -> Fit<'f> {
        fit.callback(Checkpoint::new(folder.join("net")).keep(2).best(Monitor::Loss))
            .callback(ReduceLrOnPlateau::new().monitor(Monitor::Loss).factor(0.9).patience(2).cooldown(1))
            .callback(OnEpochEnd::new(|_, _| Ok(ControlFlow::Continue(()))))
            .callback(EarlyStopping::new().monitor(Monitor::Loss).patience(7))
            .callback(CsvLog::new(folder.join("log.csv")))
            .callback(JsonLines::new(folder.join("log.jsonl")))
    }
    let names = |folder: &std::path::Path| -> std::io::Result<Vec<_>> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
        names.sort();
        Ok(names)
    };
    let (whole, parts) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (mut model, data) = diverging(device)?;
    let history = model.fit(&data, with_callbacks(Fit::new().epochs(20), whole.path()))?;
    assert_eq!(history.epochs.len(), 8, "the first is the best, and seven were no better");
    let (mut stopped, _) = diverging(device)?;
    let mut records = stopped.fit(&data, with_callbacks(Fit::new().epochs(20), parts.path()).steps(1))?.epochs;
    for epoch in 1..8 {
        let mut resumed = Model::load(parts.path().join(format!("net-{epoch}.safetensors")), device)?;
        let fit = with_callbacks(Fit::resume(&resumed)?, parts.path());
        // The last goes as far as it is let.
        records.extend(resumed.fit(&data, if epoch < 7 { fit.steps(1) } else { fit })?.epochs);
    }
    let figures = |epochs: &[EpochRecord]| -> Vec<_> {
        epochs.iter().map(|epoch| (epoch.epoch, epoch.train.clone(), epoch.learning_rate)).collect()
    };
    assert_eq!(figures(&records), figures(&history.epochs));
    assert!(history.epochs[7].learning_rate < 0.45, "it has fallen twice");
    assert_eq!(names(parts.path())?, names(whole.path())?);
    for name in ["net-8.safetensors", "net-best.safetensors"] {
        let read = |folder: &std::path::Path| Model::load(folder.join(name), device)?.parameter("dense_0.kernel");
        assert_eq!(read(parts.path())?, read(whole.path())?, "{name}");
    }
    let lines = |folder: &std::path::Path| std::fs::read_to_string(folder.join("log.csv"));
    let seconds = |text: String| -> Vec<String> {
        text.lines().map(|line| line.split(',').take(3).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(seconds(lines(parts.path())?), seconds(lines(whole.path())?));
    assert_eq!(std::fs::read_to_string(parts.path().join("log.jsonl"))?.lines().count(), 8);
    Ok(())
}

fn what_a_file_cannot_hold_is_said(device: &Device) -> Outcome {
    let stopped = |callback: &dyn Fn(Fit<'static>) -> Fit<'static>| -> wgrad::Result<(Model, Dataset)> {
        let (mut model, data) = diverging(device)?;
        model.fit(&data, callback(Fit::new().epochs(9)).steps(2))?;
        Ok((Model::from_bytes(&model.to_bytes_with_optimizer()?, "memory".as_ref(), device)?, data))
    };
    let stop = || EarlyStopping::new().monitor(Monitor::Loss).patience(5);
    let (mut model, data) = stopped(&|fit| fit.callback(stop()))?;
    let resume = |model: &Model| Fit::resume(model);
    let restoring = resume(&model)?.callback(stop().restore_best_weights(true));
    refused_for(model.fit(&data, restoring), "expected no restore_best_weights: files do not hold the best weights");
    let other = resume(&model)?.callback(ReduceLrOnPlateau::new().monitor(Monitor::Loss));
    refused_for(model.fit(&data, other), "state of a callback: expected that of reduce_lr_on_plateau");
    let two = resume(&model)?.callback(stop()).callback(stop());
    refused_for(
        model.fit(&data, two),
        "expected as many callbacks that remember something as before, 1, or none, found 2",
    );
    let none = resume(&model)?.steps(1);
    assert_eq!(model.fit(&data, none)?.epochs.len(), 1);

    let (mut model, data) = diverging(device)?;
    let mut best = KeepBest::new(Monitor::Loss);
    model.fit(&data, Fit::new().epochs(9).callback(&mut best).steps(2))?;
    let another = resume(&model)?.callback(KeepBest::new(Monitor::Loss));
    refused_for(model.fit(&data, another), "expected the one that has the model of epoch 1, the best so far");
    let same = resume(&model)?.callback(&mut best);
    model.fit(&data, same)?;
    assert_eq!(best.best().map(|(epoch, _)| epoch), Some(1));
    Ok(())
}
