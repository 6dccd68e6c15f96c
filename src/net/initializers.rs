//! How kernels start. Plain data, and the one function that draws the numbers.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The distribution that a kernel [in, out] is drawn from; names and formulas are Keras's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Initializer {
    /// Uniform in ±√(6 / (in + out)); Keras's default for `Dense` (Glorot & Bengio 2010).
    #[default]
    GlorotUniform,
    /// Normal with variance 2 / (in + out), cut at two standard deviations.
    GlorotNormal,
    /// Uniform in ±√(6 / in) (He et al. 2015).
    HeUniform,
    /// Normal with variance 2 / in, cut at two standard deviations.
    HeNormal,
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
}

/// The standard deviation of a standard normal cut at ±2: drawing must be that much wider to keep the variance.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// Whether its numbers are drawn.
    pub(crate) fn is_random(self) -> bool {
        !matches!(self, Initializer::Zeros | Initializer::Ones)
    }

    /// Draws the next number of a kernel with `inputs` rows and `outputs` columns.
    pub(crate) fn draw(self, random: &mut Random, inputs: usize, outputs: usize) -> f32 {
        let (inputs, both) = (inputs as f64, (inputs + outputs) as f64);
        match self {
            Initializer::GlorotUniform => symmetric(random, (6.0 / both).sqrt()),
            Initializer::HeUniform => symmetric(random, (6.0 / inputs).sqrt()),
            Initializer::GlorotNormal => cut_normal(random, (2.0 / both).sqrt()),
            Initializer::HeNormal => cut_normal(random, (2.0 / inputs).sqrt()),
            Initializer::Zeros => 0.0,
            Initializer::Ones => 1.0,
        }
    }
}

fn symmetric(random: &mut Random, limit: f64) -> f32 {
    random.uniform(-limit as f32, limit as f32)
}

fn cut_normal(random: &mut Random, deviation: f64) -> f32 {
    loop {
        let z = random.normal();
        if z.abs() <= 2.0 {
            return (f64::from(z) * deviation / CUT_DEVIATION) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_those_of_the_papers() {
        for (initializer, variance) in [
            (Initializer::GlorotUniform, 2.0 / 400.0),
            (Initializer::GlorotNormal, 2.0 / 400.0),
            (Initializer::HeUniform, 2.0 / 300.0),
            (Initializer::HeNormal, 2.0 / 300.0),
        ] {
            let mut random = Random::new(5, 0);
            let n = 100_000;
            let squares: f64 = (0..n).map(|_| f64::from(initializer.draw(&mut random, 300, 100)).powi(2)).sum();
            let found = squares / f64::from(n);
            assert!((found / variance - 1.0).abs() < 0.03, "{initializer:?}: {found} instead of {variance}");
        }
    }
}
