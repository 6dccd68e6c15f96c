//! The measurements: training, evaluation and inference of one workload on one device.

use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;
use wgrad::{Dataset, Device, Fit, LaunchProfile, Model, Precision, Result, Tuning};

use crate::Outcome;
use crate::arguments::Arguments;
use crate::workload::{Data, Workload};

/// Steps that a profile takes its medians from, beside as many for warming up.
const PROFILED_STEPS: usize = 20;

/// Numbers of one kind, sorted.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub repeats: usize,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let repeats = values.len();
        // The mean of the two in the middle, which are the same one where the count is odd.
        let median = (at(repeats / 2) + at(repeats.saturating_sub(1) / 2)) / 2.0;
        Spread { median, min: at(0), max: at(repeats.saturating_sub(1)), repeats }
    }
}

/// Everything found out about one workload on one device.
#[derive(Debug)]
pub struct Measured {
    pub precision: Precision,
    pub samples_per_second: Spread,
    pub first_step_seconds: f64,
    pub since_start_seconds: Option<f64>,
    pub tuning: Option<Tuning>,
    pub evaluate_samples_per_second: Spread,
    pub predict_samples_per_second: Spread,
    pub peak_rss_bytes: Option<u64>,
    pub device_bytes: Option<u64>,
    pub launches: Vec<LaunchProfile>,
}

impl Measured {
    pub fn flops_per_step(&self) -> u64 {
        self.launches.iter().map(|launch| launch.flops).sum()
    }
}

/// Measures all there is. `start` is when the process began, for the first measurement in it.
pub fn measure(
    name: &str,
    workload: &Workload,
    data: &Data,
    arguments: &Arguments,
    start: Option<Instant>,
) -> Outcome<Measured> {
    reset_peak_rss();
    let opened = Instant::now();
    let device = arguments.open(name)?;
    let mut model = arguments.compile(workload, &device)?;
    first_step(&mut model, &data.train, workload.batch_size)?;
    let first_step_seconds = opened.elapsed().as_secs_f64();
    let since_start_seconds = start.map(|start| start.elapsed().as_secs_f64());
    let tuning = arguments.tune.then(|| tune(&mut model, &data.train, workload.batch_size)).transpose()?;
    let samples_per_second = train(&mut model, &data.train, workload.batch_size, arguments)?;
    let rate = samples_per_second.median;
    let device_bytes = device_bytes(&device);
    let evaluate_samples_per_second = repeat(&data.train, rate, arguments, |part| model.evaluate(part).map(drop))?;
    let predict_samples_per_second = repeat(&data.train, rate, arguments, |part| model.predict(part).map(drop))?;
    let launches = profile(&mut model, &data.train, workload.batch_size, arguments.profile)?;
    let peak_rss_bytes = peak_rss_bytes();
    Ok(Measured {
        precision: model.precision(),
        samples_per_second,
        first_step_seconds,
        since_start_seconds,
        tuning,
        evaluate_samples_per_second,
        predict_samples_per_second,
        peak_rss_bytes,
        device_bytes,
        launches,
    })
}

fn first_step(model: &mut Model, data: &Dataset, batch_size: usize) -> Result<()> {
    model.fit(data, Fit::new().batch_size(batch_size).observer(|_| ControlFlow::Break(()))).map(drop)
}

/// Chooses tilings for the batches that training will have.
pub fn tune(model: &mut Model, data: &Dataset, batch_size: usize) -> Result<Tuning> {
    model.tune(batch_size.min(data.len()))
}

/// Samples a second in training: whole epochs of whole batches, as many as a repeat's time asks for.
pub fn train(model: &mut Model, data: &Dataset, batch_size: usize, arguments: &Arguments) -> Result<Spread> {
    let batch_size = batch_size.min(data.len());
    let whole = data.len() / batch_size;
    let rate = calibrate(model, data, batch_size, arguments.seconds)?;
    let batches = ((rate * arguments.seconds / batch_size as f64).ceil() as usize).clamp(1, whole);
    let part = data.take(batches * batch_size);
    let epochs = (rate * arguments.seconds / part.len() as f64).ceil().max(1.0) as usize;
    // One repeat more than asked for: the first finds how many steps fit a submission.
    let fit = Fit::new().epochs((1 + arguments.repeats) * epochs).batch_size(batch_size);
    let history = model.fit(&part, fit)?;
    let rates = history.epochs.chunks(epochs).skip(1).map(|repeat| {
        let seconds: f64 = repeat.iter().map(|record| record.seconds).sum();
        (repeat.len() * part.len()) as f64 / seconds
    });
    Ok(Spread::of(rates.collect()))
}

/// About how many samples a second there are, from epochs that grow until they take a share of a repeat's time. It
/// warms the device up as well.
fn calibrate(model: &mut Model, data: &Dataset, batch_size: usize, seconds: f64) -> Result<f64> {
    let whole = data.len() / batch_size;
    let mut batches = 1;
    loop {
        let part = data.take(batches * batch_size);
        let history = model.fit(&part, Fit::new().batch_size(batch_size))?;
        let taken = history.last().map_or(0.0, |record| record.seconds).max(1e-9);
        if taken >= seconds / 4.0 || batches == whole {
            return Ok(part.len() as f64 / taken);
        }
        batches = (4 * batches).min(whole);
    }
}

/// Samples a second of a call that goes through a set, as its callers see it: with opening, upload and readback. `rate`
/// is that of training, which is slower; the set is cut where even so a call would take far longer than a repeat should.
fn repeat(
    data: &Dataset,
    rate: f64,
    arguments: &Arguments,
    mut call: impl FnMut(&Dataset) -> Result<()>,
) -> Result<Spread> {
    let part = data.take(((4.0 * rate * arguments.seconds) as usize).clamp(1, data.len()));
    call(&part)?;
    let mut rates = Vec::new();
    for _ in 0..arguments.repeats {
        let (clock, mut calls) = (Instant::now(), 0);
        while calls == 0 || clock.elapsed().as_secs_f64() < arguments.seconds {
            call(&part)?;
            calls += 1;
        }
        rates.push((calls * part.len()) as f64 / clock.elapsed().as_secs_f64());
    }
    Ok(Spread::of(rates))
}

/// The launches of a step, timed if that is wanted.
fn profile(model: &mut Model, data: &Dataset, batch_size: usize, timed: bool) -> Result<Vec<LaunchProfile>> {
    if timed {
        model.profile(data, batch_size, PROFILED_STEPS.min(data.len() / batch_size).max(1))?;
    }
    model.profile(data, batch_size, if timed { PROFILED_STEPS } else { 0 })
}

/// What wgpu's allocator holds for buffers, where the backend keeps count. Memory that the driver takes for itself is
/// not in it.
fn device_bytes(device: &Device) -> Option<u64> {
    let (device, _) = device.wgpu()?;
    device.generate_allocator_report().map(|report| report.total_reserved_bytes)
}

/// The most memory that this process had resident since the last reset; known on Linux only.
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}

/// Starts the count of the peak anew, so that one workload does not hide the next one's. Where the system does not have
/// this file, the peak of the process is reported instead.
pub fn reset_peak_rss() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
