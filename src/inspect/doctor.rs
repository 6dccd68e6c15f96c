//! Is my GPU all right, how fast is it, and what should I switch on? A device is examined in parts, each with a time limit: what
//! there is, whether every operation and the driver itself compute what they should, how fast they do, and a verdict in
//! plain sentences. `docs/doctor.md` says what each check is for and how the report is laid out.
//!
//! ```
//! use wgrad::{Device, doctor::Doctor};
//!
//! let report = Doctor::new().quick(true).measure(false).examine(&Device::cpu());
//! assert!(report.is_healthy(), "{report}");
//! println!("{report}"); // or report.to_json(), report.to_html()
//! ```
//!
//! The library prints nothing; the example `doctor` is this module as a program.

mod driver;
mod html;
mod inventory;
#[doc(hidden)]
pub mod kit;
mod matrix;
mod nets;
mod operations;
mod parts;
mod probes;
mod report;
mod speed;
mod text;
mod training;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::error::Error;
use driver::{Driver, Honest};
use parts::Room;
pub use report::{
    Ceiling, Check, FORMAT, Feature, Inventory, LaunchTime, Limit, Mismatch, Outcome, Part, Report, Speed, StepTime,
    ThreadTime, TutorialLaunch, Verdict,
};

/// An examination: how thorough it is, and how long a part of it may take.
///
/// ```
/// use std::time::Duration;
/// use wgrad::{Device, doctor::Doctor};
///
/// let doctor = Doctor::new().quick(true).measure(false).limit(Duration::from_secs(20));
/// let report = doctor.examine(&Device::cpu());
/// assert_eq!(report.failed().count(), 0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Doctor {
    quick: bool,
    measures: bool,
    limit: Duration,
}

impl Default for Doctor {
    fn default() -> Self {
        Doctor { quick: false, measures: true, limit: Duration::from_secs(120) }
    }
}

impl Doctor {
    /// A whole examination: every tiling on several shapes, and measurements. A part of it takes 120 seconds at most.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether one shape of each kind must do; a whole examination has several. Off by default.
    pub fn quick(self, quick: bool) -> Self {
        Doctor { quick, ..self }
    }

    /// Whether to measure how fast the device is, which other work on it disturbs. On by default.
    pub fn measure(self, measures: bool) -> Self {
        Doctor { measures, ..self }
    }

    /// How long a part may take: 120 seconds by default. What it has found until then is kept, and the next part goes on.
    pub fn limit(self, limit: Duration) -> Self {
        Doctor { limit, ..self }
    }

    /// Examines a device. Whatever the device does, there is a report: that it was lost, or does not answer, is one. A part
    /// that does not come back leaves a thread behind that waits for the driver.
    ///
    /// It trains small nets of its own on the device and leaves everything else there alone.
    pub fn examine(&self, device: &Device) -> Report {
        self.examine_through(&(Arc::new(Honest(device.clone())) as Arc<dyn Driver>))
    }

    /// The report of a device that could not be opened: why, and what to do. `wanted` is what was asked for.
    pub fn could_not_open(&self, wanted: &str, error: &Error) -> Report {
        let mut report = Report::new(self.quick, inventory::unopened(wanted));
        let check = Check::new("open the device").failed(error.to_string());
        report.parts.push(Part::of("what is there", vec![check]));
        report.verdict = verdict::of(&report);
        report
    }

    fn examine_through(&self, driver: &Arc<dyn Driver>) -> Report {
        let clock = Instant::now();
        let mut report = Report::new(self.quick, inventory::of(driver.device()));
        let mut room = Room::new(driver.clone(), self.limit);
        let quick = self.quick;
        report.parts.push(room.run("what is there", inventory::look));
        report.parts.push(room.run("operations", move |notes, driver| operations::check(notes, driver, quick)));
        report.parts.push(room.run("driver", probes::check));
        report.parts.push(room.run("training", training::check));
        if self.measures {
            report.parts.push(room.run("speed", move |notes, driver| speed::measure(notes, driver, quick)));
            report.speed = room.speed();
        }
        report.device.tutorial = room.tutorial();
        report.device.others = room.others();
        report.seconds = clock.elapsed().as_secs_f64();
        report.verdict = verdict::of(&report);
        report
    }
}

#[cfg(test)]
mod tests;
