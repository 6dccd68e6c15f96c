//! Is my GPU right, how fast is it, and what should I switch on? `wgrad::doctor` as a program.
//!
//! ```text
//! cargo run --release --example doctor
//! cargo run --release --example doctor -- --quick --json report.json --report report.html
//! ```
//!
//! This file is the command line; what is examined is in the library.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, Parser};
use wgrad::doctor::{Doctor, Report};
use wgrad::{Device, DeviceKind};

const HELP: &str = include_str!("help.txt");

struct Arguments {
    device: Option<String>,
    doctor: Doctor,
    json: Option<PathBuf>,
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match parse(Parser::from_env()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return end(print(HELP.trim_end()).map(|()| true)),
        Err(message) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    end(run(&arguments))
}

/// The exit status: whether all is well.
fn end(done: Result<bool, Box<dyn Error>>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Who closed the pipe wants no more lines, this one included.
            let closed = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
            if !closed {
                complain(&error.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

/// `eprintln!` would panic where the reader has gone.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "doctor: {message}");
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    Ok(output.flush()?)
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    for path in [&arguments.json, &arguments.page].into_iter().flatten() {
        check_directory(path)?;
    }
    let report = examine(arguments);
    // Kept before anything else can fail.
    if let Some(path) = &arguments.json {
        write(path, &report.to_json())?;
    }
    if let Some(path) = &arguments.page {
        write(path, &report.to_html())?;
    }
    print(report.to_string().trim_end())?;
    Ok(report.is_healthy())
}

fn examine(arguments: &Arguments) -> Report {
    let wanted = arguments.device.clone().unwrap_or_else(preferred);
    // What can be switched on is examined too: matrix units multiply for half precision alone.
    match Device::options().cooperative_matrices(true).named(&wanted) {
        Ok(device) => arguments.doctor.examine(&device),
        Err(error) => arguments.doctor.could_not_open(&wanted, &error),
    }
}

/// A GPU before the CPU device, a software driver included: who calls a doctor wants to hear about that.
fn preferred() -> String {
    let kinds: Vec<_> = wgrad::devices().into_iter().map(|device| device.kind).collect();
    if kinds.iter().any(|kind| *kind != DeviceKind::Cpu) { "gpu".into() } else { "cpu".into() }
}

/// A file that cannot be written should be known before the examination, not after.
fn check_directory(path: &Path) -> Result<(), Box<dyn Error>> {
    // The parent of a bare file name is empty.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = match (path.is_dir(), parent.is_dir()) {
        (true, _) => "expected a file, found a directory".into(),
        (false, false) => format!("expected a directory {}, found none", parent.display()),
        (false, true) => return Ok(()),
    };
    Err(format!("cannot write {}: {problem}", path.display()).into())
}

fn write(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

fn parse(mut parser: Parser) -> Result<Option<Arguments>, String> {
    let mut found = Arguments { device: None, doctor: Doctor::new(), json: None, page: None };
    while let Some(argument) = parser.next().map_err(said)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("quick") => found.doctor = found.doctor.quick(true),
            Arg::Long("device") => found.device = Some(text(value(&mut parser, "--device")?)?),
            Arg::Long("limit") => found.doctor = found.doctor.limit(seconds(value(&mut parser, "--limit")?)?),
            Arg::Long("no-speed") => found.doctor = found.doctor.measure(false),
            Arg::Long("report") => found.page = Some(value(&mut parser, "--report")?.into()),
            Arg::Long("json") => found.json = Some(value(&mut parser, "--json")?.into()),
            Arg::Long(flag) => return Err(unknown(format!("--{flag}"))),
            Arg::Short(letter) => return Err(unknown(format!("-{letter}"))),
            Arg::Value(value) => return Err(unknown(value.display())),
        }
    }
    Ok(Some(found))
}

fn said(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, value } => format!("{option}: expected no value, found {value:?}"),
        other => other.to_string(),
    }
}

fn unknown(argument: impl std::fmt::Display) -> String {
    format!("expected one of the flags that --help lists, found {argument}")
}

fn value(parser: &mut Parser, flag: &str) -> Result<OsString, String> {
    parser.value().map_err(|_| format!("{flag}: expected a value, found none"))
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("--device: expected text, found {value:?}"))
}

fn seconds(value: OsString) -> Result<Duration, String> {
    let found = value.to_str().and_then(|text| text.parse().ok()).filter(|&seconds: &f64| seconds >= 1.0);
    let found = found.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    found.ok_or_else(|| format!("--limit: expected seconds, 1 or more, found {value:?}"))
}
