//! Trainings whose device is destroyed under them, again and again: the bits, the history and the events of those that never lost
//! one.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use futures::future::LocalBoxFuture;
use wgrad::{
    Activation, Adam, AnyDataset, BatchNormalization, Callback, CosineDecay, Dataset, Dense, Device, Dropout,
    EarlyStopping, EpochRecord, Error, Event, Fit, History, KeepBest, Loss, Metric, Model, Monitor, Recover,
    RecoveryRecord, ReduceLrOnPlateau, Sequential, Sgd, Snapshot, StreamedDataset, Training, wgpu,
};

use crate::common::{Outcome, Suite, classifier, host_device, labelled, numbers, refused, refused_for, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_gpu:
        lost_at_random_steps,
        lost_at_random_steps_of_a_streamed_set,
        lost_between_epochs,
        lost_after_a_break,
        lost_while_it_diverges,
        opened_again_in_the_same_way,
        a_device_of_the_hosts_own,
        a_device_that_is_lost_at_once,
    );
    trials!(suite.on_cpu: the_cpu_keeps_nothing);
}

const SAMPLES: usize = 53;
const BATCH: usize = 8;
const STEPS: usize = SAMPLES.div_ceil(BATCH);
const EPOCHS: usize = 4;
/// Losses of a training.
const LOSSES: usize = 10;

fn data() -> Dataset {
    labelled(SAMPLES, 5, 3)
}

fn fit<'a>() -> Fit<'a> {
    Fit::new().epochs(EPOCHS).batch_size(BATCH).seed(11)
}

/// All that a step may depend on: a schedule, dropout, moving averages, gradients that wait for their update; and metrics.
fn full(device: &Device) -> wgrad::Result<Model> {
    let net = Sequential::new(5)
        .add(Dense::new(6).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(3).activation(Activation::Softmax));
    let optimizer = Adam::default().learning_rate(CosineDecay::new(0.01, 40u32)).gradient_accumulation_steps(3);
    let mut model = net.compile(device, optimizer, Loss::CategoricalCrossentropy)?;
    model.set_metrics([Metric::ConfusionMatrix, "auc".parse()?, "mse".parse()?])?;
    Ok(model)
}

fn destroy(device: &Device) {
    device.wgpu().expect("a GPU").0.destroy();
}

/// The device that a training is on, for those who destroy it.
struct Victim(RefCell<Device>);

impl Victim {
    fn new() -> wgrad::Result<Self> {
        Ok(Victim(RefCell::new(Device::gpu()?)))
    }

    fn device(&self) -> Device {
        self.0.borrow().clone()
    }

    fn destroy(&self) {
        destroy(&self.device());
    }

    fn recover(&self) -> Recover<'_> {
        Recover::new().every(3).open_with(|| {
            let device = self.device().reopen()?;
            *self.0.borrow_mut() = device.clone();
            Ok(device)
        })
    }
}

/// An event without its times.
#[derive(Debug, PartialEq)]
enum Told {
    Step(usize, usize, u64, u32, String),
    Epoch(usize, String),
}

fn told(event: &Event) -> Option<Told> {
    match event {
        Event::Step(step) => {
            let so_far = format!("{:?} {}", step.so_far, step.samples);
            Some(Told::Step(step.epoch, step.step, step.loss.to_bits(), step.learning_rate.to_bits(), so_far))
        }
        Event::Epoch(record) => Some(Told::Epoch(record.epoch, figures(record))),
        _ => None,
    }
}

fn figures(record: &EpochRecord) -> String {
    let EpochRecord { epoch, train, validation, samples, learning_rate, .. } = record;
    format!("{epoch} {train:?} {validation:?} {samples} {learning_rate}")
}

fn all_figures(history: &History) -> Vec<String> {
    history.epochs.iter().map(figures).collect()
}

/// What a training leaves behind.
#[derive(Debug, PartialEq)]
struct Left {
    model: Vec<u8>,
    history: Vec<String>,
    told: Vec<Told>,
}

/// Trains with the device destroyed after each of these steps, counted over all epochs.
fn trained(data: &AnyDataset, fit: Fit<'_>, at: &[usize]) -> Result<(Left, Vec<RecoveryRecord>), Error> {
    let victim = Victim::new()?;
    let mut model = full(&victim.device())?;
    let (mut heard, mut recoveries, mut steps) = (Vec::new(), Vec::new(), 0);
    let observer = |event: &Event| {
        heard.extend(told(event));
        match event {
            Event::Step(_) => {
                steps += 1;
                if at.contains(&steps) {
                    victim.destroy();
                }
            }
            Event::Recovered(record) => recoveries.push(record.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let history = model.fit(data, fit.observer(observer).on_device_loss(victim.recover()))?;
    assert_eq!(model.predict([0.5; 5])?.len(), 3, "the model lives on the device that it came to");
    let left = Left { model: model.to_bytes_with_optimizer()?, history: all_figures(&history), told: heard };
    Ok((left, recoveries))
}

/// Fifty losses in five trainings.
fn at_random(data: &AnyDataset, fit: &dyn Fn() -> Fit<'static>, seed: u64) -> Outcome {
    let (expected, none) = trained(data, fit(), &[])?;
    assert_eq!((none.len(), expected.history.len()), (0, EPOCHS));
    let steps = expected.told.len() - EPOCHS;
    let random = numbers(5 * LOSSES, seed);
    for chosen in random.chunks(LOSSES) {
        let at: Vec<_> = chosen.iter().map(|x| 1 + ((0.5 + 0.5 * x) * steps as f32) as usize).collect();
        let (found, recoveries) = trained(data, fit(), &at)?;
        assert!(found == expected, "after losses at {at:?}: {found:?} for {expected:?}");
        assert!(!recoveries.is_empty() && recoveries.iter().all(|record| !record.reason.is_empty()));
    }
    Ok(())
}

fn lost_at_random_steps(_: &Device) -> Outcome {
    at_random(&(&data()).into(), &|| fit().class_weight([0.5, 1.0, 2.0]).validation_split(0.15), 31)
}

/// Of the reader's windows, and of samples that are beyond the device's budget.
fn lost_at_random_steps_of_a_streamed_set(_: &Device) -> Outcome {
    let samples = data();
    let set = StreamedDataset::from_fn(SAMPLES, move |rows| Ok(samples.range(rows)?))?;
    let set = set.block_size(5)?.shuffle_buffer(2 * BATCH)?;
    at_random(&(&set).into(), &|| fit().device_budget(600), 32)
}

/// Halves the rate, goes back to the numbers of the epoch before in every second epoch, and destroys the device at each of its calls,
/// before and after it has done so.
struct Meddler<'v> {
    victim: Option<&'v Victim>,
    before: Option<Snapshot>,
    calls: usize,
}

impl Meddler<'_> {
    fn strike(&self) {
        if let Some(victim) = self.victim {
            victim.destroy();
        }
    }
}

impl Callback for Meddler<'_> {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, wgrad::Result<ControlFlow<()>>> {
        Box::pin(async move {
            self.calls += 1;
            if self.calls % 2 == 1 {
                self.strike();
            }
            let now = training.snapshot().await?;
            let half = training.learning_rate() / 2.0;
            training.set_learning_rate(half)?;
            match (&self.before, record.epoch % 2) {
                (Some(before), 0) => training.restore_weights(before)?,
                (Some(before), _) if record.epoch == 3 => training.restore(before)?,
                _ => {}
            }
            self.before = Some(now);
            if record.epoch > 1 {
                self.strike();
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn train_end<'c>(&'c mut self, training: &'c mut Training<'_>) -> LocalBoxFuture<'c, wgrad::Result<()>> {
        Box::pin(async move {
            if let Some(before) = &self.before {
                training.restore_weights(before)?;
            }
            self.strike();
            Ok(())
        })
    }
}

fn lost_between_epochs(_: &Device) -> Outcome {
    let train = |strikes: bool| -> Result<_, Box<dyn std::error::Error>> {
        let victim = Victim::new()?;
        let net = classifier(5, 4, 3);
        let mut model = net.compile(&victim.device(), Sgd::default().use_ema(true), Loss::CategoricalCrossentropy)?;
        let mut best = KeepBest::new(Monitor::ValidationLoss);
        let meddler = Meddler { victim: strikes.then_some(&victim), before: None, calls: 0 };
        let stop = EarlyStopping::new().patience(9).restore_best_weights(true);
        let plateau = ReduceLrOnPlateau::new().monitor(Monitor::Loss).patience(1).min_delta(10.0);
        let recovered = Cell::new(0);
        let observer = |event: &Event| {
            if strikes && matches!(event, Event::Epoch(_) | Event::Step(wgrad::StepRecord { step: STEPS, .. })) {
                victim.destroy();
            }
            recovered.set(recovered.get() + usize::from(matches!(event, Event::Recovered(_))));
            ControlFlow::Continue(())
        };
        let fit = fit().validation_data(&data()).callback(&mut best).callback(meddler).callback(stop).callback(plateau);
        let history = model.fit(&data(), fit.observer(observer).on_device_loss(victim.recover()))?;
        let (epoch, snapshot) = best.best().ok_or("an epoch")?;
        let kernel = snapshot.open(&Device::cpu())?.parameter("dense_0.kernel")?;
        Ok(((model.to_bytes_with_optimizer()?, all_figures(&history), epoch, kernel), recovered.get()))
    };
    let ((expected, none), (found, recovered)) = (train(false)?, train(true)?);
    assert_eq!(none, 0);
    assert!(recovered >= 2 * EPOCHS, "{recovered} recoveries");
    assert!(found == expected, "{:?} for {:?}", found.1, expected.1);
    Ok(())
}

/// What was told before the loss is made again, and no more.
fn lost_after_a_break(_: &Device) -> Outcome {
    for stop in [2, 4, STEPS, STEPS + 1] {
        let victim = Victim::new()?;
        let mut model = full(&victim.device())?;
        let mut steps = 0;
        let observer = |event: &Event| {
            steps += usize::from(matches!(event, Event::Step(_)));
            match event {
                Event::Step(_) if steps == stop => {
                    victim.destroy();
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        };
        let history = model.fit(&data(), fit().observer(observer).on_device_loss(victim.recover()))?;
        assert_eq!((model.batches() as usize, steps), (stop, stop));
        assert_eq!(history.epochs.len(), stop.div_ceil(STEPS));
        let mut expected = full(&Device::gpu()?)?;
        expected.fit(&data(), fit().steps(stop))?;
        assert!(model.to_bytes_with_optimizer()? == expected.to_bytes_with_optimizer()?, "after step {stop}");
    }
    Ok(())
}

fn lost_while_it_diverges(_: &Device) -> Outcome {
    let train = |strikes: bool| -> wgrad::Result<String> {
        let victim = Victim::new()?;
        let net = Sequential::new(5).add(Dense::new(3));
        let mut model = net.compile(&victim.device(), Sgd::default().learning_rate(1e30), Loss::MeanSquaredError)?;
        let observer = |event: &Event| {
            if strikes && matches!(event, Event::Step(step) if step.step > 1) {
                victim.destroy();
            }
            ControlFlow::Continue(())
        };
        let rows = Dataset::from_rows(numbers(SAMPLES * 5, 3), 5, numbers(SAMPLES * 3, 4), 3)?;
        let result = model.fit(&rows, fit().observer(observer).on_device_loss(victim.recover()));
        Ok(refused_for(result, "the training diverged: loss is").to_string())
    };
    assert_eq!(train(true)?, train(false)?);
    Ok(())
}

fn opened_again_in_the_same_way(_: &Device) -> Outcome {
    let device = Device::options().index_checks(true).gpu()?;
    let mut model = full(&device)?;
    let destroyed = Cell::new(false);
    let observer = |event: &Event| {
        if matches!(event, Event::Step(step) if step.epoch == 2) && !destroyed.replace(true) {
            destroy(&device);
        }
        ControlFlow::Continue(())
    };
    model.fit(&data(), fit().observer(observer).on_device_loss(Recover::new()))?;
    assert!(destroyed.get());
    assert_eq!(model.device_info(), device.info());
    let mut expected = full(&Device::gpu()?)?;
    expected.fit(&data(), fit())?;
    assert!(model.to_bytes_with_optimizer()? == expected.to_bytes_with_optimizer()?);
    Ok(())
}

fn a_device_of_the_hosts_own(_: &Device) -> Outcome {
    let own = || -> wgrad::Result<Device> {
        let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty()).expect("a device");
        Device::from_wgpu(gpu, queue)
    };
    let device = own()?;
    refused_for(device.reopen(), "device to be opened again: expected one that wgrad opened; a device of your own");
    let mut model = full(&device)?;
    let message = "recovery after device loss: expected a device that wgrad opened, or Recover::open_with, which says \
                   where another one comes from, found a device of the caller's own";
    refused(model.fit(&data(), fit().on_device_loss(Recover::new())), message);
    assert_eq!(model.batches(), 0);
    let observer = |event: &Event| {
        if matches!(event, Event::Step(step) if step.step == 2) {
            destroy(&device);
        }
        ControlFlow::Continue(())
    };
    model.fit(&data(), fit().observer(observer).on_device_loss(Recover::new().open_with(own)))?;
    let mut expected = full(&own()?)?;
    expected.fit(&data(), fit())?;
    assert!(model.to_bytes_with_optimizer()? == expected.to_bytes_with_optimizer()?);
    Ok(())
}

/// It ends after as many losses in a row as are allowed, and so it does if no device can be had.
fn a_device_that_is_lost_at_once(_: &Device) -> Outcome {
    let device = Device::gpu()?;
    let mut model = full(&device)?;
    let opened = Cell::new(0);
    let open = || {
        opened.set(opened.get() + 1);
        let device = Device::gpu()?;
        destroy(&device);
        Ok(device)
    };
    let strike = |_: &Event| {
        destroy(&device);
        ControlFlow::Continue(())
    };
    let recover = Recover::new().attempts(2).open_with(open);
    match model.fit(&data(), fit().observer(strike).on_device_loss(recover)) {
        Err(Error::DeviceLost { .. }) => assert_eq!(opened.get(), 2),
        other => panic!("a lost device, found {other:?}"),
    }
    let device = Device::gpu()?;
    let strike = |_: &Event| {
        destroy(&device);
        ControlFlow::Continue(())
    };
    let recover = Recover::new().open_with(|| Device::gpu_named("no such adapter"));
    refused_for(full(&device)?.fit(&data(), fit().observer(strike).on_device_loss(recover)), "no GPU adapter");
    Ok(())
}

fn the_cpu_keeps_nothing(device: &Device) -> Outcome {
    let open = || panic!("the processor is not lost");
    full(device)?.fit(&data(), fit().on_device_loss(Recover::new().every(1).open_with(open)))?;
    assert_eq!(device.reopen()?.info(), device.info());
    Ok(())
}
