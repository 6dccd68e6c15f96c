//! How the numbers of a batch are stored between launches: in single or in half precision. Arithmetic is in f32 either
//! way. The mirror of `shaders/parts/storage.wgsl`.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernels::Real;

/// The largest number of half precision.
pub const LARGEST_HALF: f32 = 65_504.0;

/// What a model's batches are stored in between the launches of a step: activations and their gradients. Parameters, the
/// optimizer's state, outputs, losses and all arithmetic are in f32 with either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision: 24 significant bits.
    #[default]
    F32,
    /// Half precision: 11 significant bits, numbers up to 65,504. Gradients carry a loss scale.
    F16,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        })
    }
}

/// From the names that [`Display`](std::fmt::Display) gives: `f32` and `f16`.
impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Precision::F32),
            "f16" => Ok(Precision::F16),
            _ => Err(Error::configuration("precision", "f32 or f16", format!("{name:?}"))),
        }
    }
}

/// How a launch's numbers are stored: everything in f32, unless told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Storage {
    /// One bit for each binding in half precision.
    halves: u16,
    scaled: bool,
}

impl Storage {
    /// The same with this binding in half precision.
    #[must_use]
    pub fn with_half(self, binding: usize) -> Self {
        Storage { halves: self.halves | 1 << binding, ..self }
    }

    /// The same with gradients of activations that carry the loss scale, which a launch that has to do with them binds
    /// too, last.
    #[must_use]
    pub fn with_scale(self) -> Self {
        Storage { scaled: true, ..self }
    }

    /// Whether gradients of activations carry the loss scale.
    pub fn is_scaled(self) -> bool {
        self.scaled
    }

    /// Whether this binding is in half precision.
    pub fn is_half(self, binding: usize) -> bool {
        self.halves >> binding & 1 == 1
    }

    /// Whether any binding is.
    pub fn has_halves(self) -> bool {
        self.halves != 0
    }
}

/// The value as half precision can hold it, but not yet rounded: what is beyond its range becomes its largest number.
pub(crate) fn within<F: Real>(value: F) -> F {
    let largest = F::of(LARGEST_HALF);
    // Not clamp: a NaN stays one.
    if value.abs() > largest { largest * value.signum() } else { value }
}

/// Numbers in half precision, each rounded to the nearest, two a word as a device has them.
pub fn pack_halves(values: &[f32]) -> Vec<u32> {
    let bits = |value: Option<&f32>| u32::from(value.map_or(0, |&value| f16::from_f32(value).to_bits()));
    values.chunks(2).map(|pair| bits(pair.first()) | bits(pair.get(1)) << 16).collect()
}

/// The numbers of words that hold two halves each, exactly.
pub fn unpack_halves(words: &[u32]) -> Vec<f32> {
    let number = |bits: u32| f16::from_bits(bits as u16).to_f32();
    words.iter().flat_map(|&word| [number(word & 0xffff), number(word >> 16)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_come_back_rounded_to_eleven_bits() {
        let values = [0.0, -1.0, 0.1, 65504.0, 2.0f32.powi(-24), f32::INFINITY];
        let words = pack_halves(&values);
        assert_eq!(words.len(), 3);
        assert_eq!(words[0], 0xbc00_0000);
        assert_eq!(unpack_halves(&words), [0.0, -1.0, 0.099_975_586, 65504.0, 2.0f32.powi(-24), f32::INFINITY]);
        assert_eq!(pack_halves(&[1.0]), [0x3c00]);
    }

    #[test]
    fn what_is_out_of_range_becomes_the_largest_and_a_nan_stays_one() {
        assert_eq!([within(65504.0f32), within(1e9), within(f64::NEG_INFINITY as f32)], [65504.0, 65504.0, -65504.0]);
        assert!(within(f64::NAN).is_nan());
    }

    #[test]
    fn bindings_are_told_apart() {
        let storage = Storage::default().with_half(1).with_half(5);
        let halves: Vec<_> = (0..8).filter(|&binding| storage.is_half(binding)).collect();
        assert_eq!(halves, [1, 5]);
        assert!(storage.has_halves() && !Storage::default().has_halves());
    }
}
