//! erfc = 1 − erf, which neither WGSL nor Rust's library has: for references exactly, elsewhere by the polynomial of
//! `shaders/parts/activation.wgsl`.

use std::f64::consts::PI;

/// What erfc(x)·exp(x²) is for x ≥ 0 as a polynomial in t = 1 / (1 + 0.41·x), without a constant term; fitted to the least of
/// the largest error of erfc, which is 1.2·10⁻⁸.
const COEFFICIENTS: [f32; 8] =
    [0.233_410_7, 0.214_563_46, 0.259_351_9, 0.141_100_26, -0.002_774_160_4, 0.379_820_2, -0.285_878_63, 0.060_406_275];

/// erfc by the polynomial: rounding makes its error 4·10⁻⁷ at most.
#[inline(always)]
pub(crate) fn by_polynomial(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.41 * size);
    let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let tail = sum * (-size * size).exp();
    if x < 0.0 { 2.0 - tail } else { tail }
}

/// erfc by erf's series 2/√π · Σ (−1)ⁿ·x²ⁿ⁺¹ / (n!·(2n + 1)) near zero, in the form without changing signs; further off by
/// its continued fraction exp(−x²)/√π / (x + ½/(x + 1/(x + 3⁄2/(x + …)))).
pub(crate) fn exact(x: f64) -> f64 {
    let size = x.abs();
    if size.is_nan() {
        return x;
    }
    let tail = if size < 2.5 {
        let (mut term, mut sum, mut n) = (size, size, 0.0);
        while term > 1e-17 * sum {
            n += 1.0;
            term *= 2.0 * size * size / (2.0 * n + 1.0);
            sum += term;
        }
        1.0 - 2.0 / PI.sqrt() * (-size * size).exp() * sum
    } else {
        let fraction = (1..120).rev().fold(size, |below, n| size + f64::from(n) / 2.0 / below);
        (-size * size).exp() / PI.sqrt() / fraction
    };
    if x < 0.0 { 2.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_has_the_values_of_tables() {
        for (x, erfc) in [
            (0.0, 1.0),
            (0.25, 0.723_673_609_831_763_1),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.4, 0.000_688_513_896_645_078_9),
            (2.6, 0.000_236_034_416_529_349),
            (4.0, 1.541_725_790_028_002e-8),
            (-1.0, 1.842_700_792_949_715),
            (-3.0, 1.999_977_909_503_001_4),
        ] {
            assert!((exact(x) - erfc).abs() < 1e-14, "{x}: {} for {erfc}", exact(x));
        }
        assert!((exact(2.5 - 1e-12) - exact(2.5)).abs() < 1e-14, "where the one takes over from the other");
        assert_eq!((exact(f64::INFINITY), exact(f64::NEG_INFINITY)), (0.0, 2.0));
        assert!(exact(f64::NAN).is_nan());
    }

    #[test]
    fn the_polynomial_is_as_near_as_is_said() {
        let places = (-60_000..=60_000).map(|place| place as f32 * 1e-4);
        for x in places.chain([1e-30, 30.0, 1e30, f32::INFINITY, f32::NEG_INFINITY]) {
            let (found, expected) = (by_polynomial(x), exact(f64::from(x)));
            assert!((f64::from(found) - expected).abs() <= 4e-7, "{x}: {found} for {expected}");
        }
        assert!(by_polynomial(f32::NAN).is_nan());
    }
}
