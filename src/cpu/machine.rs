//! The processor as the CPU device sees it: its vector instructions and its second-level cache, as found or as told. What
//! is made of them (tiles, blocks) is the product's business.

use core::any::TypeId;
use core::fmt;
use core::str::FromStr;

use pulp::{Arch, Scalar128b, Simd, WithSimd};

use crate::error::Error;

/// The vector instructions that a CPU device computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstructionSet {
    /// What every processor of the architecture has: SSE2 on x86-64. Multiplies and adds in two steps.
    Baseline,
    /// AVX2 with FMA: sixteen registers of eight floats.
    Avx2,
    /// AVX-512: 32 registers of sixteen floats.
    Avx512,
    /// NEON: 32 registers of four floats.
    Neon,
    /// WebAssembly's vectors of four floats.
    WebAssembly,
}

impl InstructionSet {
    /// The sets that this processor has, the best first.
    ///
    /// ```
    /// use wgrad::InstructionSet;
    ///
    /// assert_eq!(InstructionSet::available().last(), Some(&InstructionSet::Baseline));
    /// ```
    pub fn available() -> Vec<InstructionSet> {
        Instructions::available().into_iter().map(Instructions::set).collect()
    }

    /// The name that people know.
    fn name(self) -> &'static str {
        match self {
            InstructionSet::Baseline if cfg!(any(target_arch = "x86_64", target_arch = "x86")) => "SSE2",
            InstructionSet::Baseline => "scalar",
            InstructionSet::Avx2 => "AVX2",
            InstructionSet::Avx512 => "AVX-512",
            InstructionSet::Neon => "NEON",
            InstructionSet::WebAssembly => "WebAssembly SIMD",
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads `baseline`, `avx2`, `avx512` or `neon`.
impl FromStr for InstructionSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "baseline" => Ok(InstructionSet::Baseline),
            "avx2" => Ok(InstructionSet::Avx2),
            "avx512" => Ok(InstructionSet::Avx512),
            "neon" => Ok(InstructionSet::Neon),
            other => Err(Error::configuration("instruction set", "baseline, avx2, avx512 or neon", other)),
        }
    }
}

/// How much the second-level cache of one core holds, in bytes. It decides how a product is cut into blocks, and no bit of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cache(pub(crate) usize);

/// A smaller cache than this is not to be had.
const SMALLEST: usize = 64 << 10;
/// A larger one is taken for this: buffers grow with it.
const LARGEST: usize = 4 << 20;

impl Cache {
    /// Such a cache, if there can be one.
    pub(crate) fn of(bytes: usize) -> Result<Self, Error> {
        match bytes < SMALLEST {
            true => Err(Error::configuration("cache size", format!("{SMALLEST} bytes at least"), bytes)),
            false => Ok(Cache(bytes.min(LARGEST))),
        }
    }

    /// What the processor says of itself, or else what is common among those with such instructions.
    fn found(instructions: Instructions) -> Self {
        let common = match instructions.set() {
            InstructionSet::Avx512 | InstructionSet::Neon => 1 << 20,
            InstructionSet::Avx2 | InstructionSet::Baseline | InstructionSet::WebAssembly => 512 << 10,
        };
        Cache(told().unwrap_or(common).clamp(SMALLEST, LARGEST))
    }
}

/// The processor's own words. Cores of other kinds beside the one that is asked are not asked.
#[cfg(target_arch = "x86_64")]
fn told() -> Option<usize> {
    // Intel's leaf and AMD's have one form.
    second_level(0, 4).or_else(|| second_level(0x8000_0000, 0x8000_001D))
}

#[cfg(not(target_arch = "x86_64"))]
fn told() -> Option<usize> {
    None
}

#[cfg(target_arch = "x86_64")]
#[allow(unused_unsafe, reason = "newer compilers have these functions safe")]
fn second_level(family: u32, leaf: u32) -> Option<usize> {
    use core::arch::x86_64::{__cpuid_count, __get_cpuid_max};

    // SAFETY: every x86-64 processor has the instruction.
    let (last, _) = unsafe { __get_cpuid_max(family) };
    if last < leaf {
        return None;
    }
    for index in 0..8 {
        // SAFETY: as above, and the leaf is one that it has.
        let entry = unsafe { __cpuid_count(leaf, index) };
        let (kind, level) = (entry.eax & 0x1F, entry.eax >> 5 & 7);
        let (ways, parts, line) = ((entry.ebx >> 22) + 1, (entry.ebx >> 12 & 0x3FF) + 1, (entry.ebx & 0xFFF) + 1);
        match (kind, level) {
            (0, _) => break,
            // Data alone, or data and instructions.
            (1 | 3, 2) => {
                let factors = [ways, parts, line, entry.ecx.saturating_add(1)];
                return Some(factors.iter().map(|&factor| factor as usize).product());
            }
            _ => {}
        }
    }
    None
}

/// What a CPU device computes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    pub(crate) instructions: Instructions,
    pub(crate) cache: Cache,
}

impl Processor {
    /// The one at hand.
    pub(crate) fn found() -> Self {
        Processor::with(Instructions::best())
    }

    /// The one at hand, with no other instructions than these.
    pub(crate) fn with(instructions: Instructions) -> Self {
        Processor { instructions, cache: Cache::found(instructions) }
    }
}

/// A set of instructions, with the proof that the processor has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions(Arch);

impl Instructions {
    /// The best that this processor has.
    pub(crate) fn best() -> Self {
        Instructions(Arch::new())
    }

    /// All that this processor has, the best first.
    pub(crate) fn available() -> Vec<Instructions> {
        let mut found = vec![Arch::new()];
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        if let (Arch::V4(_), Some(v3)) = (found[0], pulp::x86::V3::try_new()) {
            found.push(Arch::V3(v3));
        }
        if !matches!(found[0], Arch::Scalar) {
            found.push(Arch::Scalar);
        }
        found.into_iter().map(Instructions).collect()
    }

    /// These instructions, if the processor has them.
    pub(crate) fn of(wanted: InstructionSet) -> Result<Self, Error> {
        let found = Instructions::available();
        found.iter().copied().find(|found| found.set() == wanted).ok_or_else(|| {
            let names: Vec<_> = found.iter().map(|found| found.set().name()).collect();
            Error::configuration("instruction set", format!("what this processor has ({})", names.join(", ")), wanted)
        })
    }

    /// Which they are.
    pub(crate) fn set(self) -> InstructionSet {
        #[allow(unreachable_patterns, reason = "some architectures' lists are open, others closed")]
        match self.0 {
            Arch::Scalar => InstructionSet::Baseline,
            #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
            Arch::V3(_) => InstructionSet::Avx2,
            #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
            Arch::V4(_) => InstructionSet::Avx512,
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => InstructionSet::Neon,
            #[cfg(target_arch = "wasm32")]
            _ => InstructionSet::WebAssembly,
            _ => InstructionSet::Baseline,
        }
    }

    /// Runs something compiled for these instructions.
    #[inline(always)]
    pub(crate) fn dispatch<T: WithSimd>(self, work: T) -> T::Output {
        match self.0 {
            // Four numbers at a time, which compilers make SSE2 or its like of, rather than one.
            Arch::Scalar => Scalar128b.vectorize(Narrow(work)),
            arch => arch.dispatch(work),
        }
    }
}

/// Work on vectors of four numbers without instructions of their own.
struct Narrow<T>(T);

impl<T: WithSimd> pulp::NullaryFnOnce for Narrow<T> {
    type Output = T::Output;

    #[inline(always)]
    fn call(self) -> T::Output {
        self.0.with_simd(Scalar128b)
    }
}

/// a · b + c: rounded once where the processor has such an instruction, else twice; always the same of the two with the
/// same instructions.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    // Known when this is compiled for an instruction set. To round once without an instruction takes a function call.
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_e_f32s(a, b, c)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, InstructionSet, Instructions, LARGEST, SMALLEST};

    #[test]
    fn each_set_is_had_by_its_name_and_others_are_refused() {
        for set in [InstructionSet::Baseline, InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Neon] {
            let has = InstructionSet::available().contains(&set);
            assert_eq!(Instructions::of(set).ok().map(Instructions::set), has.then_some(set));
        }
        let error = "avx".parse::<InstructionSet>().map_err(|error| error.to_string());
        assert_eq!(error.err().as_deref(), Some("instruction set: expected baseline, avx2, avx512 or neon, found avx"));
    }

    #[test]
    fn a_cache_is_of_a_likely_size() {
        for instructions in Instructions::available() {
            let Cache(bytes) = Cache::found(instructions);
            assert!((SMALLEST..=LARGEST).contains(&bytes) && bytes % 1024 == 0, "{bytes}");
        }
        let error = Cache::of(32 << 10).map_err(|error| error.to_string());
        assert_eq!(error.err().as_deref(), Some("cache size: expected 65536 bytes at least, found 32768"));
        assert_eq!(Cache::of(1 << 40).ok(), Some(Cache(LARGEST)));
    }
}
