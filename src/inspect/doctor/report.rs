//! What an examination found, as plain data. As JSON it is the format that `docs/doctor.md` describes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::compare::Wrong;

/// The version of the report's format. It goes up where a field changes its meaning or goes; fields may be added.
pub const FORMAT: u32 = 1;

/// What an examination found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of this format, [`FORMAT`].
    pub doctor: u32,
    /// The version of wgrad.
    pub wgrad: String,
    /// Whether it was a quick examination.
    pub quick: bool,
    /// How long it took.
    pub seconds: f64,
    /// What there is.
    pub device: Inventory,
    /// What was checked, in order.
    pub parts: Vec<Part>,
    /// How fast it is, where that was measured.
    pub speed: Option<Speed>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What a device is, has and lacks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inventory {
    /// The adapter's name; `CPU` for the CPU device.
    pub name: String,
    /// `discrete GPU`, `software GPU`, `CPU` and so on.
    pub kind: String,
    /// `vulkan`, `metal`, `dx12`, or `native` for the CPU device.
    pub backend: String,
    /// The driver's name and version, or the CPU device's instructions.
    pub driver: String,
    /// The operating system and the processor's architecture.
    pub system: String,
    /// Threads of the CPU device.
    pub threads: Option<usize>,
    /// Invocations of a subgroup, where all subgroups have one size.
    pub subgroup: Option<usize>,
    /// The largest buffer, in bytes; for a GPU.
    pub largest_buffer: Option<u64>,
    /// Limits that wgrad uses.
    pub limits: Vec<Limit>,
    /// Features that wgrad uses.
    pub features: Vec<Feature>,
    /// A training step of the tutorial's net (784-512-10, batches of 128) on this device.
    pub tutorial: Vec<TutorialLaunch>,
    /// All devices of this machine, as text, the preferred one first.
    pub others: Vec<String>,
}

/// A limit that wgrad uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// Its name in WebGPU.
    pub name: String,
    /// What this device has.
    pub found: u64,
    /// What wgrad must have.
    pub needed: u64,
    /// What wgrad makes use of.
    pub wanted: u64,
    /// What the lack costs; empty where there is none.
    pub costs: String,
}

/// A feature that wgrad uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Feature {
    /// What it is called here.
    pub name: String,
    /// Whether it is switched on.
    pub on: bool,
    /// What it is for; where it is off, what that costs.
    pub what: String,
}

/// A launch of the tutorial's training step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TutorialLaunch {
    /// Its label in the plan.
    pub label: String,
    /// Its operation.
    pub operation: String,
    /// Whether it shares the dispatch of the launch before.
    pub joins: bool,
    /// Of a product, its tiling.
    pub tiling: Option<String>,
    /// Why that tiling.
    pub why: Option<String>,
}

/// Some checks that belong together, run under one time limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// `what is there`, `operations`, `driver`, `training` or `speed`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// Whether it came to its end.
    pub finished: bool,
    /// Its checks, as far as they were made.
    pub checks: Vec<Check>,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// What: an operation's name, or a name of `docs/doctor.md`.
    pub name: String,
    /// Of an operation, in which form: precision, fused or alone, tiling.
    pub form: Option<String>,
    /// How it went.
    pub outcome: Outcome,
    /// What was found, in words.
    pub detail: String,
    /// Launches that were compared.
    pub launches: usize,
    /// The largest difference from the reference, as a share of what is tolerated.
    pub share: Option<f64>,
    /// Of a wrong launch, the first element that is wrong.
    pub mismatch: Option<Mismatch>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not as one might think, though wgrad copes with it.
    Noted,
    /// It could not be made here; the detail says why.
    Skipped,
    /// Wrong.
    Failed,
}

/// An element that is too far from its reference. Numbers are text, since JSON knows no NaN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mismatch {
    /// The launch's label in its plan.
    pub launch: String,
    /// The output's name in the operation's list of bindings.
    pub output: String,
    /// The element's index.
    pub element: usize,
    /// What the reference says.
    pub expected: String,
    /// What the device says.
    pub found: String,
    /// How far apart they may be.
    pub tolerance: String,
}

/// How fast a device is. What was not measured is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Speed {
    /// A dispatch that depends on the one before and does next to nothing, in seconds, as the others.
    pub dispatch_seconds: Option<f64>,
    /// Recording one, on the host.
    pub record_seconds: Option<f64>,
    /// Handing over what was recorded.
    pub submit_seconds: Option<f64>,
    /// From the end of a submission to the host's having its numbers.
    pub readback_seconds: Option<f64>,
    /// From the host's memory to the device's.
    pub upload_bytes_per_second: Option<f64>,
    /// Within the device's memory, bytes read and bytes written.
    pub copy_bytes_per_second: Option<f64>,
    /// The most that registers and matrix units do.
    pub ceilings: Vec<Ceiling>,
    /// Of the CPU device, the tutorial's step by the number of threads.
    pub threads: Vec<ThreadTime>,
    /// The fewest threads that more of them do not improve on by 5 %.
    pub enough_threads: Option<usize>,
    /// The tutorial's step on this device in each precision, and on the CPU device.
    pub steps: Vec<StepTime>,
}

/// What arithmetic does at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ceiling {
    /// What does it.
    pub what: String,
    /// Floating-point operations a second, two for each multiply-add.
    pub flops_per_second: f64,
}

/// A step on so many threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ThreadTime {
    /// Threads.
    pub threads: usize,
    /// Seconds of a step.
    pub step_seconds: f64,
}

/// A training step of the tutorial's net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepTime {
    /// The device's name.
    pub device: String,
    /// `f32` or `f16`.
    pub precision: String,
    /// What dispatches, memory and arithmetic take at least; `None` on a device whose costs were not measured.
    pub predicted_seconds: Option<f64>,
    /// As training runs, the best of three epochs of ten steps.
    pub seconds: f64,
    /// Dispatch by dispatch.
    pub launches: Vec<LaunchTime>,
}

/// A dispatch of a step: one launch, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaunchTime {
    /// Its launches' labels.
    pub label: String,
    /// The operation with the most work.
    pub operation: String,
    /// Floating-point operations of its products.
    pub flops: u64,
    /// Bytes that it must read and write at least.
    pub bytes: u64,
    /// What it takes at least, as predicted.
    pub predicted_seconds: Option<f64>,
    /// What it takes alone, the median of ten steps; `None` where the device cannot tell.
    pub seconds: Option<f64>,
}

/// What an examination comes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether no check failed.
    pub healthy: bool,
    /// A few plain sentences: which device to take, what to switch on, what not to trust.
    pub sentences: Vec<String>,
    /// Where a check failed, what to report and where.
    pub report: Option<String>,
}

impl From<&Wrong> for Mismatch {
    fn from(wrong: &Wrong) -> Self {
        Mismatch {
            launch: wrong.launch.clone(),
            output: wrong.output.into(),
            element: wrong.element,
            expected: format!("{:e}", wrong.expected),
            found: format!("{:e}", wrong.found),
            tolerance: format!("{:e}", wrong.tolerance),
        }
    }
}

impl Check {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Check {
            name: name.into(),
            form: None,
            outcome: Outcome::Passed,
            detail: String::new(),
            launches: 0,
            share: None,
            mismatch: None,
        }
    }

    fn with(self, outcome: Outcome, detail: impl Into<String>) -> Self {
        Check { outcome, detail: detail.into(), ..self }
    }

    pub(super) fn passed(self, detail: impl Into<String>) -> Self {
        self.with(Outcome::Passed, detail)
    }

    pub(super) fn noted(self, detail: impl Into<String>) -> Self {
        self.with(Outcome::Noted, detail)
    }

    pub(super) fn skipped(self, detail: impl Into<String>) -> Self {
        self.with(Outcome::Skipped, detail)
    }

    pub(super) fn failed(self, detail: impl Into<String>) -> Self {
        self.with(Outcome::Failed, detail)
    }

    /// Adds what another launch of the same operation in the same form came to.
    pub(super) fn add(&mut self, other: Check) {
        self.launches += other.launches;
        self.share = self.share.into_iter().chain(other.share).reduce(f64::max);
        if other.outcome == Outcome::Failed && self.outcome != Outcome::Failed {
            (self.outcome, self.detail, self.mismatch) = (other.outcome, other.detail, other.mismatch);
        }
    }

    /// Name and form.
    pub(super) fn title(&self) -> String {
        match &self.form {
            Some(form) => format!("{} ({form})", self.name),
            None => self.name.clone(),
        }
    }
}

impl Part {
    /// A part that needed no time.
    pub(super) fn of(name: &str, checks: Vec<Check>) -> Self {
        Part { name: name.into(), seconds: 0.0, finished: true, checks }
    }

    /// Its name as a heading.
    pub(super) fn title(&self) -> String {
        let mut letters = self.name.chars();
        letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
    }

    /// How many checks went so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

impl Report {
    pub(super) fn new(quick: bool, device: Inventory) -> Self {
        Report {
            doctor: FORMAT,
            wgrad: env!("CARGO_PKG_VERSION").into(),
            quick,
            seconds: 0.0,
            device,
            parts: Vec::new(),
            speed: None,
            verdict: Verdict::default(),
        }
    }

    /// Whether no check failed.
    pub fn is_healthy(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks().filter(|check| check.outcome == Outcome::Failed)
    }

    /// All checks.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.parts.iter().flat_map(|part| &part.checks)
    }

    /// The report as JSON, indented: what to attach to an issue.
    pub fn to_json(&self) -> String {
        // Names, numbers and lists: there is nothing in it that JSON could not hold.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a report.
    ///
    /// ```
    /// use wgrad::{Device, doctor::{Doctor, Report}};
    ///
    /// let report = Doctor::new().quick(true).measure(false).examine(&Device::cpu());
    /// assert_eq!(Report::from_json(&report.to_json())?.verdict, report.verdict);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] where this is no report, or one of a later format.
    pub fn from_json(json: &str) -> Result<Self> {
        let wrong = |found: String| Error::configuration("doctor's report", format!("JSON of format {FORMAT}"), found);
        let report: Report = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        if report.doctor == FORMAT { Ok(report) } else { Err(wrong(format!("format {}", report.doctor))) }
    }
}
