//! Trainings that are stopped after any step, saved, and gone on with by a model made from the file: the bits, and the
//! figures, of one that was never stopped.

use std::ffi::OsString;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use wgrad::{
    Activation, Adagrad, Adam, AdamW, AnyDataset, Augmentation, BatchNormalization, Callback, Clip, CosineDecay,
    CustomSchedule, Dataset, Dense, Device, Dropout, EpochRecord, Error, Event, Fit, Flatten, LinearWarmup, Loss,
    Model, OneCycle, Optimizer, PiecewiseConstantDecay, Precision, RmsProp, Schedule, Sequential, Sgd, Snapshot,
    StreamedDataset, Training,
};

use crate::common::{Outcome, Suite, bits, classifier, labelled, numbers, refused_for, trials, without_digests};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        any_step_with_every_optimizer,
        any_step_with_all_that_a_step_depends_on,
        any_step_of_a_streamed_set,
        any_step_of_every_combination,
        after_a_break_in_a_step,
        after_a_reader_that_failed,
        a_callback_saves_what_resumes,
        a_broken_epochs_order_is_not_repeated,
        steps_end_exactly_there,
        what_differs_is_said,
        a_closure_is_given_anew,
        a_callback_that_goes_back_is_gone_on_from,
        what_was_trained_otherwise_is_in_no_training,
    );
    trials!(suite.in_half: any_step_in_half_precision);
    trials!(suite.on_cpu: after_being_killed, a_training_without_half_precision_cannot_go_on_in_single);
}

const SAMPLES: usize = 53;
const BATCH: usize = 8;
/// Of an epoch.
const STEPS: usize = SAMPLES.div_ceil(BATCH);
const EPOCHS: usize = 4;
/// Random stops of a class of trainings, and those of one training among them.
const STOPS: usize = 50;
const STOPS_OF_ONE: usize = 5;

fn data() -> Dataset {
    labelled(SAMPLES, 5, 3)
}

fn fit() -> Fit<'static> {
    Fit::new().epochs(EPOCHS).batch_size(BATCH).seed(11)
}

/// A training: the model before it, the samples, and how.
struct Case<'c> {
    compile: &'c dyn Fn() -> wgrad::Result<Model>,
    data: AnyDataset,
    fit: &'c dyn Fn() -> Fit<'static>,
}

/// What of a record is no time.
fn figures(record: &EpochRecord) -> impl PartialEq + std::fmt::Debug + use<> {
    (record.epoch, record.train.clone(), record.validation.clone(), record.samples)
}

impl Case<'_> {
    /// All of it with a stop after each of these steps; the model from then on is made of the file.
    fn stopped(&self, device: &Device, stops: &[usize]) -> Result<(Vec<u8>, EpochRecord), Box<dyn std::error::Error>> {
        let (mut model, mut fit, mut made) = ((self.compile)()?, (self.fit)(), 0);
        for &stop in stops {
            model.fit(&self.data, fit.steps(stop - made))?;
            assert_eq!(model.batches() as usize, stop);
            let file = model.to_bytes_with_optimizer()?;
            model = Model::from_bytes(&file, Path::new("memory"), device)?;
            assert!(model.to_bytes_with_optimizer()? == file);
            (fit, made) = (Fit::resume(&model)?, stop);
        }
        let history = model.fit(&self.data, fit)?;
        Ok((model.to_bytes_with_optimizer()?, history.last().ok_or("a last epoch")?.clone()))
    }

    /// Stops a few trainings of this kind at random steps, `stops` in all.
    fn check(&self, device: &Device, steps: usize, stops: usize, seed: u64) -> Outcome {
        let (expected, record) = self.stopped(device, &[])?;
        let random = numbers(2 * stops, seed);
        for chosen in random.chunks(2 * STOPS_OF_ONE).take(stops.div_ceil(STOPS_OF_ONE)) {
            let mut at: Vec<usize> = chosen
                .iter()
                .map(|x| 1 + ((0.5 + 0.5 * x) * (steps - 1) as f32) as usize)
                .filter(|at| *at < steps)
                .collect();
            at.truncate(STOPS_OF_ONE);
            at.sort_unstable();
            at.dedup();
            let (found, last) = self.stopped(device, &at)?;
            assert!(found == expected, "other bits after stops at {at:?}");
            assert_eq!(figures(&last), figures(&record), "after stops at {at:?}");
        }
        Ok(())
    }
}

fn any_step_with_every_optimizer(device: &Device) -> Outcome {
    let optimizers: [Optimizer; 8] = [
        RmsProp::default().into(),
        RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() }.into(),
        Sgd::default().into(),
        Sgd { momentum: 0.9, nesterov: true, ..Sgd::default() }.into(),
        Adam::default().into(),
        Adam { clip: Clip::GlobalNorm(0.1), ..Adam::default() }.into(),
        AdamW::default().into(),
        Adagrad::default().into(),
    ];
    for (seed, optimizer) in (1..).zip(optimizers) {
        let compile = || classifier(5, 4, 3).compile(device, optimizer.clone(), Loss::CategoricalCrossentropy);
        let case = Case { compile: &compile, data: (&data()).into(), fit: &fit };
        case.check(device, EPOCHS * STEPS, STOPS.div_ceil(8), seed)?;
    }
    Ok(())
}

/// A schedule, augmentation, dropout, batch normalization, gradients that wait for an update, weights of classes, samples that are kept
/// back for validation: the seven steps of an epoch are two updates and a part of one.
fn full(device: &Device) -> wgrad::Result<Model> {
    let net = Sequential::new([1, 5])
        .add(Augmentation::new().translation(0.0, 0.3).zoom(0.2).elastic(3.0, 1.0).cutout(1.0, 0.5))
        .add(Flatten)
        .add(Dense::new(6).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(3).activation(Activation::Softmax));
    let optimizer = Adam::default().learning_rate(CosineDecay::new(0.01, 40u32)).gradient_accumulation_steps(3);
    net.compile(device, optimizer, Loss::CategoricalCrossentropy)
}

fn any_step_with_all_that_a_step_depends_on(device: &Device) -> Outcome {
    let fit = || fit().class_weight([0.5, 1.0, 2.0]).validation_split(0.15);
    let samples = data().split_validation(0.15)?.0.len();
    let case = Case { compile: &|| full(device), data: (&data()).into(), fit: &fit };
    case.check(device, EPOCHS * samples.div_ceil(BATCH), STOPS, 21)
}

fn any_step_in_half_precision(device: &Device) -> Outcome {
    let compile = || {
        let mut model = full(device)?;
        model.set_precision(Precision::F16)?;
        Ok(model)
    };
    Case { compile: &compile, data: (&data()).into(), fit: &fit }.check(device, EPOCHS * STEPS, STOPS, 22)
}

/// Blocks of five samples, and a buffer of two batches: four windows an epoch.
fn streamed() -> wgrad::Result<StreamedDataset> {
    let data = data();
    let set = StreamedDataset::from_fn(SAMPLES, move |rows| Ok(data.range(rows)?))?;
    set.block_size(5)?.shuffle_buffer(2 * BATCH)
}

fn any_step_of_a_streamed_set(device: &Device) -> Outcome {
    let fit = || fit().class_weight([0.5, 1.0, 2.0]);
    for shuffle in [true, false] {
        let fit = || fit().shuffle(shuffle);
        let case = Case { compile: &|| full(device), data: (&streamed()?).into(), fit: &fit };
        case.check(device, EPOCHS * STEPS, STOPS / 2, 23)?;
    }
    Ok(())
}

/// A kind of optimizer with a schedule, so many batches an update, and averages or not.
type Make = fn(Option<Schedule>, u32, bool) -> Optimizer;

macro_rules! each_optimizer {
    ($($Name:ident),*) => {
        [$(|schedule, batches, averages| {
            let mut optimizer = wgrad::$Name::default().gradient_accumulation_steps(batches).use_ema(averages);
            if let Some(schedule) = schedule {
                optimizer = optimizer.learning_rate(schedule);
            }
            optimizer.into()
        }),*]
    };
}

/// Every combination of a schedule, dropout with normalization, accumulation, averages and a streamed set, the optimizers and
/// the schedules one after the other. On the CPU device each is stopped at fifty random steps; on a GPU, where a program takes
/// longer to make than these trainings, those that have all but one, and all together.
fn any_step_of_every_combination(device: &Device) -> Outcome {
    let optimizers: [Make; 10] =
        each_optimizer!(Adam, Sgd, Nadam, RmsProp, Lion, Adamax, AdamW, Ftrl, Adagrad, Adadelta);
    let schedules: [Schedule; 4] = [
        OneCycle::new(0.01, (EPOCHS * STEPS) as u32).into(),
        LinearWarmup::new(CosineDecay::new(0.01, 12u32), 5u32).into(),
        LinearWarmup::new(0.01, 9u32).into(),
        PiecewiseConstantDecay::new([4, 11], [0.01, 0.003, 0.001]).into(),
    ];
    let (combinations, stops) = match device.wgpu() {
        None => ((0..32).collect(), STOPS),
        Some(_) => (vec![31, 30, 29, 27, 23, 15], STOPS.div_ceil(6)),
    };
    for combination in combinations {
        let has = |bit: usize| combination >> bit & 1 == 1;
        let schedule = has(0).then(|| schedules[combination / 2 % schedules.len()].clone());
        let make = optimizers[combination % optimizers.len()];
        let compile = || {
            let mut net = Sequential::new(5).add(Dense::new(6).activation(Activation::Relu));
            if has(1) {
                net = net.add(BatchNormalization::new()).add(Dropout::new(0.3));
            }
            let optimizer = make(schedule.clone(), if has(2) { 3 } else { 1 }, has(3));
            net.add(Dense::new(3).activation(Activation::Softmax)).compile(
                device,
                optimizer,
                Loss::CategoricalCrossentropy,
            )
        };
        let data: AnyDataset = if has(4) { (&streamed()?).into() } else { (&data()).into() };
        let case = Case { compile: &compile, data, fit: &fit };
        case.check(device, EPOCHS * STEPS, stops, 100 + combination as u64)?;
    }
    Ok(())
}

fn after_a_break_in_a_step(device: &Device) -> Outcome {
    let mut whole = full(device)?;
    whole.fit(&data(), fit())?;
    for stop in [1, 5, STEPS, 12, 20] {
        let mut model = full(device)?;
        let mut seen = 0;
        let observer = |event: &Event| {
            seen += usize::from(matches!(event, Event::Step(_)));
            if seen == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        model.fit(&data(), fit().observer(observer))?;
        assert!(model.batches() as usize >= stop);
        let mut resumed = Model::from_bytes(&model.to_bytes_with_optimizer()?, Path::new("memory"), device)?;
        if let Ok(fit) = Fit::resume(&resumed) {
            resumed.fit(&data(), fit)?;
        }
        assert!(resumed.to_bytes_with_optimizer()? == whole.to_bytes_with_optimizer()?, "after a break in step {stop}");
    }
    Ok(())
}

/// The windows before the one that could not be read are trained on; the training goes on with that one. So does one that
/// goes back to a snapshot.
fn after_a_reader_that_failed(device: &Device) -> Outcome {
    let (good, works) = (data(), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&works);
    let read = move |rows: Range<usize>| match rows.contains(&40) && !flag.load(Ordering::Relaxed) {
        true => Err("the tape is torn".into()),
        false => Ok(good.range(rows)?),
    };
    let set = StreamedDataset::from_fn(SAMPLES, read)?.shuffle_buffer(2 * BATCH)?;
    let fit = || fit().shuffle(false);
    let mut model = full(device)?;
    refused_for(model.fit(&set, fit()), "the tape is torn");
    assert_eq!(model.batches(), 4);
    works.store(true, Ordering::Relaxed);
    let snapshot = model.snapshot()?;
    model.fit(&data(), Fit::new())?;
    refused_for(Fit::resume(&model), "found one that is in no training");
    model.restore(&snapshot)?;
    let rest = Fit::resume(&model)?;
    model.fit(&set, rest)?;
    let mut whole = full(device)?;
    whole.fit(&data(), fit())?;
    assert!(model.to_bytes_with_optimizer()? == whole.to_bytes_with_optimizer()?);
    Ok(())
}

/// Saves after every epoch.
struct Saves<'p>(&'p Path);

impl Callback for Saves<'_> {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, wgrad::Result<ControlFlow<()>>> {
        Box::pin(async move {
            training.save_with_optimizer(self.0.join(record.epoch.to_string())).await?;
            training.save(self.0.join("weights")).await?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

fn a_callback_saves_what_resumes(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut whole = full(device)?;
    whole.fit(&data(), fit().callback(Saves(directory.path())))?;
    for epoch in 1..EPOCHS {
        let mut model = Model::load(directory.path().join(epoch.to_string()), device)?;
        let history = model.fit(&data(), Fit::resume(&model)?)?;
        assert_eq!((history.epochs.len(), history.epochs[0].epoch), (EPOCHS - epoch, epoch + 1));
        assert!(model.to_bytes_with_optimizer()? == whole.to_bytes_with_optimizer()?);
    }
    let complete = Model::load(directory.path().join(EPOCHS.to_string()), device)?;
    refused_for(Fit::resume(&complete), "training to be resumed: expected a model that was stopped");
    refused_for(
        Fit::resume(&Model::load(directory.path().join("weights"), device)?),
        "found one that is in no training",
    );
    Ok(())
}

fn a_broken_epochs_order_is_not_repeated(device: &Device) -> Outcome {
    let broken = || -> wgrad::Result<Model> {
        let mut model = full(device)?;
        model.fit(&data(), fit().steps(3))?;
        Ok(model)
    };
    let (mut next, mut named, mut repeated) = (broken()?, broken()?, broken()?);
    next.fit(&data(), fit().epochs(1))?;
    named.fit(&data(), fit().epochs(1).initial_epoch(1))?;
    repeated.fit(&data(), fit().epochs(1).initial_epoch(0))?;
    assert_eq!(bits(&next)?, bits(&named)?);
    assert_ne!(bits(&next)?, bits(&repeated)?);
    Ok(())
}

fn steps_end_exactly_there(device: &Device) -> Outcome {
    for (steps, epochs, samples) in [(0, 0, 0), (1, 1, 8), (STEPS, 1, SAMPLES), (STEPS + 2, 2, 16), (100, 4, SAMPLES)] {
        let mut model = full(device)?;
        let mut heard = 0;
        let observer = |event: &Event| {
            heard += usize::from(matches!(event, Event::Step(_)));
            ControlFlow::Continue(())
        };
        let history = model.fit(&data(), fit().validation_data(&data()).observer(observer).steps(steps))?;
        let made = steps.min(EPOCHS * STEPS);
        assert_eq!((model.batches() as usize, heard, history.epochs.len()), (made, made, epochs), "{steps} steps");
        assert_eq!(history.last().map_or(0, |record| record.samples), samples, "{steps} steps");
        let validated = history.epochs.iter().filter(|record| record.validation.is_some()).count();
        assert_eq!(validated, made / STEPS, "{steps} steps");
    }
    Ok(())
}

fn what_differs_is_said(device: &Device) -> Outcome {
    let mut model = full(device)?;
    refused_for(Fit::resume(&model), "found one that is in no training");
    let weights = [1.0, 2.0, 3.0];
    model.fit(&data(), fit().class_weight(weights).steps(10))?;
    let before = model.to_bytes_with_optimizer()?;
    let cases: [(&str, &dyn Fn(Fit<'static>) -> Fit<'static>); 5] = [
        ("batch size: expected 8, found 16", &|fit| fit.batch_size(16)),
        ("shuffling: expected true, found false", &|fit| fit.shuffle(false)),
        ("seed: expected 11, found 12", &|fit| fit.seed(12)),
        ("initial epoch: expected 0, found 3", &|fit| fit.initial_epoch(3)),
        ("class weights: expected Some([1.0, 2.0, 3.0]), found Some([1.0, 2.0, 4.0])", &|fit| {
            fit.class_weight([1.0, 2.0, 4.0])
        }),
    ];
    for (message, change) in cases {
        let changed = change(Fit::resume(&model)?);
        refused_for(model.fit(&data(), changed), &format!("training to be resumed: {message}"));
    }
    let resume = |model: &mut Model, data: AnyDataset| {
        let fit = Fit::resume(model)?;
        model.fit(&data, fit)
    };
    refused_for(resume(&mut model, (&data().take(50)).into()), "samples of an epoch: expected 53, found 50");
    refused_for(resume(&mut model, (&streamed()?).into()), "a streamed set: expected None, found Some((5, 16))");
    model.set_fusion(false);
    refused_for(resume(&mut model, (&data()).into()), "fusion (Model::set_fusion): expected true, found false");
    model.set_fusion(true);
    assert!(model.to_bytes_with_optimizer()? == before, "a refusal leaves the training as it was");
    // One that was prepared before the model was trained otherwise.
    let late = Fit::resume(&model)?;
    model.train_on_batch(&data())?;
    refused_for(model.fit(&data(), late), "training batches of the model: expected 10, found 11");
    Ok(())
}

/// A file says that there was a closure, and of what comes before it all.
fn a_closure_is_given_anew(device: &Device) -> Outcome {
    let saw = || CustomSchedule::new(|batch| 0.1 / (1 + batch % 5) as f32);
    let schedules: [&dyn Fn() -> Schedule; 2] = [&|| saw().into(), &|| LinearWarmup::new(saw(), 6u32).into()];
    for schedule in schedules {
        let compile = || {
            let optimizer = Adam::default().learning_rate(schedule());
            classifier(5, 4, 3).compile(device, optimizer, Loss::CategoricalCrossentropy)
        };
        let mut rates = Vec::new();
        let observer = |event: &Event| {
            if let Event::Step(step) = event {
                rates.push(step.learning_rate);
            }
            ControlFlow::Continue(())
        };
        let mut whole = compile()?;
        whole.fit(&data(), fit().observer(observer))?;
        let expected: Vec<_> = (0..(EPOCHS * STEPS) as u32).map(|batch| schedule().at(batch)).collect();
        assert_eq!(rates, expected);
        let mut stopped = compile()?;
        stopped.fit(&data(), fit().steps(STEPS + 2))?;
        let file = stopped.to_bytes_with_optimizer()?;
        let mut loaded = Model::from_bytes(&file, Path::new("memory"), device)?;
        assert_eq!(bits(&loaded)?, bits(&stopped)?);
        loaded.evaluate(&data())?;
        let message =
            "learning-rate schedule: expected the closure, which files do not hold: give it with Model::set_schedule";
        refused_for(Fit::resume(&loaded), message);
        refused_for(loaded.fit(&data(), Fit::new()), message);
        refused_for(loaded.train_on_batch(&data()), message);
        loaded.set_schedule(schedule())?;
        assert!(loaded.to_bytes_with_optimizer()? == file);
        let mut rates = Vec::new();
        let observer = |event: &Event| {
            if let Event::Step(step) = event {
                rates.push(step.learning_rate);
            }
            ControlFlow::Continue(())
        };
        let rest = Fit::resume(&loaded)?;
        loaded.fit(&data(), rest.observer(observer))?;
        assert_eq!(rates, expected[STEPS + 2..], "of the resumed epoch too");
        assert!(loaded.to_bytes_with_optimizer()? == whole.to_bytes_with_optimizer()?);
    }
    Ok(())
}

/// Goes back to the end of the first epoch after the third.
#[derive(Default)]
struct Back(Option<Snapshot>);

impl Callback for Back {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, wgrad::Result<ControlFlow<()>>> {
        Box::pin(async move {
            match (record.epoch, &self.0) {
                (1, _) => self.0 = Some(training.snapshot().await?),
                (3, Some(first)) => training.restore(first)?,
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// What is saved behind such a callback stands in the third epoch, with the numbers of the first.
fn a_callback_that_goes_back_is_gone_on_from(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut whole = full(device)?;
    whole.fit(&data(), fit().callback(Back::default()).callback(Saves(directory.path())))?;
    let mut resumed = Model::load(directory.path().join("3"), device)?;
    assert_eq!(resumed.batches() as usize, STEPS);
    let history = resumed.fit(&data(), Fit::resume(&resumed)?)?;
    assert_eq!((history.epochs.len(), history.epochs[0].epoch), (1, 4));
    assert!(resumed.to_bytes_with_optimizer()? == whole.to_bytes_with_optimizer()?);
    Ok(())
}

/// Verifying takes steps, of which the training that was stopped knows nothing.
fn what_was_trained_otherwise_is_in_no_training(device: &Device) -> Outcome {
    let mut model = full(device)?;
    model.fit(&data(), fit().steps(10))?;
    assert!(Fit::resume(&model).is_ok());
    model.verify(&data(), BATCH, 1)?;
    refused_for(Fit::resume(&model), "found one that is in no training");
    let loaded = Model::from_bytes(&model.to_bytes_with_optimizer()?, Path::new("memory"), device)?;
    refused_for(Fit::resume(&loaded), "found one that is in no training");
    Ok(())
}

/// Such a file is of use on a device without halves, but not for going on.
fn a_training_without_half_precision_cannot_go_on_in_single(device: &Device) -> Outcome {
    let mut model = full(device)?;
    model.fit(&data(), fit().steps(10))?;
    let file = without_digests(&model.to_bytes_with_optimizer()?)?;
    let single = br#"\"precision\":\"f32\""#;
    let at = file.windows(single.len()).position(|window| window == single).ok_or("a precision")?;
    let mut half = file.clone();
    half[at..at + single.len()].copy_from_slice(br#"\"precision\":\"f16\""#);
    let mut loaded = Model::from_bytes(&half, Path::new("memory"), device)?;
    assert_eq!(bits(&loaded)?, bits(&model)?);
    let fit = Fit::resume(&loaded)?;
    refused_for(loaded.fit(&data(), fit), "precision (Model::set_precision): expected F16, found F32");
    // A training that is not that of the model beside it.
    let batches = br#"\"batches\":10"#;
    let at = file.windows(batches.len()).rposition(|window| window == batches).ok_or("a number of batches")?;
    let mut other = file;
    other[at + batches.len() - 1] = b'1';
    let refused = Model::from_bytes(&other, Path::new("memory"), device);
    assert!(matches!(&refused, Err(Error::Checkpoint { .. })), "{refused:?}");
    refused_for(refused, "expected a training after 10 batches, found one after 11");
    Ok(())
}

/// Where [`child`] works, for a program that is started again as such.
pub const CHILD: &str = "WGRAD_TEST_RESUMED_IN";

const LONG: usize = 60;

fn long() -> Fit<'static> {
    fit().epochs(LONG)
}

/// Trains from where the file stands, and saves after every five steps, until the training is over.
pub fn child(directory: OsString) -> Outcome {
    let (path, device) = (Path::new(&directory).join("model.safetensors"), Device::cpu_with_threads(1));
    let mut model = if path.exists() { Model::load(&path, &device)? } else { full(&device)? };
    let mut next = if path.exists() { Fit::resume(&model) } else { Ok(long()) };
    while let Ok(fit) = next {
        model.fit(&data(), fit.steps(5))?;
        model.save_with_optimizer(&path)?;
        next = Fit::resume(&model);
    }
    Ok(())
}

fn after_being_killed(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    let start = || Command::new(std::env::current_exe()?).env(CHILD, directory.path()).spawn();
    let mut stood = std::collections::BTreeSet::new();
    for moment in numbers(25, 31) {
        let mut child = start()?;
        std::thread::sleep(Duration::from_micros(20_000 + (20_000.0 * moment) as u64));
        child.kill()?;
        child.wait()?;
        if path.exists() {
            stood.insert(Model::load(&path, &Device::cpu())?.batches());
        }
    }
    assert!(stood.len() > 2, "killed at {stood:?} batches alone");
    assert!(start()?.wait()?.success());
    let mut whole = full(&Device::cpu())?;
    whole.fit(&data(), long())?;
    assert!(std::fs::read(&path)? == whole.to_bytes_with_optimizer()?, "killed at {stood:?} batches");
    Ok(())
}
