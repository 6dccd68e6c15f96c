//! Measures a GPU: what there is, what things cost on it, a training step, and every product by every tiling. It is a
//! part of the kit that `scripts/hardware` packs and runs; `docs/hardware.md` says what each part finds out.
//!
//! ```text
//! cargo run --release --example hardware -- smoke --software --output results.jsonl
//! ```
//!
//! This file is the command line. Results are lines of JSON (`record.rs`); what people should read goes to standard
//! output.

mod ceilings;
mod chains;
mod costs;
mod gpu;
mod matrix;
mod record;
mod smoke;
mod spirv;
mod step;
mod sweep;
mod vulkan;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};
use wgrad::{Device, DeviceKind};

use costs::Scale;
use record::Records;
use sweep::{Size, Wanted};

type Outcome<T> = Result<T, Box<dyn Error>>;

const HELP: &str = "\
Measures a GPU for wgrad.

Usage: hardware PART --output FILE [FLAGS]

PART is smoke (is there a GPU, and does it compute?), costs (dispatches, barriers, arithmetic, memory), matrix (matrix
units by themselves), step (a training step) or sweep (every product by every tiling).

  --output FILE     results, a line of JSON each, are added to it
  --seconds S       when to come to an end, for costs and sweep [default: 40]
  --clock FILE      holds the clocks as JSON, kept by another program; each result says them
  --software        take a software driver too, planned for as if it were hardware
  --size SIZE       whole, rehearsal or shortest [default: whole]
  --part N/M        sweep: which part of how many, from 0 [default: 0/1]
  --shaders FILE    sweep: the shaders of the fastest, lines of JSON, are added to it
  --cache FILE      sweep: the content of a pipeline cache
  -h, --help        print this

Exit status: 0, 1 for a failure, 2 for a wrong flag, 3 where there is no GPU, or a software driver alone.
";

struct Arguments {
    part: String,
    output: PathBuf,
    seconds: f64,
    clock: Option<PathBuf>,
    software: bool,
    size: Size,
    wanted: Wanted,
}

fn main() -> ExitCode {
    let arguments = match parse(Parser::from_env()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return print(HELP.trim_end()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Err(error) => return fail(&error.to_string(), 2),
    };
    let device = match open(&arguments, false) {
        Ok(device) => device,
        Err(error) => return fail(&error.to_string(), 3),
    };
    match run(&arguments, device) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

/// `eprintln!` would panic where the reader has gone.
fn fail(message: &str, status: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "hardware: {message}");
    ExitCode::from(status)
}

fn print(line: &str) -> Outcome<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

fn parse(mut parser: Parser) -> Outcome<Option<Arguments>> {
    let (mut part, mut output) = (None, None);
    let wanted = Wanted { part: 0, parts: 1, size: Size::Whole, shaders: None, cache: None };
    let mut found = Arguments {
        part: String::new(),
        output: PathBuf::new(),
        seconds: 40.0,
        clock: None,
        software: false,
        size: Size::Whole,
        wanted,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("output") => output = Some(parser.value()?.into()),
            Arg::Long("seconds") => found.seconds = seconds(&parser.value()?.string()?)?,
            Arg::Long("clock") => found.clock = Some(parser.value()?.into()),
            Arg::Long("software") => found.software = true,
            Arg::Long("size") => found.size = size(&parser.value()?.string()?)?,
            Arg::Long("part") => (found.wanted.part, found.wanted.parts) = share(&parser.value()?.string()?)?,
            Arg::Long("shaders") => found.wanted.shaders = Some(parser.value()?.into()),
            Arg::Long("cache") => found.wanted.cache = Some(parser.value()?.into()),
            Arg::Value(value) if part.is_none() => part = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let known = ["smoke", "costs", "matrix", "step", "sweep"];
    found.part =
        part.filter(|part| known.contains(&part.as_str())).ok_or("expected smoke, costs, matrix, step or sweep")?;
    found.output = output.ok_or("expected --output FILE")?;
    found.wanted.size = found.size;
    Ok(Some(found))
}

fn seconds(text: &str) -> Outcome<f64> {
    let found = text.parse().ok().filter(|&seconds: &f64| seconds.is_finite() && seconds > 0.0);
    found.ok_or_else(|| format!("--seconds: expected a number above 0, found {text:?}").into())
}

fn size(text: &str) -> Outcome<Size> {
    match text {
        "whole" => Ok(Size::Whole),
        "rehearsal" => Ok(Size::Rehearsal),
        "shortest" => Ok(Size::Shortest),
        _ => Err(format!("--size: expected whole, rehearsal or shortest, found {text:?}").into()),
    }
}

fn share(text: &str) -> Outcome<(usize, usize)> {
    let found = text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    let found = found.filter(|&(part, parts): &(usize, usize)| part < parts);
    found.ok_or_else(|| format!("--part: expected N/M with N below M, found {text:?}").into())
}

/// The GPU, planned for as hardware; an error where it is a software driver and that is not wanted.
fn open(arguments: &Arguments, matrix_units: bool) -> Outcome<Device> {
    let options = Device::options().tuned_tilings(false).plan_for_hardware(true).cooperative_matrices(matrix_units);
    let device = options.gpu()?;
    let info = device.info();
    if info.kind == DeviceKind::SoftwareGpu && !arguments.software {
        return Err(format!("expected a hardware GPU, found {info}").into());
    }
    Ok(device)
}

fn run(arguments: &Arguments, device: Device) -> Outcome<()> {
    let mut records = Records::open(&arguments.output, arguments.clock.clone(), arguments.seconds)?;
    let info = device.info();
    records.say("card", info.name.clone());
    records.say("driver", info.driver.clone());
    records.say("version", env!("CARGO_PKG_VERSION"));
    let units = open(arguments, true)?;
    let cooperative = Some(units).filter(|device| device.info().cooperative_matrix.is_some());
    match arguments.part.as_str() {
        "smoke" => smoke::run(&device, cooperative.as_ref(), &mut records),
        "matrix" => matrix::run(cooperative, &mut records),
        "costs" => {
            let scale = match arguments.size {
                Size::Whole => &Scale::WHOLE,
                Size::Rehearsal => &Scale::REHEARSAL,
                Size::Shortest => &Scale::SHORTEST,
            };
            costs::run(device, cooperative, scale, &mut records)
        }
        "step" => {
            let workloads: &[_] = match arguments.size {
                Size::Whole => &step::WHOLE,
                Size::Rehearsal => &step::REHEARSAL,
                Size::Shortest => &step::SHORTEST,
            };
            step::run(device, cooperative, workloads, &mut records)
        }
        _ => sweep::run(device, cooperative, &arguments.wanted, &mut records),
    }
}
