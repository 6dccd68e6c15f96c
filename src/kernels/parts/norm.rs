//! γ and β of a normalization, and where they stand: the mirror of `shaders/parts/norm.wgsl`.

use super::columns::zeroed;
use super::gradients::Kept;
use crate::cpu::Cpu;
use crate::kernels::{Real, padded};
use crate::shader::Header;

/// Where γ and β start in a layer's range of parameters, and so in that of their gradients: in numbers, multiples of four.
/// `None` for one that the layer does not have: Keras's `scale=False` and `center=False`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affine {
    /// Where γ starts, what normalized numbers are multiplied by.
    pub gamma: Option<usize>,
    /// Where β starts, what is then added.
    pub beta: Option<usize>,
}

impl Affine {
    pub(crate) fn header(self, header: &mut Header) {
        header
            .flag("HAS_GAMMA", self.gamma.is_some())
            .number("GAMMA_OFFSET", self.gamma.unwrap_or(0) / 4)
            .flag("HAS_BETA", self.beta.is_some())
            .number("BETA_OFFSET", self.beta.unwrap_or(0) / 4);
    }

    /// γ of a column, 1 without one.
    pub(crate) fn gamma_of<F: Real>(self, weights: &[F], column: usize) -> F {
        self.gamma.map_or(F::one(), |offset| weights[offset + column])
    }

    /// β of a column, 0 without one.
    pub(crate) fn beta_of<F: Real>(self, weights: &[F], column: usize) -> F {
        self.beta.map_or(F::zero(), |offset| weights[offset + column])
    }

    /// Writes what becomes of γ's and β's gradients, padding included.
    pub(crate) fn store<F: Real>(
        self,
        gradients: &mut [F],
        columns: usize,
        kept: Kept,
        [of_gamma, of_beta]: [&[F]; 2],
    ) {
        for (offset, values) in [(self.gamma, of_gamma), (self.beta, of_beta)] {
            let Some(offset) = offset else { continue };
            let place = &mut gradients[offset..][..padded(columns)];
            place[columns..].fill(F::zero());
            kept.keep(&mut place[..columns], values);
        }
    }

    /// What a number of each column is multiplied by once its mean is taken off: γ·inverse.
    pub(crate) fn factors(self, factors: &mut [f32], weights: &[f32], inverses: impl Iterator<Item = f32>) {
        factors.iter_mut().zip(inverses).for_each(|(factor, inverse)| *factor = inverse);
        if let Some(offset) = self.gamma {
            factors.iter_mut().zip(&weights[offset..]).for_each(|(factor, gamma)| *factor *= gamma);
        }
    }

    /// (x − mean)·γ·inverse + β for rows of x, mean and inverse being a column's: on the CPU device's threads.
    pub(crate) fn normalize(
        self,
        cpu: &mut Cpu,
        (rows, columns): (usize, usize),
        (x, weights): (&[f32], &[f32]),
        (means, inverses): (&[f32], impl Iterator<Item = f32>),
        y: &mut [f32],
    ) {
        let stride = padded(columns);
        let mut scratch = std::mem::take(&mut cpu.scratch);
        let [factors, betas] = zeroed(&mut scratch, stride);
        self.factors(&mut factors[..columns], weights, inverses);
        if let Some(offset) = self.beta {
            betas[..columns].copy_from_slice(&weights[offset..][..columns]);
        }
        let (y, padding) = y[..padded(rows) * stride].split_at_mut(rows * stride);
        padding.fill(0.0);
        let instructions = cpu.instructions();
        cpu.pool.for_rows(y, stride, |first, y| {
            instructions.dispatch(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_exact_mut(stride).zip(x[first * stride..].chunks_exact(stride)) {
                        let of_column = means.iter().zip(factors.iter().zip(&*betas));
                        for ((y, &x), (mean, (factor, beta))) in y.iter_mut().zip(x).zip(of_column).take(columns) {
                            *y = (x - mean) * factor + beta;
                        }
                    }
                },
            );
        });
        cpu.scratch = scratch;
    }
}
