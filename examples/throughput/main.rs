//! The benchmark: how fast nets train on each device of this machine, and where a step's time goes.
//!
//! ```text
//! cargo run --release --example throughput
//! cargo run --release --example throughput -- --help
//! ```
//!
//! This file is the order of events. The flags are in `arguments.rs`, the nets and samples in `workload.rs`, the
//! measurements in `measure.rs`, `stream.rs` and `first_step.rs`, what a device allows in `ceiling.rs`, results in
//! `report.rs` and `plot.rs`.

#![allow(clippy::print_stderr, reason = "a program talks to its user")]

mod arguments;
mod ceiling;
mod first_step;
mod measure;
mod plot;
mod report;
mod stream;
mod workload;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use arguments::Arguments;
use report::{Curve, Entry, Report};
use wgrad::DeviceKind;
use workload::Workload;

/// The batch of the sweep over widths: large enough that the products decide.
const SWEEP_BATCH: usize = 1024;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let start = Instant::now();
    env_logger::init();
    let arguments = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprintln!("throughput: {}", usage.0);
            return ExitCode::from(2);
        }
    };
    let done = if arguments.help { print(arguments::HELP).map_err(Into::into) } else { run(&arguments, start) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughput: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `println!` would panic where the reader has gone.
fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

fn run(arguments: &Arguments, start: Instant) -> Outcome<()> {
    let mut report = Report { version: env!("CARGO_PKG_VERSION"), ..Report::default() };
    if let Some(gigabytes) = arguments.stream_gb {
        return stream(gigabytes, arguments, report);
    }
    if let Some(depths) = &arguments.first_step {
        for name in devices(arguments)? {
            for &layers in depths {
                let found = first_step::measure(&name, layers, arguments)?;
                print(&found.text())?;
                report.first_steps.push(found);
            }
        }
        return write_json(arguments, &report);
    }
    for name in devices(arguments)? {
        let mut entries = Vec::new();
        for workload in &arguments.workloads {
            let start = (report.results.is_empty() && entries.is_empty()).then_some(start);
            entries.push(measure(&name, workload, arguments, start)?);
        }
        let ceiling = ceiling::find(&arguments.open(&name)?, arguments.ceiling)?;
        for mut entry in entries {
            entry.set_ceiling(ceiling.clone());
            print(&entry.text(arguments.profile))?;
            report.results.push(entry);
        }
        if arguments.plot.is_some() {
            report.curves.extend(sweep(&name, arguments)?);
        }
    }
    if let Some(path) = &arguments.plot {
        write(path, &plot::draw(&report.curves))?;
    }
    write_json(arguments, &report)
}

/// Sets on disk, in place of all other measurements.
fn stream(gigabytes: f64, arguments: &Arguments, mut report: Report) -> Outcome<()> {
    for workload in &arguments.workloads {
        let files = stream::Files::write(gigabytes, workload.outputs())?;
        for name in devices(arguments)? {
            let streamed = stream::measure(&name, workload, &files, arguments)?;
            print(&streamed.text())?;
            report.streamed.push(streamed);
        }
    }
    write_json(arguments, &report)
}

fn write_json(arguments: &Arguments, report: &Report) -> Outcome<()> {
    match &arguments.json {
        Some(path) => write(path, &serde_json::to_string_pretty(report)?),
        None => Ok(()),
    }
}

fn write(path: &std::path::Path, text: &str) -> Outcome<()> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// The names that [`Device::named`] understands, `all` spelled out.
fn devices(arguments: &Arguments) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for name in &arguments.devices {
        if name != "all" {
            names.push(name.clone());
            continue;
        }
        for info in wgrad::devices() {
            if arguments.passes_over(&info) {
                continue;
            }
            let name = if info.kind == DeviceKind::Cpu { "cpu".into() } else { info.name };
            // An adapter that several drivers offer is measured once, with the first of them.
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    match names.is_empty() {
        true => Err("--device all: expected a device that has what the other flags ask for, found none".into()),
        false => Ok(names),
    }
}

fn measure(name: &str, workload: &Workload, arguments: &Arguments, start: Option<Instant>) -> Outcome<Entry> {
    eprintln!("measuring {} on {name}", workload.name);
    // A batch needs its samples, whatever was asked for.
    let data = workload::load(arguments.samples.max(workload.batch_size), workload)?;
    let measured = measure::measure(name, workload, &data, arguments, start)?;
    let device = arguments.open(name)?.info().to_string();
    Ok(Entry::new(device, workload, data.train.len(), data.source, measured))
}

/// Training alone, over batch sizes and over widths.
fn sweep(name: &str, arguments: &Arguments) -> Outcome<[Curve; 2]> {
    let device = arguments.open(name)?;
    let curve = |over: &'static str, sizes: &[usize], net: &dyn Fn(usize) -> Workload| -> Outcome<Curve> {
        let mut points = Vec::new();
        for &size in sizes {
            eprintln!("measuring {over} {size} on {name}");
            let workload = net(size);
            let data = workload::load(arguments.samples.max(workload.batch_size), &workload)?;
            let mut model = arguments.compile(&workload, &device)?;
            if arguments.tune {
                measure::tune(&mut model, &data.train, workload.batch_size)?;
            }
            points.push((size, measure::train(&mut model, &data.train, workload.batch_size, arguments)?));
        }
        Ok(Curve { device: device.info().to_string(), over, points })
    };
    let by_batch = curve("batch size", &arguments.batches, &|size| Workload::with_hidden("batch", &[512], size))?;
    let by_width =
        curve("width", &arguments.widths, &|size| Workload::with_hidden("width", &[size, size], SWEEP_BATCH))?;
    Ok([by_batch, by_width])
}
