//! What a CPU's arithmetic allows: multiply-adds between registers, of which no memory is part.

use std::hint::black_box;
use std::time::Instant;

use crate::cpu::machine::InstructionSet;
use pulp::{Arch, Scalar128b, Simd, WithSimd};

/// Sums that do not wait for each other: enough to hide the latency of adding, and with both factors they fit sixteen
/// registers.
const SUMS: usize = 12;
/// Multiply-adds of each sum in a round: some ten milliseconds.
const STEPS: usize = 1 << 22;

/// Floating-point operations a second on so many threads with these instructions, the best of some rounds; `None` where they
/// are not to be had.
pub fn measure(set: InstructionSet, threads: usize, rounds: usize) -> Option<f64> {
    let rates = (0..rounds).map(|_| round(set, threads));
    rates.fold(None, |best, rate| if rate > best { rate } else { best })
}

fn round(set: InstructionSet, threads: usize) -> Option<f64> {
    let clock = Instant::now();
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| multiply(set))).collect();
        threads.into_iter().map(|thread| thread.join().ok().flatten()).sum::<Option<usize>>()
    });
    done.map(|numbers| 2.0 * numbers as f64 / clock.elapsed().as_secs_f64())
}

/// How many numbers were multiplied and added.
fn multiply(set: InstructionSet) -> Option<usize> {
    let lanes = match set {
        InstructionSet::Baseline => Multiply::<false>.with_simd(Scalar128b),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => Arch::V3(pulp::x86::V3::try_new()?).dispatch(Multiply::<true>),
        _ => Arch::new().dispatch(Multiply::<true>),
    };
    Some(lanes * SUMS * STEPS)
}

/// The loop, on instructions that multiply and add at once or not.
struct Multiply<const FUSED: bool>;

impl<const FUSED: bool> WithSimd for Multiply<FUSED> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        // Not known when this is compiled, and such that sums stay finite and normal.
        let (factor, term) = (simd.splat_f32s(black_box(0.5)), simd.splat_f32s(black_box(1.0)));
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = match FUSED {
                    true => simd.mul_add_e_f32s(*sum, factor, term),
                    false => simd.add_f32s(simd.mul_f32s(*sum, factor), term),
                };
            }
        }
        for sum in sums {
            black_box(simd.reduce_sum_f32s(sum));
        }
        S::F32_LANES
    }
}
