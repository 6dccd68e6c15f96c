//! A short training, twice for the same bits, and once more on the CPU device: operations that are right alone must be right
//! together.

use std::sync::Arc;

use super::driver::{Driver, Trained};
use super::parts::Notes;
use super::report::Check;
use crate::device::Device;
use crate::kernels::storage::Precision;

/// How far the losses of the short training may be apart on two devices. Steps round differently, and RMSprop's first ones
/// divide by little, so differences grow: lavapipe and the CPU device come to 1e-6.
const LOSS: f64 = 1e-3;

/// The same in half precision: a half has eleven bits.
const HALF_LOSS: f64 = 2e-2;

pub(super) fn check(notes: &Notes, driver: &Arc<dyn Driver>) {
    let device = driver.device();
    let mut ways = vec![(Precision::F32, LOSS)];
    if device.info().has_half_precision() {
        ways.push((Precision::F16, HALF_LOSS));
    }
    let mut on_cpu: Option<Trained> = None;
    for (precision, tolerance) in ways {
        let form = Some(precision.to_string());
        let check = |name: &str| Check { form: form.clone(), ..Check::new(name) };
        notes.begin(format!("a short training in {precision}"));
        let (first, second) = match (driver.trained(device, precision), driver.trained(device, precision)) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(error), _) | (_, Err(error)) => return notes.wrong(check("the same bits twice"), &error),
        };
        notes.note(same_bits(check("the same bits twice"), &first, &second));
        if device.wgpu().is_none() {
            notes.note(check("beside the CPU device").skipped("this is the CPU device"));
            continue;
        }
        if on_cpu.is_none() {
            match driver.trained(&Device::cpu(), Precision::F32) {
                Ok(trained) => on_cpu = Some(trained),
                Err(error) => return notes.wrong(check("beside the CPU device"), &error),
            }
        }
        if let Some(cpu) = &on_cpu {
            notes.note(beside(check("beside the CPU device"), &first, cpu, tolerance));
        }
    }
}

fn same_bits(check: Check, first: &Trained, second: &Trained) -> Check {
    let bits = |trained: &Trained| trained.weights.iter().map(|weight| weight.to_bits()).collect::<Vec<_>>();
    let (first, second) = (bits(first), bits(second));
    let apart = first.iter().zip(&second).filter(|(first, second)| first != second).count();
    match apart {
        0 if first.len() == second.len() => check.passed(format!("{} weights", first.len())),
        _ => check.failed(format!("{apart} of {} weights differ between two trainings from one seed", first.len())),
    }
}

fn beside(check: Check, found: &Trained, cpu: &Trained, tolerance: f64) -> Check {
    let apart = (found.loss - cpu.loss).abs();
    let detail =
        format!("loss {:.6}, on the CPU {:.6}: {apart:.1e} apart, {tolerance:e} at most", found.loss, cpu.loss);
    // Not `>`: a NaN is no success.
    if apart < tolerance { check.passed(detail) } else { check.failed(detail) }
}
