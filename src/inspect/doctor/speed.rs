//! How fast a device is: what a dispatch, a submission and a readback cost, what memory and registers allow, then the
//! tutorial's step: predicted from these, and measured launch by launch and as it runs.

pub(super) mod host;

use std::sync::Arc;
use std::time::Instant;

use super::driver::{self, Driver};
use super::kit::{self, CHAINS, Gpu, WORKGROUP};
use super::parts::Notes;
use super::report::{Ceiling, Check, LaunchTime, Speed, StepTime};
use crate::blocking::block_on;
use crate::data::{Dataset, synthetic};
use crate::device::{Backend, Device};
use crate::error::Result;
use crate::kernels::product::Family;
use crate::kernels::storage::Precision;
use crate::train::Fit;

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    /// Seconds of a pass that measures a rate, and how many passes.
    pass: f64,
    passes: usize,
    /// Workgroups of those, and multiply-adds in a row of one invocation.
    groups: u32,
    loops: u32,
    /// Bytes that are copied on the device, and that are sent there.
    copied: u64,
    sent: usize,
}

impl Scale {
    /// Enough for a large GPU, and not too much for a small one, or for a driver that runs shaders on the CPU.
    fn of(hardware: bool, quick: bool) -> Self {
        let passes = if quick { 2 } else { 5 };
        match hardware {
            true => Scale { pass: 2e-3, passes, groups: 1056, loops: 4096, copied: 256 << 20, sent: 64 << 20 },
            false => Scale { pass: 2e-3, passes, groups: 64, loops: 64, copied: 32 << 20, sent: 16 << 20 },
        }
    }
}

/// Samples of an epoch that is timed: ten steps.
const STEPS: usize = 10;

/// Steps that are timed launch by launch.
const PROFILED: usize = 10;

pub(super) fn measure(notes: &Notes, driver: &Arc<dyn Driver>, quick: bool) {
    let device = driver.device();
    let costs = match &device.backend {
        Backend::Gpu(context) => gpu(notes, device, Scale::of(context.traits().family == Family::Hardware, quick)),
        Backend::Cpu { .. } => host::costs(notes, device, quick),
    };
    if let Err(error) = costs {
        return notes.wrong(Check::new("costs"), &error);
    }
    for (device, precision) in ways(device) {
        let name = format!("the tutorial's step, {} in {precision}", device.info().name);
        notes.begin(name.clone());
        if notes.is_over() {
            return notes.note(Check::new(name).skipped("no time is left, or the device is gone"));
        }
        match step(&device, precision, &notes.measured()) {
            Ok(step) => notes.speed(|speed| speed.steps.push(step)),
            Err(error) => notes.wrong(Check::new(name), &error),
        }
    }
}

/// The device in each precision that it has; beside a GPU, the CPU device.
fn ways(device: &Device) -> Vec<(Device, Precision)> {
    let mut ways = vec![(device.clone(), Precision::F32)];
    if device.info().has_half_precision() {
        ways.push((device.clone(), Precision::F16));
    }
    if device.wgpu().is_some() {
        ways.push((Device::cpu(), Precision::F32));
    }
    ways
}

fn gpu(notes: &Notes, device: &Device, scale: Scale) -> Result<()> {
    // SAFETY: the shaders of `kit` and those beside this file count loops to constants, and have one array in workgroup memory,
    // whose index counts to its length.
    let gpu = unsafe { Gpu::new(device)? };
    notes.begin("dispatches");
    dispatches(notes, &gpu)?;
    notes.begin("uploads");
    let sent = upload(device, scale)?;
    notes.speed(|speed| speed.upload_bytes_per_second = Some(sent));
    notes.begin("copies");
    let limit = gpu.device.limits().max_storage_buffer_binding_size;
    let bytes = scale.copied.min(limit);
    let threads = u64::from(scale.groups) * WORKGROUP;
    let [from, to] = [gpu.buffer(bytes)?, gpu.buffer(bytes)?];
    let bound = gpu.bound(&kit::stream(bytes / 16, threads, 1, true), &[&from, &to])?;
    let mut seconds = gpu.least(&bound, scale.groups, scale.pass, scale.passes)?.seconds;
    // A software driver copies faster by itself than by a shader.
    for _ in 0..=scale.passes {
        seconds =
            seconds.min(gpu.timed_between(|encoder| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes))?.seconds);
    }
    notes.speed(|speed| speed.copy_bytes_per_second = Some(2.0 * bytes as f64 / seconds));
    notes.begin("multiply-adds");
    let halves = gpu.has(wgpu::Features::SHADER_F16);
    for number in ["f32", "f16"].into_iter().filter(|&number| number == "f32" || halves) {
        let bound = gpu.bound(&kit::multiply_adds(number, scale.loops, CHAINS), &[&gpu.buffer(64)?])?;
        let seconds = gpu.least(&bound, scale.groups, scale.pass, scale.passes)?.seconds;
        let flops = 8.0 * (CHAINS * u64::from(scale.loops) * WORKGROUP * u64::from(scale.groups)) as f64;
        let ceiling = Ceiling { what: format!("multiply-adds in {number}"), flops_per_second: flops / seconds };
        notes.speed(|speed| speed.ceilings.push(ceiling));
    }
    if let Some(matrix) = device.info().cooperative_matrix {
        const SUMS: u32 = 4;
        let loops = scale.loops / 16;
        let bound = gpu.bound(&kit::multiplications(matrix, loops, SUMS), &[&gpu.buffer(1 << 16)?])?;
        let seconds = gpu.least(&bound, scale.groups, scale.pass, scale.passes)?.seconds;
        // Four subgroups a workgroup.
        let products = 4.0 * f64::from(SUMS * loops) * f64::from(scale.groups);
        let rate = 2.0 * (matrix.size as f64).powi(3) * products / seconds;
        notes.speed(|speed| speed.ceilings.push(Ceiling { what: "matrix units".into(), flops_per_second: rate }));
    }
    Ok(())
}

/// A dispatch that depends on the one before, as every launch of a step does, with as many buffers as a launch has; and what
/// the host pays for a submission of one.
fn dispatches(notes: &Notes, gpu: &Gpu) -> Result<()> {
    const BUFFERS: usize = 7;
    const LENGTHS: [usize; 4] = [1, 4, 16, 64];
    let buffers: Vec<_> = (0..BUFFERS).map(|_| gpu.buffer(64)).collect::<Result<_>>()?;
    let bound = gpu.bound(&kit::chain(BUFFERS, true), &buffers.iter().collect::<Vec<_>>())?;
    let chain = |length: usize| {
        gpu.timed(|pass| {
            for _ in 0..length {
                pass.set_pipeline(&bound.pipeline);
                pass.set_bind_group(0, &bound.group, &[]);
                pass.dispatch_workgroups(4, 1, 1);
            }
        })
    };
    // The first one warms up.
    chain(1)?;
    let (mut points, mut recorded) = (Vec::new(), f64::INFINITY);
    for length in LENGTHS {
        let mut least = f64::INFINITY;
        for _ in 0..5 {
            let pass = chain(length)?;
            least = least.min(pass.seconds);
            recorded = if length == LENGTHS[3] { recorded.min(pass.record / length as f64) } else { recorded };
        }
        points.push((length as f64, least));
    }
    let single: Vec<_> = (0..15).map(|_| chain(1)).collect::<Result<_>>()?;
    let middle = |of: fn(&kit::Pass) -> f64| median(single.iter().map(of).collect());
    let (submit, wait) = (middle(|pass| pass.submit), middle(|pass| pass.wait - pass.seconds).max(0.0));
    let dispatch = kit::fit(&points).b.max(0.0);
    notes.speed(|speed| {
        speed.dispatch_seconds = Some(dispatch);
        speed.record_seconds = Some(recorded);
        speed.submit_seconds = Some(submit);
        speed.readback_seconds = Some(wait);
    });
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// From the host's memory to the device's, as a data set goes.
fn upload(device: &Device, scale: Scale) -> Result<f64> {
    let Backend::Gpu(context) = &device.backend else { return Ok(f64::NAN) };
    let words = scale.sent / 4;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let buffer = context.buffer("uploads", words, usage)?;
    let numbers = vec![1.0f32; words];
    let mut least = f64::INFINITY;
    // The first one warms up.
    for _ in 0..=scale.passes {
        let clock = Instant::now();
        let submission = context.scoped("uploading", || {
            context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&numbers));
            context.queue.submit([])
        })?;
        block_on(context.wait("uploading", submission))?;
        least = least.min(clock.elapsed().as_secs_f64());
    }
    Ok(scale.sent as f64 / least)
}

/// The tutorial's step on a device: as it runs, and launch by launch.
fn step(device: &Device, precision: Precision, costs: &Speed) -> Result<StepTime> {
    let data = synthetic::digits(STEPS * driver::BATCH, 0, 7)?.train;
    let seconds = as_it_runs(device, precision, &data)?;
    let mut model = driver::tutorial(device)?;
    model.set_precision(precision)?;
    model.profile(&data, driver::BATCH, 2)?;
    let profile = model.profile(&data, driver::BATCH, PROFILED)?;
    let is_subject = device.wgpu().is_some() == costs.dispatch_seconds.is_some();
    let launches = profile.into_iter().map(|launch| LaunchTime {
        predicted_seconds: is_subject.then(|| predicted(costs, precision, launch.flops, launch.bytes)).flatten(),
        label: launch.label,
        operation: launch.operation.into(),
        flops: launch.flops,
        bytes: launch.bytes,
        seconds: launch.seconds,
    });
    let launches: Vec<_> = launches.collect();
    let predicted = launches.iter().map(|launch| launch.predicted_seconds).sum();
    let (device, precision) = (device.info().name, precision.to_string());
    Ok(StepTime { device, precision, predicted_seconds: predicted, seconds, launches })
}

/// Seconds of a step in an epoch, the least of three.
pub(super) fn as_it_runs(device: &Device, precision: Precision, data: &Dataset) -> Result<f64> {
    let mut model = driver::tutorial(device)?;
    model.set_precision(precision)?;
    // The first epoch warms up, and finds how many steps a submission should have.
    let history = model.fit(data, Fit::new().epochs(4).batch_size(driver::BATCH))?;
    let epochs = history.epochs.iter().skip(1).map(|epoch| epoch.seconds);
    Ok(epochs.fold(f64::INFINITY, f64::min) / (data.len().div_ceil(driver::BATCH)) as f64)
}

/// What a launch takes at least: its dispatch, and whichever is longer of its arithmetic and its memory.
fn predicted(costs: &Speed, precision: Precision, flops: u64, bytes: u64) -> Option<f64> {
    // Sums are in f32 whatever is stored, but matrix units multiply halves.
    let matrix = costs.ceilings.iter().find(|ceiling| precision == Precision::F16 && ceiling.what == "matrix units");
    let ceiling = matrix.or(costs.ceilings.first())?.flops_per_second;
    let memory = bytes as f64 / costs.copy_bytes_per_second?;
    Some(costs.dispatch_seconds.unwrap_or(0.0) + memory.max(flops as f64 / ceiling))
}
