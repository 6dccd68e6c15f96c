//! What people read and what programs read.

use std::fmt::Write;

use serde::Serialize;
use wgrad::{LaunchProfile, Precision, Tuning};

use crate::ceiling::Ceiling;
use crate::first_step::FirstStep;
use crate::measure::{Measured, Spread};
use crate::stream::Streamed;
use crate::workload::Workload;

/// Everything, as `--json` writes it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub results: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streamed: Vec<Streamed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_steps: Vec<FirstStep>,
}

/// One workload on one device. What is not known is null.
#[derive(Debug, Serialize)]
pub struct Entry {
    device: String,
    workload: String,
    shape: String,
    batch_size: usize,
    precision: Precision,
    samples: usize,
    data: String,
    samples_per_second: Spread,
    milliseconds_per_step: f64,
    flops_per_step: u64,
    flops_per_second: f64,
    ceiling: Option<Ceiling>,
    share_of_ceiling: Option<f64>,
    launches_per_step: usize,
    /// From before the device is opened, with the samples in memory, to the result of the first trained batch.
    first_step_seconds: f64,
    /// The same from the start of the process, the reading of the samples included; known for the first entry only.
    since_start_seconds: Option<f64>,
    evaluate_samples_per_second: Spread,
    predict_samples_per_second: Spread,
    peak_rss_bytes: Option<u64>,
    device_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tuning: Option<Vec<Tuned>>,
    #[serde(skip)]
    tuning_table: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<Launch>,
}

/// A product whose tiling was chosen by measurement.
#[derive(Debug, Serialize)]
struct Tuned {
    label: String,
    operation: &'static str,
    rows: usize,
    columns: usize,
    depth: usize,
    choice: String,
    seconds: Option<f64>,
    default: String,
    default_seconds: Option<f64>,
}

/// One launch of a step.
#[derive(Debug, Serialize)]
struct Launch {
    label: String,
    operation: &'static str,
    seconds: Option<f64>,
    flops: u64,
    bytes: u64,
}

/// A line of the plot.
#[derive(Debug, Serialize)]
pub struct Curve {
    pub device: String,
    /// `batch size` or `width`.
    pub over: &'static str,
    pub points: Vec<(usize, Spread)>,
}

impl Entry {
    pub fn new(device: String, workload: &Workload, samples: usize, data: String, measured: Measured) -> Self {
        let batch_size = workload.batch_size.min(samples);
        let seconds_per_step = batch_size as f64 / measured.samples_per_second.median;
        let flops_per_step = measured.flops_per_step();
        Entry {
            device,
            workload: workload.name.clone(),
            shape: workload.shape(),
            batch_size,
            precision: measured.precision,
            samples,
            data,
            milliseconds_per_step: 1e3 * seconds_per_step,
            flops_per_step,
            flops_per_second: flops_per_step as f64 / seconds_per_step,
            ceiling: None,
            share_of_ceiling: None,
            launches_per_step: measured.launches.len(),
            first_step_seconds: measured.first_step_seconds,
            since_start_seconds: measured.since_start_seconds,
            samples_per_second: measured.samples_per_second,
            evaluate_samples_per_second: measured.evaluate_samples_per_second,
            predict_samples_per_second: measured.predict_samples_per_second,
            peak_rss_bytes: measured.peak_rss_bytes,
            device_bytes: measured.device_bytes,
            tuning_table: measured.tuning.as_ref().map_or_else(String::new, |tuning| format!("{tuning:#}")),
            tuning: measured.tuning.map(tuned),
            profile: measured.launches.into_iter().map(Launch::from).collect(),
        }
    }

    pub fn set_ceiling(&mut self, ceiling: Option<Ceiling>) {
        self.share_of_ceiling = ceiling.as_ref().map(|ceiling| self.flops_per_second / ceiling.flops_per_second);
        self.ceiling = ceiling;
    }

    /// A block of text.
    pub fn text(&self, profiled: bool) -> String {
        let mut text = format!("\n{} on {}\n", self.workload, self.device);
        let mut line = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<18}{value}");
        };
        let precision = if self.precision == Precision::F16 { ", in half precision" } else { "" };
        let net = format!("{}, batch {}, {} samples ({})", self.shape, self.batch_size, self.samples, self.data);
        line("net", net + precision);
        line("training", rates(&self.samples_per_second));
        line("step", format!("{}, {} launches", step_time(self.milliseconds_per_step), self.launches_per_step));
        line("arithmetic", self.arithmetic());
        let mut first_step = format!("{:.3} s from opening the device", self.first_step_seconds);
        if let Some(seconds) = self.since_start_seconds {
            let _ = write!(first_step, ", {seconds:.3} s from the start of the process, reading the samples included");
        }
        line("first step after", first_step);
        line("evaluation", rates(&self.evaluate_samples_per_second));
        line("inference", rates(&self.predict_samples_per_second));
        line(
            "host memory",
            self.peak_rss_bytes.map_or("unknown".into(), |bytes| format!("{} at most", mebibytes(bytes))),
        );
        line("device memory", self.device_bytes.map_or("not counted".into(), mebibytes));
        for row in self.tuning_table.lines() {
            let _ = writeln!(text, "  {row}");
        }
        if profiled {
            text += &table(&self.profile);
        }
        text
    }

    fn arithmetic(&self) -> String {
        let done =
            format!("{:.1} MFLOP a step, {:.1} GFLOP/s", self.flops_per_step as f64 / 1e6, self.flops_per_second / 1e9);
        match (&self.ceiling, self.share_of_ceiling) {
            (Some(ceiling), Some(share)) => {
                let most = ceiling.flops_per_second / 1e9;
                format!("{done}: {:.1} % of {most:.1} GFLOP/s ({})", 100.0 * share, ceiling.source)
            }
            _ => format!("{done}; what the device allows is unknown"),
        }
    }
}

/// Milliseconds, or microseconds of a small net's.
fn step_time(milliseconds: f64) -> String {
    if milliseconds < 0.1 { format!("{:.2} µs", 1e3 * milliseconds) } else { format!("{milliseconds:.3} ms") }
}

fn tuned(tuning: Tuning) -> Vec<Tuned> {
    let row = |product: &wgrad::TunedProduct| Tuned {
        label: product.label.clone(),
        operation: product.operation,
        rows: product.rows,
        columns: product.columns,
        depth: product.depth,
        choice: product.chosen().tiling.clone(),
        seconds: product.chosen().seconds,
        default: product.candidates[0].tiling.clone(),
        default_seconds: product.candidates[0].seconds,
    };
    tuning.products.iter().map(row).collect()
}

impl From<LaunchProfile> for Launch {
    fn from(launch: LaunchProfile) -> Self {
        let LaunchProfile { label, operation, seconds, flops, bytes, .. } = launch;
        Launch { label, operation, seconds, flops, bytes }
    }
}

/// The profile, a line a launch.
fn table(launches: &[Launch]) -> String {
    let width = launches.iter().map(|launch| launch.label.len() + 1).fold(26, usize::max);
    let mut text = format!(
        "  {:<width$}{:<24}{:>10}{:>8}{:>10}{:>10}{:>10}{:>9}\n",
        "launch", "operation", "us", "share", "MFLOP", "MB", "GFLOP/s", "GB/s"
    );
    let total: f64 = launches.iter().filter_map(|launch| launch.seconds).sum();
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
    for launch in launches {
        let seconds = launch.seconds;
        let rate = |amount: u64| number(seconds.filter(|&s| s > 0.0).map(|s| amount as f64 / s / 1e9));
        let flop_rate = if launch.flops > 0 { rate(launch.flops) } else { "-".into() };
        let _ = writeln!(
            text,
            "  {:<width$}{:<24}{:>10}{:>7}%{:>10.1}{:>10.2}{:>10}{:>9}",
            launch.label,
            launch.operation,
            number(seconds.map(|s| 1e6 * s)),
            number(seconds.map(|s| 100.0 * s / total)),
            launch.flops as f64 / 1e6,
            launch.bytes as f64 / 1e6,
            flop_rate,
            rate(launch.bytes),
        );
    }
    if total > 0.0 {
        let _ = writeln!(text, "  {:<1$}{2:>10.1}  launches one by one", "sum", width + 24, 1e6 * total);
    } else {
        text += "  this device has no timestamps\n";
    }
    text
}

pub fn rates(spread: &Spread) -> String {
    let Spread { median, min, max, repeats } = spread;
    format!("{} samples/s (median of {repeats}; {} to {})", grouped(*median), grouped(*min), grouped(*max))
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / (1 << 20) as f64)
}

/// A number rounded to whole units, its digits in groups: 48,123.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
