//! Normal numbers from random words, by Box and Muller's transform: the mirror of `shaders/parts/noise.wgsl`.
//!
//! [`exact`] is the formula with the library's logarithm, sine and cosine. [`normal_numbers`] has the shader's series in
//! their place, which vectors can hold, and is within 1e-5 of it. No number is further from zero than 5.77, where
//! u = 2⁻²⁴ ends: of 10⁸ normal numbers one would be.

use crate::kernels::Real;

const LN_2: f32 = std::f32::consts::LN_2;
const QUARTER_TURN: f64 = std::f64::consts::FRAC_PI_2;
const ROOT_HALF_BITS: i32 = 0x3f35_04f3;
/// 2⁻²⁴: words become numbers of 24 bits, which f32 holds.
const UNIT: f32 = 1.0 / 16_777_216.0;

/// u in (0, 1], an angle from −π/4 to π/4 in quarters of a turn, and how many quarters are to be added.
#[inline(always)]
fn places([first, second]: [u32; 2]) -> (f32, f32, u32) {
    let place = ((second << 2) >> 8) as f32 * UNIT;
    (((first >> 8) + 1) as f32 * UNIT, place - 0.5, second >> 30)
}

/// Two normal numbers from two words.
pub(crate) fn exact<F: Real>(words: [u32; 2]) -> [F; 2] {
    let (u, place, quarters) = places(words);
    let radius = (F::of(-2.0) * F::of(u).ln()).sqrt();
    let angle = F::near(QUARTER_TURN) * (F::of(place) + F::of(quarters as f32));
    [radius * angle.cos(), radius * angle.sin()]
}

/// The same by series.
#[inline(always)]
pub(crate) fn normal_numbers(words: [u32; 2]) -> [f32; 2] {
    let (u, place, quarters) = places(words);
    let radius = (-2.0 * natural_log(u)).sqrt();
    let angle = QUARTER_TURN as f32 * place;
    let a = angle * angle;
    let sine = angle * (1.0 + a * (-1.0 / 6.0 + a * (1.0 / 120.0 + a * (-1.0 / 5040.0 + a * (1.0 / 362_880.0)))));
    let cosine = 1.0 + a * (-0.5 + a * (1.0 / 24.0 + a * (-1.0 / 720.0 + a * (1.0 / 40_320.0))));
    let back = if quarters >= 2 { -radius } else { radius };
    let (across, up) = if quarters & 1 == 1 { (-sine, cosine) } else { (cosine, sine) };
    [back * across, back * up]
}

/// Of numbers from 2⁻²⁴ to 1: u = m·2ᵉ with m from √½ to √2, and ln m = 2·atanh s with s = (m − 1) / (m + 1).
#[inline(always)]
fn natural_log(u: f32) -> f32 {
    let bits = u.to_bits() as i32;
    let exponent = (bits - ROOT_HALF_BITS) >> 23;
    let m = f32::from_bits((bits - (exponent << 23)) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    LN_2 * exponent as f32 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_series_are_the_functions() {
        let mut random = Random::new(5, 0);
        let edges = [0, 1, 255, 256, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xb504_f333, u32::MAX];
        let pairs = edges.into_iter().flat_map(|first| edges.into_iter().map(move |second| [first, second]));
        for words in pairs.chain((0..100_000).map(|_| [random.bits() as u32, random.bits() as u32])) {
            let (found, expected) = (normal_numbers(words), exact::<f64>(words));
            for (found, expected) in found.into_iter().zip(expected) {
                let distance = (f64::from(found) - expected).abs();
                assert!(distance <= 2e-6 * (1.0 + expected.abs()), "{words:x?}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let mut random = Random::new(6, 0);
        let numbers: Vec<f64> = (0..200_000)
            .flat_map(|_| normal_numbers([random.bits() as u32, random.bits() as u32]))
            .map(f64::from)
            .collect();
        let mean_of = |power: i32| numbers.iter().map(|n| n.powi(power)).sum::<f64>() / numbers.len() as f64;
        // Standard deviations of these means: √(1, 2, 15, 96) / √400,000.
        for (power, expected, deviation) in [(1, 0.0, 1.0), (2, 1.0, 1.41), (3, 0.0, 3.88), (4, 3.0, 9.8)] {
            let found = (mean_of(power) - expected) / (deviation / 632.0);
            assert!(found.abs() < 4.5, "moment {power} is {found} standard deviations off");
        }
    }
}
