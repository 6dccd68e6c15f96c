//! What the CPU device can do: multiply-adds between registers, copies in memory, and how many threads are of use.

use std::hint::black_box;
use std::time::Instant;

use super::super::kit;
use super::super::parts::Notes;
use super::super::report::{Ceiling, ThreadTime};
use super::{STEPS, as_it_runs};
use crate::cpu::machine::InstructionSet;
use crate::data::synthetic;
use crate::device::Device;
use crate::error::Result;
use crate::kernels::storage::Precision;

/// Bytes that are copied: far more than caches hold.
const COPIED: usize = 128 << 20;

/// More threads are of no use that save less than this.
const WORTHWHILE: f64 = 0.95;

pub(super) fn costs(notes: &Notes, device: &Device, quick: bool) -> Result<()> {
    let info = device.info();
    let threads = info.threads.unwrap_or(1);
    notes.begin("multiply-adds");
    let set = InstructionSet::available().into_iter().find(|set| set.to_string() == info.driver);
    if let Some(rate) = set.and_then(|set| kit::registers(set, threads, if quick { 3 } else { 10 })) {
        let what = format!("multiply-adds between registers, {} on {threads} threads", info.driver);
        notes.speed(|speed| speed.ceilings.push(Ceiling { what, flops_per_second: rate }));
    }
    notes.begin("copies");
    let rate = copies(if quick { COPIED / 4 } else { COPIED }, threads);
    notes.speed(|speed| speed.copy_bytes_per_second = Some(rate));
    notes.begin("threads");
    let data = synthetic::digits(STEPS * super::driver::BATCH, 0, 7)?.train;
    let mut times: Vec<ThreadTime> = Vec::new();
    for count in counts(threads) {
        if notes.is_over() {
            break;
        }
        let step_seconds = as_it_runs(&Device::cpu_with_threads(count), Precision::F32, &data)?;
        times.push(ThreadTime { threads: count, step_seconds });
    }
    let enough = enough(&times);
    notes.speed(|speed| (speed.threads, speed.enough_threads) = (times, enough));
    Ok(())
}

/// One, two, four and so on, and all.
fn counts(threads: usize) -> Vec<usize> {
    let mut counts: Vec<_> =
        std::iter::successors(Some(1), |count| Some(2 * count)).take_while(|&c| c < threads).collect();
    counts.push(threads);
    counts
}

/// The fewest threads that no greater number improves on by much.
pub(in super::super) fn enough(times: &[ThreadTime]) -> Option<usize> {
    let best = times.iter().map(|time| time.step_seconds).fold(f64::INFINITY, f64::min);
    times.iter().find(|time| time.step_seconds * WORTHWHILE <= best).map(|time| time.threads)
}

/// Bytes read and written a second, by so many threads, each on memory of its own.
fn copies(bytes: usize, threads: usize) -> f64 {
    let share = bytes / threads.max(1);
    let mut buffers: Vec<_> = (0..threads).map(|_| (vec![1u8; share], vec![0u8; share])).collect();
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let clock = Instant::now();
        std::thread::scope(|scope| {
            for (from, to) in &mut buffers {
                scope.spawn(|| {
                    to.copy_from_slice(from);
                    black_box(to);
                });
            }
        });
        least = least.min(clock.elapsed().as_secs_f64());
    }
    2.0 * (share * threads) as f64 / least
}
