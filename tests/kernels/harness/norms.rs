//! What the normalizations' tests share: where γ and β stand, what they are, and how far off a mean, a deviation and what is
//! made of both may be.

use wgrad::StepBlock;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::{Kernel, padded};

use super::arrays::Place;
use super::{Array, Case, Output, POISON, Random, UNIT, sum_error};

/// Whether there is a γ, and a β.
pub const AFFINES: [(&str, bool, bool); 4] =
    [("both", true, true), ("gamma", true, false), ("beta", false, true), ("none", false, false)];

/// Rows and columns in double precision, as the bounds see them.
#[derive(Clone)]
pub struct Numbers {
    values: Vec<f64>,
    stride: usize,
}

impl Numbers {
    /// A matrix's numbers.
    pub fn of(array: &Array, columns: usize) -> Self {
        let values = array.words.iter().map(|&word| f64::from(f32::from_bits(word))).collect();
        Numbers { values, stride: padded(columns) }
    }

    /// One of them.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.stride + column]
    }
}

/// γ and β as a layer's range of parameters has them.
pub fn affine(columns: usize, gamma: bool, beta: bool) -> Affine {
    let behind = if gamma { padded(columns).next_multiple_of(64) } else { 0 };
    Affine { gamma: gamma.then_some(0), beta: beta.then_some(behind) }
}

/// The range with numbers in it; four that nobody may read where there is neither.
pub fn weights(affine: Affine, columns: usize, random: &mut Random) -> Array {
    let mut words = vec![POISON; 4];
    for offset in [affine.gamma, affine.beta].into_iter().flatten() {
        words.resize(words.len().max(offset), POISON);
        words.truncate(offset);
        let value = |column: usize, random: &mut Random| if column < columns { random.uniform(-1.5, 1.5) } else { 0.0 };
        words.extend((0..padded(columns)).map(|column| value(column, random).to_bits()));
    }
    Array::words(words)
}

/// γ of a column, as the bounds see it.
pub fn gamma_of(affine: Affine, weights: &Array, column: usize) -> f64 {
    affine.gamma.map_or(1.0, |offset| f64::from(weights.at(offset + column)))
}

/// β of a column.
pub fn beta_of(affine: Affine, weights: &Array, column: usize) -> f64 {
    affine.beta.map_or(0.0, |offset| f64::from(weights.at(offset + column)))
}

/// The range of the gradients, each with a bound of its own.
pub fn gradients(affine: Affine, columns: usize, [of_gamma, of_beta]: [Vec<f64>; 2]) -> Output {
    let list = || Output::list(columns, padded(columns), padded(columns));
    let found = match (affine.gamma, affine.beta) {
        (None, None) => return Output::dummy(),
        (Some(_), Some(behind)) => list().then(behind, list()),
        _ => list(),
    };
    found.within(move |at, _| match affine.beta {
        Some(offset) if at >= offset => of_beta[at - offset],
        _ => of_gamma[at],
    })
}

/// A case whose gradients, its last output, come on top of those of `micro` batches before, of three. What is added and
/// divided is rounded once each, besides what the gradients' own bound says.
pub fn accumulated(mut case: Case, kernel: Kernel, micro: u32) -> Case {
    let mut random = Random::new(micro as usize);
    case.kernel = kernel;
    case.step = StepBlock { micro, accumulate: 3, ..case.step };
    if let Some(Output { before, places, bound }) = case.outputs.pop() {
        let value = |(&before, place): (&u32, &Place)| match place {
            Place::Written => random.uniform(-1.0, 1.0).to_bits(),
            Place::Zero => 0,
            Place::Kept => before,
        };
        let before: Vec<u32> = before.iter().zip(&places).map(value).collect();
        let held = before.clone();
        let own = move |at: usize, sum: f64| {
            let before = f64::from(f32::from_bits(held[at]).abs());
            bound(at, sum) + 4.0 * UNIT * (before + 3.0 * sum.abs())
        };
        case.outputs.push(Output { before, places, bound: Box::new(own) });
    }
    case
}

/// A mean and a deviation as a device may find them.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// The exact mean.
    pub mean: f64,
    /// 1/√(variance + ε), exactly.
    pub inverse: f64,
    /// How far off the mean may be: the error of the sum, and the quotient's, relative to the mean size.
    pub mean_error: f64,
    /// How far off the variance may be. Its terms' errors (a difference from a mean, squared) and the sum's are relative;
    /// where the mean is off, what is summed is off by the square of that.
    pub variance_error: f64,
    /// How far off `inverse` may be, relative: half of what the variance is, for the root; 2 units in the last place for the
    /// root itself in WGSL, and ε's addition.
    pub inverse_error: f64,
    /// The exact variance.
    pub variance: f64,
}

impl Moments {
    /// Of some numbers.
    pub fn of(values: impl Iterator<Item = f64> + Clone, epsilon: f32) -> Self {
        let count = values.clone().count();
        let mean_of = |sum: f64| sum / count.max(1) as f64;
        let mean = mean_of(values.clone().sum());
        let variance = mean_of(values.clone().map(|value| (value - mean).powi(2)).sum());
        let error = sum_error(count) + 8.0 * UNIT;
        let mean_error = error * mean_of(values.map(f64::abs).sum());
        let variance_error = error * variance + mean_error * mean_error;
        let whole = variance + f64::from(epsilon);
        let inverse_error = 0.5 * variance_error / whole + 8.0 * UNIT;
        Moments { mean, inverse: whole.sqrt().recip(), mean_error, variance_error, inverse_error, variance }
    }

    /// How far off γ·(x − mean)·inverse + β may be: the mean's error and that of the difference, the inverse's and those of the
    /// products, and the last sum's.
    pub fn normalized_error(&self, x: f64, gamma: f64, beta: f64) -> f64 {
        let (distance, size) = ((x - self.mean).abs(), gamma.abs() * self.inverse);
        size * (self.mean_error + distance * (self.inverse_error + 6.0 * UNIT))
            + 2.0 * UNIT * (size * distance + beta.abs())
    }
}
