//! A set on disk against one that is resident: how fast a net trains on each, in pairs, and how much memory it takes.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use wgrad::data::npy::{Element, Header};
use wgrad::{AnyDataset, Event, Fit, Model, StreamedDataset, mnist};

use crate::arguments::Arguments;
use crate::measure::{Spread, peak_rss_bytes, reset_peak_rss};
use crate::report::{grouped, mebibytes, rates};
use crate::workload::Workload;

/// What was found for one workload on one device.
#[derive(Debug, Serialize)]
pub struct Streamed {
    device: String,
    workload: String,
    shape: String,
    batch_size: usize,
    /// Of the set on disk.
    bytes: u64,
    samples: usize,
    resident_samples: usize,
    resident_samples_per_second: Spread,
    streamed_samples_per_second: Spread,
    /// Streamed by resident speed, pair by pair.
    share: Spread,
    /// While streaming; the resident set is in memory too.
    peak_rss_bytes: Option<u64>,
}

/// A set of made-up images, in two files that go with it.
pub struct Files {
    directory: tempfile::TempDir,
    classes: usize,
}

impl Files {
    /// Writes about `gigabytes` of 10⁹ bytes.
    pub fn write(gigabytes: f64, classes: usize) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let samples = ((1e9 * gigabytes / mnist::PIXELS as f64) as usize).max(1);
        eprintln!("writing {} samples to {}", grouped(samples as f64), directory.path().display());
        let files = Files { directory, classes };
        let failed = |error| format!("cannot write to {}: {error}", files.directory.path().display());
        write_bytes(&files.path("images"), &[samples, mnist::PIXELS], 256).map_err(failed)?;
        write_bytes(&files.path("labels"), &[samples], classes).map_err(failed)?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name).with_extension("npy")
    }

    fn open(&self) -> wgrad::Result<StreamedDataset> {
        StreamedDataset::open_npy(self.path("images"), self.path("labels"), Some(self.classes))
    }
}

/// Numbers below `bound`, which is 256 at most, from the generator that `workload.rs` uses.
fn write_bytes(path: &Path, shape: &[usize], bound: usize) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&Header { element: Element::U8, shape: shape.to_vec() }.to_bytes())?;
    let mut state = 1u64;
    let mut left = shape.iter().product::<usize>();
    while left > 0 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bytes = (state >> 32).to_le_bytes();
        let count = left.min(4);
        file.write_all(
            &[bytes[0], bytes[1], bytes[2], bytes[3]].map(|byte| (usize::from(byte) * bound / 256) as u8)[..count],
        )?;
        left -= count;
    }
    // On disk before the clock runs, so that writing does not take the time of reading.
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Trains on both in turns.
pub fn measure(
    name: &str,
    workload: &Workload,
    files: &Files,
    arguments: &Arguments,
) -> Result<Streamed, Box<dyn Error>> {
    eprintln!("measuring {} streamed on {name}", workload.name);
    let device = arguments.open(name)?;
    let mut model = arguments.compile(workload, &device)?;
    let streamed = files.open()?;
    let resident = streamed.read(0..arguments.samples.min(streamed.len()))?;
    let resident_samples = resident.len();
    let (streamed, resident) = (AnyDataset::Streamed(streamed), AnyDataset::InMemory(resident));
    let mut train = |data: &AnyDataset, seconds| train(&mut model, data, workload.batch_size, seconds);
    // Warms up the device and the pacing of both.
    train(&resident, arguments.seconds / 4.0)?;
    train(&streamed, arguments.seconds / 4.0)?;
    reset_peak_rss();
    let (mut of_resident, mut of_streamed) = (Vec::new(), Vec::new());
    for repeat in 0..arguments.repeats {
        // Each goes first every other time.
        if repeat % 2 == 0 {
            of_resident.push(train(&resident, arguments.seconds)?);
            of_streamed.push(train(&streamed, arguments.seconds)?);
        } else {
            of_streamed.push(train(&streamed, arguments.seconds)?);
            of_resident.push(train(&resident, arguments.seconds)?);
        }
    }
    let share = of_streamed.iter().zip(&of_resident).map(|(streamed, resident)| streamed / resident).collect();
    Ok(Streamed {
        device: device.info().to_string(),
        workload: workload.name.clone(),
        shape: workload.shape(),
        batch_size: workload.batch_size,
        bytes: std::fs::metadata(files.path("images"))?.len(),
        samples: streamed.len(),
        resident_samples,
        resident_samples_per_second: Spread::of(of_resident),
        streamed_samples_per_second: Spread::of(of_streamed),
        share: Spread::of(share),
        peak_rss_bytes: peak_rss_bytes(),
    })
}

/// Samples a second over `seconds`, epochs beginning anew where a set is used up; a set that takes longer is cut short.
fn train(model: &mut Model, data: &AnyDataset, batch_size: usize, seconds: f64) -> wgrad::Result<f64> {
    let (mut samples, mut taken) = (0, 0.0);
    while taken < seconds {
        let (mut in_epoch, mut elapsed) = (0, 0.0);
        let stop = |event: &Event| {
            if let Event::Step(step) = event {
                (in_epoch, elapsed) = (step.samples, step.seconds);
            }
            if taken + elapsed < seconds { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        model.fit(data, Fit::new().batch_size(batch_size).observer(stop))?;
        samples += in_epoch;
        taken += elapsed;
    }
    Ok(samples as f64 / taken)
}

impl Streamed {
    /// A block of text.
    pub fn text(&self) -> String {
        let share = &self.share;
        let lines = [
            ("net", format!("{}, batch {}", self.shape, self.batch_size)),
            ("set", format!("{:.2} GB on disk, {} samples", self.bytes as f64 / 1e9, grouped(self.samples as f64))),
            ("resident", format!("{}, {} samples", rates(&self.resident_samples_per_second), self.resident_samples)),
            ("streamed", rates(&self.streamed_samples_per_second)),
            (
                "share",
                format!(
                    "{:.1} % (median of {}; {:.1} to {:.1})",
                    100.0 * share.median,
                    share.repeats,
                    100.0 * share.min,
                    100.0 * share.max
                ),
            ),
            (
                "host memory",
                self.peak_rss_bytes.map_or("unknown".into(), |bytes| format!("{} at most", mebibytes(bytes))),
            ),
        ];
        let lines = lines.map(|(name, value)| format!("  {name:<18}{value}\n"));
        format!("\n{} streamed on {}\n{}", self.workload, self.device, lines.concat())
    }
}
