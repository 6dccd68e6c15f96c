//! How tensors start. Plain data, and the one function that makes the numbers.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::random::Random;

/// What a tensor starts as: a kernel [in, out], or a vector, whose *in* and *out* are both its length. Names, formulas and
/// defaults are Keras's.
///
/// ```
/// use wgrad::{Dense, Initializer};
///
/// let layer = Dense::new(64)
///     .kernel_initializer(Initializer::Orthogonal { gain: 1.0 })
///     .bias_initializer(Initializer::Constant(0.1));
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Uniform in ±√(3 / in) (LeCun et al. 1998).
    LecunUniform,
    /// Normal with variance 1 / in, cut at two standard deviations.
    LecunNormal,
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
    /// This number everywhere.
    Constant(f32),
    /// Uniform from `min` up to, not including, `max`; Keras's are −0.05 and 0.05.
    RandomUniform {
        /// The least.
        min: f32,
        /// Above all.
        max: f32,
    },
    /// Normal; Keras's mean is 0 and its standard deviation 0.05.
    RandomNormal {
        /// Where the middle is.
        mean: f32,
        /// The standard deviation.
        stddev: f32,
    },
    /// Normal, drawn again where a number is further than two standard deviations from the mean. So its own deviation is 0.88
    /// of `stddev`, as in Keras.
    TruncatedNormal {
        /// Where the middle is.
        mean: f32,
        /// The standard deviation before the cut.
        stddev: f32,
    },
    /// A matrix whose columns (or rows, where there are fewer) are orthogonal and `gain` long, of normal numbers (Saxe et al.
    /// 2014). Kernels only. It takes in·out·min(in, out) steps.
    Orthogonal {
        /// The length of each.
        gain: f32,
    },
    /// `gain` where row and column have the same number, zero elsewhere. Kernels only.
    Identity {
        /// What is on the diagonal.
        gain: f32,
    },
    /// These numbers, row after row. They are part of the description, and so of files: for a large tensor call
    /// [`Model::set_parameters`](crate::Model::set_parameters) instead.
    Values(Vec<f32>),
}

/// The standard deviation of a standard normal cut at ±2: drawing must be that much wider to keep the variance.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    pub(crate) fn zeros() -> Self {
        Initializer::Zeros
    }

    pub(crate) fn is_zeros(&self) -> bool {
        *self == Initializer::Zeros
    }

    pub(crate) fn is_ones(&self) -> bool {
        *self == Initializer::Ones
    }

    /// Whether its numbers are drawn.
    pub(crate) fn is_random(&self) -> bool {
        use Initializer::{Constant, Identity, Ones, Values, Zeros};
        !matches!(self, Zeros | Ones | Constant(_) | Identity { .. } | Values(_))
    }

    /// Whether it makes numbers of this shape; `tensor` is for messages: `dense_0.kernel`.
    pub(crate) fn validate(&self, tensor: &str, shape: &[usize]) -> Result<()> {
        let refused =
            |expected: &str, found: f32| Err(Error::configuration(format!("start of {tensor}"), expected, found));
        match self {
            Initializer::RandomUniform { min, max } if !(min.is_finite() && max.is_finite() && min <= max) => {
                refused("a finite max that is not below min", *max)
            }
            Initializer::RandomNormal { mean, stddev } | Initializer::TruncatedNormal { mean, stddev } => {
                match (mean.is_finite(), stddev.is_finite() && *stddev >= 0.0) {
                    (true, true) => Ok(()),
                    (false, _) => refused("a finite mean", *mean),
                    (_, false) => refused("a finite stddev that is not negative", *stddev),
                }
            }
            Initializer::Constant(number) if !number.is_finite() => refused("a finite number", *number),
            Initializer::Orthogonal { gain } | Initializer::Identity { gain } => {
                if !gain.is_finite() {
                    return refused("a finite gain", *gain);
                }
                let expected = "a matrix; a vector has no orthogonal or identity start, take another initializer";
                match shape.len() {
                    2 => Ok(()),
                    _ => Err(Error::shape(format!("start of {tensor}"), expected, format!("shape {shape:?}"))),
                }
            }
            Initializer::Values(values) => {
                let count = shape.iter().product::<usize>();
                if values.len() != count {
                    return Err(Error::shape(format!("start of {tensor}"), format!("{count} numbers"), values.len()));
                }
                values.iter().find(|value| !value.is_finite()).map_or(Ok(()), |&value| refused("finite numbers", value))
            }
            _ => Ok(()),
        }
    }

    /// The numbers of a tensor, row after row.
    pub(crate) fn numbers(&self, random: &mut Random, shape: &[usize]) -> Vec<f32> {
        let (columns, count) = (shape.last().copied().unwrap_or(0), shape.iter().product::<usize>());
        let rows = shape.first().copied().unwrap_or(0);
        let (inputs, both) = (rows as f64, (rows + columns) as f64);
        let mut drawn = |number: &mut dyn FnMut(&mut Random) -> f32| (0..count).map(|_| number(random)).collect();
        let mut uniform = |limit: f64| drawn(&mut |random| symmetric(random, limit));
        match *self {
            Initializer::GlorotUniform => uniform((6.0 / both).sqrt()),
            Initializer::HeUniform => uniform((6.0 / inputs).sqrt()),
            Initializer::LecunUniform => uniform((3.0 / inputs).sqrt()),
            Initializer::GlorotNormal => drawn(&mut |random| wide_normal(random, (2.0 / both).sqrt())),
            Initializer::HeNormal => drawn(&mut |random| wide_normal(random, (2.0 / inputs).sqrt())),
            Initializer::LecunNormal => drawn(&mut |random| wide_normal(random, (1.0 / inputs).sqrt())),
            Initializer::RandomUniform { min, max } => drawn(&mut |random| random.uniform(min, max)),
            Initializer::RandomNormal { mean, stddev } => drawn(&mut |random| mean + stddev * random.normal()),
            Initializer::TruncatedNormal { mean, stddev } => drawn(&mut |random| mean + stddev * cut_normal(random)),
            Initializer::Orthogonal { gain } => orthogonal(random, rows, columns, gain),
            Initializer::Identity { gain } => {
                (0..count).map(|at| if at / columns == at % columns { gain } else { 0.0 }).collect()
            }
            Initializer::Zeros => vec![0.0; count],
            Initializer::Ones => vec![1.0; count],
            Initializer::Constant(number) => vec![number; count],
            Initializer::Values(ref values) => values.clone(),
        }
    }
}

fn symmetric(random: &mut Random, limit: f64) -> f32 {
    random.uniform(-limit as f32, limit as f32)
}

/// A standard normal number that is not beyond ±2.
fn cut_normal(random: &mut Random) -> f32 {
    loop {
        let z = random.normal();
        if z.abs() <= 2.0 {
            return z;
        }
    }
}

/// Cut at twice what is so much wider that this deviation is left.
fn wide_normal(random: &mut Random, deviation: f64) -> f32 {
    (f64::from(cut_normal(random)) * deviation / CUT_DEVIATION) as f32
}

/// Normal numbers, each column less its share along those before (Gram and Schmidt; twice, which makes them orthogonal to
/// f64's rounding). It is the Q of a QR decomposition whose R has a positive diagonal, which is what Keras makes of its own.
fn orthogonal(random: &mut Random, rows: usize, columns: usize, gain: f32) -> Vec<f32> {
    let (length, count) = (rows.max(columns), rows.min(columns));
    let mut vectors: Vec<Vec<f64>> = vec![vec![0.0; length]; count];
    for row in 0..length {
        vectors.iter_mut().for_each(|vector| vector[row] = f64::from(random.normal()));
    }
    for index in 0..count {
        let (before, rest) = vectors.split_at_mut(index);
        let Some(vector) = rest.first_mut() else { break };
        for _ in 0..2 {
            for other in before.iter() {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
            let size = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|a| *a /= size);
        }
    }
    let at = |row: usize, column: usize| if rows < columns { vectors[row][column] } else { vectors[column][row] };
    (0..rows * columns).map(|place| gain * at(place / columns, place % columns) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and mean square of what is drawn for this shape.
    fn moments(initializer: &Initializer, shape: &[usize]) -> (f64, f64) {
        let numbers = initializer.numbers(&mut Random::new(5, 0), shape);
        let mean_of = |power| numbers.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / numbers.len() as f64;
        (mean_of(1), mean_of(2))
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        let cut = CUT_DEVIATION * CUT_DEVIATION;
        for (initializer, variance, mean) in [
            (Initializer::GlorotUniform, 2.0 / 400.0, 0.0),
            (Initializer::GlorotNormal, 2.0 / 400.0, 0.0),
            (Initializer::HeUniform, 2.0 / 300.0, 0.0),
            (Initializer::HeNormal, 2.0 / 300.0, 0.0),
            (Initializer::LecunUniform, 1.0 / 300.0, 0.0),
            (Initializer::LecunNormal, 1.0 / 300.0, 0.0),
            (Initializer::RandomUniform { min: -0.1, max: 0.3 }, 0.16 / 12.0, 0.1),
            (Initializer::RandomNormal { mean: 0.2, stddev: 0.3 }, 0.09, 0.2),
            (Initializer::TruncatedNormal { mean: -0.1, stddev: 0.2 }, 0.04 * cut, -0.1),
            (Initializer::Orthogonal { gain: 2.0 }, 4.0 / 300.0, 0.0),
        ] {
            let (found_mean, squares) = moments(&initializer, &[300, 100]);
            // Of 30,000 numbers: six deviations of the mean, and of a variance of normal numbers at most.
            let close = (found_mean - mean).abs() < 6.0 * (variance / 30_000.0_f64).sqrt();
            assert!(close, "{initializer:?}: a mean of {found_mean}");
            let found = squares - found_mean * found_mean;
            assert!((found / variance - 1.0).abs() < 0.05, "{initializer:?}: {found} instead of {variance}");
        }
        // A vector counts as in and out.
        let (_, squares) = moments(&Initializer::HeUniform, &[20_000]);
        assert!((squares * 10_000.0 - 1.0).abs() < 0.05, "{squares}");
    }

    #[test]
    fn numbers_that_are_cut_stay_within_two_deviations() {
        let numbers = |initializer: Initializer| initializer.numbers(&mut Random::new(9, 0), &[200, 100]);
        let largest = |numbers: Vec<f32>| numbers.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        let found = largest(numbers(Initializer::TruncatedNormal { mean: 0.0, stddev: 0.5 }));
        assert!((0.99..=1.0).contains(&found), "{found}");
        let found = f64::from(largest(numbers(Initializer::HeNormal)));
        let bound = 2.0 * (2.0 / 200.0_f64).sqrt() / CUT_DEVIATION;
        assert!(found <= bound * 1.000_001 && found > 0.99 * bound, "{found}");
    }

    #[test]
    fn orthogonal_is_orthogonal() {
        for (rows, columns) in [(7, 4), (4, 7), (5, 5), (40, 30)] {
            let q = Initializer::Orthogonal { gain: 0.5 }.numbers(&mut Random::new(3, 1), &[rows, columns]);
            let at = |row: usize, column: usize| f64::from(q[row * columns + column]);
            let count = rows.min(columns);
            for (i, j) in (0..count).flat_map(|i| (0..count).map(move |j| (i, j))) {
                let product: f64 = match rows < columns {
                    true => (0..columns).map(|k| at(i, k) * at(j, k)).sum(),
                    false => (0..rows).map(|k| at(k, i) * at(k, j)).sum(),
                };
                let expected = if i == j { 0.25 } else { 0.0 };
                assert!((product - expected).abs() < 1e-7, "{rows}x{columns} {i} {j}: {product}");
            }
        }
    }

    #[test]
    fn what_is_given_comes_out() {
        let numbers = |initializer: Initializer, shape: &[usize]| initializer.numbers(&mut Random::new(0, 0), shape);
        assert_eq!(numbers(Initializer::Identity { gain: 3.0 }, &[2, 3]), [3.0, 0.0, 0.0, 0.0, 3.0, 0.0]);
        assert_eq!(numbers(Initializer::Constant(0.5), &[2]), [0.5, 0.5]);
        assert_eq!(numbers(Initializer::Values(vec![1.0, 2.0]), &[2]), [1.0, 2.0]);
        for (initializer, shape, what) in [
            (Initializer::Values(vec![1.0]), &[2][..], "2 numbers"),
            (Initializer::Values(vec![1.0, f32::NAN]), &[2], "finite numbers"),
            (Initializer::Orthogonal { gain: 1.0 }, &[2], "a matrix"),
            (Initializer::Identity { gain: f32::NAN }, &[2, 2], "finite gain"),
            (Initializer::RandomUniform { min: 1.0, max: 0.0 }, &[2], "not below min"),
            (Initializer::RandomNormal { mean: 0.0, stddev: -1.0 }, &[2], "stddev"),
            (Initializer::TruncatedNormal { mean: f32::NAN, stddev: 1.0 }, &[2], "mean"),
            (Initializer::Constant(f32::INFINITY), &[2], "finite number"),
        ] {
            let refused = initializer.validate("dense_0.bias", shape).unwrap_err().to_string();
            assert!(refused.contains(what) && refused.contains("start of dense_0.bias"), "{refused}");
        }
    }
}
