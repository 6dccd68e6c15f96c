//! Replays trainings recorded with Keras, on the CPU device and on a GPU device: the same initial weights, the same
//! samples in the same order, and so, up to f32 rounding, the same losses and weights.
//!
//! The cases in `tests/golden` were recorded with Keras 3.15.1; the README there says how, and what the formats are.
//! `WGRAD_GOLDEN_DIR` names directories with further cases, separated as those of `PATH` are, `WGRAD_GOLDEN_ROOT` one
//! that stands in for `tests/golden` where there is no source tree, `MNIST_DIR` the MNIST files that some cases train
//! on. Each case is a test of its own on each device; one that cannot run here is shown as ignored. The trials
//! `falsified::CASE::WHAT` demand that a falsified case fails.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "golden/case.rs"]
mod case;
#[path = "golden/compare.rs"]
mod compare;
#[path = "golden/falsified.rs"]
mod falsified;
#[path = "common/gpus.rs"]
mod gpus;
#[path = "golden/metrics.rs"]
mod metrics;
#[path = "golden/net.rs"]
mod net;
#[path = "golden/optimizers.rs"]
mod optimizers;
#[path = "golden/replay1.rs"]
mod replay1;
#[path = "golden/replay2.rs"]
mod replay2;
#[path = "golden/settings.rs"]
mod settings;

use std::path::Path;

use case::{Recorded, cases, cases_in, own_cases};
use libtest_mimic::{Arguments, Trial};
use wgrad::{Device, Precision};

/// A way to replay a case: its name, the device if there is one here, and the precision.
type Way = (&'static str, Option<Device>, Precision);

fn main() {
    let arguments = Arguments::from_args();
    let (gpu, cooperative) = (gpus::gpu(), gpus::cooperative_gpu());
    let half_gpu = gpu.clone().filter(|gpu| gpu.info().has_half_precision());
    let single: [Way; 3] = [
        ("cpu", Some(Device::cpu()), Precision::F32),
        ("gpu", gpu, Precision::F32),
        ("gpu_unchecked", gpus::unchecked_gpu(), Precision::F32),
    ];
    let half: [Way; 2] = [("gpu_half", half_gpu, Precision::F16), ("gpu_cooperative", cooperative, Precision::F16)];
    let mut trials = falsified_trials();
    for path in cases() {
        let (ignored, in_half) = (needs_missing_mnist(&path), is_argued_in_half(&path));
        let ways = single.iter().chain(half.iter().filter(|_| in_half));
        trials.extend(ways.map(|way| trial(&path, way).with_ignored_flag(ignored || way.1.is_none())));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(path: &Path, (way, device, precision): &Way) -> Trial {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let (path, device, precision) = (path.to_owned(), device.clone(), *precision);
    Trial::test(format!("{name}::{way}"), move || {
        let device = device.ok_or("no such device")?;
        Ok(replay(&Recorded::read(&path)?, &device, precision)?)
    })
}

/// Replays a case of either format.
fn replay(recorded: &Recorded, device: &Device, precision: Precision) -> Result<(), String> {
    match recorded.format()? {
        1 => replay1::replay(recorded, device, precision),
        _ if precision == Precision::F16 => Err("half precision is argued for cases of the first format alone".into()),
        _ => replay2::replay(recorded, device),
    }
}

/// How far half precision drifts depends on a training, so its tolerance holds for those that it was argued for.
fn is_argued_in_half(path: &Path) -> bool {
    let own = path.file_name().is_some_and(|name| own_cases().join(name).exists());
    let named = path.file_stem().is_some_and(|name| name == "tutorial_one_epoch");
    let first_format = case::specification(path).is_ok_and(|case| !case.contains_key("format"));
    first_format && (own || named)
}

/// Whether a case trains on MNIST, which is not here.
fn needs_missing_mnist(path: &Path) -> bool {
    let on_mnist =
        |path| case::specification(path).is_ok_and(|case| case.get("data").is_some_and(|data| data.is_object()));
    on_mnist(path) && std::env::var_os("MNIST_DIR").is_none()
}

/// Each falsification of the first own case of the second format that it suits.
fn falsified_trials() -> Vec<Trial> {
    let own = cases_in(&own_cases()).into_iter().filter_map(|path| Recorded::read(&path).ok());
    let own: Vec<_> = own.filter(|recorded| recorded.format() == Ok(2)).collect();
    let trial = |falsification: falsified::Falsification| {
        let found = own.iter().find(|recorded| falsification.suits(recorded)).cloned();
        let case = found.as_ref().map_or("none", |recorded| &recorded.name);
        Trial::test(format!("falsified::{case}::{}", falsification.what), move || {
            let recorded = found.ok_or("no case of tests/golden has anything of that kind")?;
            Ok(falsification.check(recorded, &Device::cpu())?)
        })
    };
    falsified::all().into_iter().map(trial).collect()
}
