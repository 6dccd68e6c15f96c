//! The classic Keras tutorial on MNIST as a program: 784-512(relu)-10(softmax), RMSprop, categorical cross-entropy,
//! five epochs of batches of 128.
//!
//! ```text
//! cargo run --release --example mnist
//! cargo run --release --example mnist -- --help
//! ```
//!
//! This file is the order of events. The flags are in `arguments.rs`, the samples in `data.rs`, what is seen during
//! training in `progress.rs`, what Ctrl-C does in `interrupt.rs`, and the results in `report.rs`.

#![allow(clippy::print_stderr, reason = "a program talks to its user")]

mod arguments;
mod data;
mod interrupt;
mod progress;
mod report;

use std::error::Error;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use arguments::{Arguments, Request};
use interrupt::{Interrupt, Interrupted};
use progress::Progress;
use report::{Output, Report, grouped, write_line};
use wgrad::mnist::Mnist;
use wgrad::{Dataset, Dense, Device, DeviceKind, Fit, History, Loss, Model, Precision, Sequential};

/// Where a training is saved that Ctrl-C ends, unless it came from a file itself.
const INTERRUPTED: &str = "mnist-interrupted.safetensors";

/// Steps that `--verify` looks at: the references are plain loops and take a second or so for each.
const VERIFIED_STEPS: usize = 2;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    // The first thing there is: `first_step_seconds` counts from here, which leaves out what the system took to load
    // the program, a few milliseconds.
    let start = Instant::now();
    env_logger::init();
    let done = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Request::Help) => write_line(arguments::HELP.trim_end()).map_err(Into::into),
        Ok(Request::ListDevices) => list_devices().map_err(Into::into),
        Ok(Request::Train(arguments)) => train(&arguments, start),
        Err(usage) => {
            eprintln!("mnist: {}", usage.0);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            ExitCode::from(interrupt::STATUS)
        }
        Err(error) => {
            // Who closed the pipe wants no more lines, this one included.
            if !is_closed_pipe(error.as_ref()) {
                eprintln!("mnist: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// One line a device; the one that `best` takes is marked.
fn list_devices() -> io::Result<()> {
    let devices = wgrad::devices();
    let best = devices.iter().position(|device| device.kind != DeviceKind::SoftwareGpu);
    for (index, device) in devices.iter().enumerate() {
        let mark = if Some(index) == best { " <- best" } else { "" };
        write_line(&format!("{device}{mark}"))?;
    }
    Ok(())
}

/// The tutorial.
fn train(arguments: &Arguments, start: Instant) -> Outcome<()> {
    let output = Output::new(arguments);
    let interrupt = Interrupt::listen()?;
    for path in [&arguments.save, &arguments.history].into_iter().flatten() {
        check_directory(path)?;
    }
    let (device, data) = prepare(arguments)?;
    describe(&output, &device, &data)?;
    let mut model = build(arguments, &device, data.train.features())?;
    output.line(&summary(arguments, &model))?;
    if arguments.tune {
        let tuning = model.tune(arguments.batch_size.min(data.train.len().max(1)))?;
        tuning.to_string().lines().try_for_each(|line| output.line(&format!("Tuned: {line}")))?;
    }
    if arguments.verify {
        // Verifying takes steps. It takes them on a model of its own, so that the training is the same without it.
        let mut other = build(arguments, &device, data.train.features())?;
        let verification = other.verify(&data.train, arguments.batch_size, VERIFIED_STEPS)?;
        output.line(&format!("Verified: {verification}"))?;
    }
    let (history, first_step) = fit(&mut model, &data.train, arguments, &output, (start, &interrupt))?;
    // Kept before anything else can fail.
    if let Some(path) = &arguments.save {
        model.save(path)?;
        output.line(&format!("Saved: {}", path.display()))?;
    }
    keep(&history, arguments)?;
    let score = model.evaluate(&data.test)?;
    if !score.loss.is_finite() {
        let found = format!("the test loss is {}", score.loss);
        return Err(format!("the training diverged in its last step: {found}; a smaller --learning-rate helps").into());
    }
    output.results(&Report::new(&device.info(), first_step, &history, &score), &score)?;
    Ok(())
}

/// Writes the history's table, where that is asked for.
fn keep(history: &History, arguments: &Arguments) -> Outcome<()> {
    let Some(path) = &arguments.history else { return Ok(()) };
    std::fs::write(path, history.to_csv()).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// A file that cannot be written should be known before the training, not after.
fn check_directory(path: &Path) -> Outcome<()> {
    // The parent of a bare file name is empty.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = match (path.is_dir(), parent.is_dir()) {
        (true, _) => "expected a file, found a directory".into(),
        (false, false) => format!("expected a directory {}, found none", parent.display()),
        (false, true) => return Ok(()),
    };
    Err(format!("cannot write {}: {problem}", path.display()).into())
}

/// Opens the device on a thread of its own while the files are read: both take a while, and neither needs the other.
fn prepare(arguments: &Arguments) -> Outcome<(Device, Mnist)> {
    thread::scope(|scope| {
        let options = Device::options().cooperative_matrices(arguments.cooperative_matrices);
        let device = scope.spawn(move || options.named(&arguments.device));
        let data = data::load(arguments);
        let device = device.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let info = device.info();
        if arguments.cooperative_matrices && info.cooperative_matrix.is_none() {
            let expected = "matrix units that wgrad can use";
            return Err(format!("--cooperative-matrices: expected {expected}, found none on {info}").into());
        }
        Ok((device, data?))
    })
}

fn describe(output: &Output, device: &Device, data: &Mnist) -> io::Result<()> {
    let (info, count) = (device.info(), |set: &Dataset| grouped(set.len() as f64));
    output.line(&format!("Device: {info}"))?;
    if info.kind == DeviceKind::SoftwareGpu {
        output.line("        It runs shaders on the CPU; --device cpu is faster.")?;
    }
    let (train, test) = (count(&data.train), count(&data.test));
    output.line(&format!("Data: {train} training and {test} test samples from {}", data.source))
}

/// The net that the flags describe, on the device, with its initial weights; or the one of a training that was interrupted.
fn build(arguments: &Arguments, device: &Device, features: usize) -> wgrad::Result<Model> {
    if let Some(path) = &arguments.resume {
        return Model::load(path, device);
    }
    let input = Sequential::new(features).seed(arguments.seed);
    let add =
        |stack: Sequential, layer: &arguments::Layer| stack.add(Dense::new(layer.units).activation(layer.activation));
    let stack = arguments.layers.iter().fold(input, add);
    let mut model = stack.compile(device, arguments.optimizer()?, Loss::CategoricalCrossentropy)?;
    model.set_precision(arguments.precision)?;
    if let Some(path) = &arguments.init {
        model.load_weights(path)?;
    }
    Ok(model)
}

fn summary(arguments: &Arguments, model: &Model) -> String {
    if let Some(path) = &arguments.resume {
        let parameters = grouped(model.parameter_count() as f64);
        return format!("Model: {parameters} parameters from {} after {} batches", path.display(), model.batches());
    }
    let layers: String =
        arguments.layers.iter().map(|layer| format!("-{}({})", layer.units, layer.activation)).collect();
    let weights = arguments.init.as_ref().map_or_else(String::new, |path| format!(", weights from {}", path.display()));
    let precision = if arguments.precision == Precision::F16 { ", in half precision" } else { "" };
    format!(
        "Model: {}{layers}, {} parameters{weights}; {}, learning rate {}, batches of {}{precision}",
        model.features(),
        grouped(model.parameter_count() as f64),
        arguments.optimizer,
        model.learning_rate(),
        arguments.batch_size,
    )
}

/// Trains; returns also how long after the start of the process the first step was done.
fn fit(
    model: &mut Model,
    data: &Dataset,
    arguments: &Arguments,
    output: &Output,
    (start, interrupt): (Instant, &Interrupt),
) -> Outcome<(History, Option<Duration>)> {
    let how = match arguments.resume {
        Some(_) => Fit::resume(model)?,
        None => Fit::new()
            .epochs(arguments.epochs)
            .batch_size(arguments.batch_size)
            .shuffle(arguments.shuffle)
            .seed(arguments.seed),
    };
    let mut progress = Progress::new(output, start);
    interrupt.begin();
    let trained = model.fit(
        data,
        how.observer(|event| match progress.observe(event) {
            ControlFlow::Continue(()) if interrupt.is_asked() => ControlFlow::Break(()),
            flow => flow,
        }),
    );
    let interrupted = interrupt.end();
    let first_step = progress.finish()?;
    // What there is to see of a training that diverged.
    if let Some(history) = trained.as_ref().err().and_then(|error| error.history()) {
        keep(history, arguments)?;
    }
    let history = trained?;
    // Not where it had come to its end all the same.
    if interrupted && Fit::resume(model).is_ok() {
        return Err(Box::new(save_interrupted(model, arguments)?));
    }
    Ok((history, first_step))
}

/// Saves a training for another process to go on with, and says how.
fn save_interrupted(model: &Model, arguments: &Arguments) -> Outcome<Interrupted> {
    let path = arguments.resume.clone().unwrap_or_else(|| PathBuf::from(INTERRUPTED));
    model.save_with_optimizer(&path)?;
    let (program, flags) = (std::env::args().next().unwrap_or_else(|| "mnist".into()), arguments.resumption(&path));
    let words: Vec<_> = std::iter::once(program).chain(flags).map(|word| interrupt::quoted(&word)).collect();
    let batches = model.batches();
    Ok(Interrupted(format!("Interrupted after {batches} batches. This goes on from there:\n{}", words.join(" "))))
}
