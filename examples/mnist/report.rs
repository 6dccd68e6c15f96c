//! Results: the lines that people read and the one line of JSON that programs read.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use wgrad::{DeviceInfo, History, Score};

use crate::arguments::Arguments;

/// Standard output, and how much of it is wanted. `println!` would panic where the reader has gone.
pub struct Output {
    quiet: bool,
    json: bool,
}

impl Output {
    pub fn new(arguments: &Arguments) -> Self {
        Output { quiet: arguments.quiet, json: arguments.json }
    }

    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// A line that `--quiet` leaves out.
    pub fn line(&self, text: &str) -> io::Result<()> {
        if self.quiet { Ok(()) } else { write_line(text) }
    }

    /// What the program was run for: with `--quiet` one line, as text or as JSON.
    pub fn results(&self, report: &Report, score: &Score) -> io::Result<()> {
        if !(self.quiet && self.json) {
            write_line(&format!("Test: {score}"))?;
        }
        if self.json { write_line(&serde_json::to_string(report)?) } else { Ok(()) }
    }
}

pub fn write_line(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}

/// The line of JSON. What was not measured is null.
#[derive(Debug, Serialize)]
pub struct Report {
    device: String,
    /// Over the time in epochs alone.
    samples_per_second: Option<f64>,
    /// From the first line of `main` to the result of the first trained batch.
    first_step_seconds: Option<f64>,
    peak_rss_bytes: Option<u64>,
    epochs: Vec<Epoch>,
    test: Measured,
}

#[derive(Debug, Serialize)]
struct Epoch {
    #[serde(flatten)]
    train: Measured,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Measured {
    loss: f64,
    /// A share of 1.
    accuracy: Option<f64>,
}

impl From<&Score> for Measured {
    fn from(score: &Score) -> Self {
        Measured { loss: score.loss, accuracy: score.accuracy }
    }
}

impl Report {
    pub fn new(device: &DeviceInfo, first_step: Option<Duration>, history: &History, test: &Score) -> Self {
        let samples: usize = history.epochs.iter().map(|record| record.samples).sum();
        let seconds: f64 = history.epochs.iter().map(|record| record.seconds).sum();
        let epoch = |record: &wgrad::EpochRecord| Epoch { train: (&record.train).into(), seconds: record.seconds };
        Report {
            device: device.to_string(),
            samples_per_second: (seconds > 0.0).then(|| samples as f64 / seconds),
            first_step_seconds: first_step.map(|time| time.as_secs_f64()),
            peak_rss_bytes: peak_rss_bytes(),
            epochs: history.epochs.iter().map(epoch).collect(),
            test: test.into(),
        }
    }
}

/// The most memory that this process ever had resident, where the system tells without a call into C: on Linux.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}

/// A number rounded to whole units, its digits in groups: 48,123.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let first = match digits.len() % 3 {
        0 => 3.min(digits.len()),
        rest => rest,
    };
    let (head, tail) = digits.split_at(first);
    let mut text = head.to_owned();
    for (index, digit) in tail.chars().enumerate() {
        if index % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
