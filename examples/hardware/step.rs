//! A training step as it runs, many between two timestamps, and launch by launch.

use serde_json::{Value, json};
use wgrad::mnist::Loader;
use wgrad::{Activation, Dataset, Dense, Device, LaunchProfile, Loss, Model, Precision, RmsProp, Sequential, mnist};

use crate::gpu;
use crate::record::{Records, median, short};
use crate::{Outcome, print};

/// A net, its batch, how many samples, and how often it goes through them, beside once to warm up.
#[derive(Clone, Copy)]
pub struct Workload {
    pub name: &'static str,
    pub hidden: &'static [usize],
    pub batch: usize,
    pub samples: usize,
    pub epochs: usize,
}

/// The tutorial's net and one that the products decide, as `examples/throughput` has them.
pub const WHOLE: [Workload; 2] = [
    Workload { name: "tutorial", hidden: &[512], batch: 128, samples: 59_904, epochs: 9 },
    Workload { name: "wide", hidden: &[2048, 2048], batch: 4096, samples: 32_768, epochs: 9 },
];

/// The same nets on fewer samples.
pub const REHEARSAL: [Workload; 2] = [
    Workload { name: "tutorial", hidden: &[512], batch: 128, samples: 1280, epochs: 3 },
    Workload { name: "wide", hidden: &[2048, 2048], batch: 64, samples: 128, epochs: 2 },
];

/// The shortest form.
pub const SHORTEST: [Workload; 1] = [Workload { name: "tutorial", hidden: &[64], batch: 32, samples: 64, epochs: 1 }];

/// Steps that are timed launch by launch, beside as many that warm up.
const PROFILED: usize = 20;

/// Both workloads in every way that the GPU has.
pub fn run(device: Device, cooperative: Option<Device>, workloads: &[Workload], records: &mut Records) -> Outcome<()> {
    let half = device.info().has_half_precision();
    let mut ways = vec![("f32", device.clone(), Precision::F32)];
    if half {
        ways.push(("f16", device, Precision::F16));
        ways.extend(cooperative.map(|device| ("f16 on matrix units", device, Precision::F16)));
    }
    for workload in workloads {
        let (data, source) = samples(workload.samples)?;
        for (way, device, precision) in &ways {
            let mut model = compile(workload, device)?;
            model.set_precision(*precision)?;
            one(&mut model, &data, source, *workload, way, records)?;
        }
    }
    Ok(())
}

fn compile(workload: &Workload, device: &Device) -> wgrad::Result<Model> {
    let add = |net: Sequential, &units: &usize| net.add(Dense::new(units).activation(Activation::Relu));
    let net = workload.hidden.iter().fold(Sequential::new(mnist::PIXELS), add);
    let net = net.add(Dense::new(mnist::CLASSES).activation(Activation::Softmax));
    net.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)
}

/// MNIST where it is at hand, else drawn digits: the work is the same.
fn samples(count: usize) -> Outcome<(Dataset, &'static str)> {
    match Loader::new().offline().load() {
        Ok(found) if found.train.len() >= count => Ok((found.train.take(count), "MNIST")),
        _ => Ok((wgrad::data::synthetic::digits(count, 0, 7)?.train, "drawn")),
    }
}

fn one(
    model: &mut Model,
    data: &Dataset,
    source: &str,
    workload: Workload,
    way: &str,
    records: &mut Records,
) -> Outcome<()> {
    let plan = model.plan_summary(data, workload.batch)?;
    let (launches, dispatches) = (plan.lines().count(), plan.lines().filter(|line| !line.starts_with('+')).count());
    let (seconds, record, loss) = as_it_runs(model, data, workload)?;
    let step = median(seconds.clone());
    model.profile(data, workload.batch, PROFILED.min(data.len() / workload.batch))?;
    let profile = model.profile(data, workload.batch, PROFILED.min(data.len() / workload.batch))?;
    let flops: u64 = profile.iter().map(|launch| launch.flops).sum();
    let sum: f64 = profile.iter().filter_map(|launch| launch.seconds).sum();
    records.write(
        "step",
        json!({
            "workload": workload.name, "hidden": workload.hidden, "batch": workload.batch, "way": way, "data": source,
            "launches": launches, "dispatches": dispatches, "step_seconds": seconds, "record_seconds": record,
            "flops": flops, "loss": loss, "profile": profile.iter().map(launch).collect::<Vec<_>>(), "plan": plan,
        }),
    )?;
    print(&format!(
        "step {} {way}: {} us as it runs ({} samples/s, {} GFLOP/s), {} us launch by launch; {launches} launches in \
         {dispatches} dispatches; host records one in {} us; loss {}",
        workload.name,
        short(1e6 * step),
        short(workload.batch as f64 / step),
        short(1e-9 * flops as f64 / step),
        short(1e6 * sum),
        short(1e6 * record),
        short(loss),
    ))?;
    for launch in &profile {
        let seconds = launch.seconds.unwrap_or(f64::NAN);
        let rate = launch.flops_per_second().filter(|&rate| rate > 0.0);
        let rate = rate.map_or(String::new(), |rate| format!(", {} GFLOP/s", short(1e-9 * rate)));
        print(&format!("    {:<46} {} us{rate}", launch.label, short(1e6 * seconds)))?;
    }
    if loss.is_finite() { Ok(()) } else { Err(format!("{} {way}: the loss is {loss}", workload.name).into()) }
}

/// Seconds of a step in each timed epoch, seconds in which the host records one, and the last epoch's loss.
fn as_it_runs(model: &mut Model, data: &Dataset, workload: Workload) -> Outcome<(Vec<f64>, f64, f64)> {
    let gpu = gpu::open(model.device())?;
    let mut trainer = model.trainer(data, workload.batch)?;
    let steps = trainer.steps_per_epoch().min(512);
    let (mut seconds, mut record) = (Vec::new(), Vec::new());
    for epoch in 0..=workload.epochs {
        trainer.begin_epoch(0, true)?;
        let pass = gpu.timed_between(|encoder| {
            trainer.record(encoder, steps);
        })?;
        // The first one warms up.
        if epoch > 0 {
            seconds.push(pass.seconds / steps as f64);
            record.push(pass.record / steps as f64);
        }
    }
    Ok((seconds, median(record), trainer.score()?.loss))
}

fn launch(launch: &LaunchProfile) -> Value {
    json!({ "label": launch.label, "operation": launch.operation, "seconds": launch.seconds, "flops": launch.flops,
        "bytes": launch.bytes })
}
