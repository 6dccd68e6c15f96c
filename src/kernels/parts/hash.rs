//! Random words as a hash of their place: the mirror of `shaders/parts/hash.wgsl`. Nothing is carried along, stored, or
//! drawn in an order, so a backward pass has the words of its forward pass again, every device has the same, and so has a
//! training that goes on from a file.
//!
//! The hash is pcg4d (Jarzynski and Olano, Hash Functions for GPU Rendering, 2020): twelve multiplications for four words,
//! 128 bits to 128 bits and one to one, so that row and column need not be squeezed into one number, which would overflow.

use crate::random::Random;
use crate::shader::Header;
use crate::step::StepBlock;

/// Streams of random numbers from here on are those of layers; initializers have the first ones.
const LAYER_STREAMS: u64 = 1 << 32;

/// Whose random words: a layer's in a model with this seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draws {
    /// The model's seed.
    pub seed: u64,
    /// Which of the model's layers draws.
    pub layer: u32,
}

impl Draws {
    /// The word that stands for both.
    fn key(self) -> u32 {
        (Random::new(self.seed, LAYER_STREAMS + u64::from(self.layer)).bits() >> 32) as u32
    }

    pub(crate) fn header(self, header: &mut Header) {
        header.number("KEY", self.key() as usize);
    }

    /// The words of one batch.
    pub(crate) fn of_batch(self, step: &StepBlock) -> BatchDraws {
        BatchDraws { key: self.key(), batch: batch_number(step) }
    }
}

/// Which training batch this is.
fn batch_number(step: &StepBlock) -> u32 {
    step.batch
}

/// A batch's random words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchDraws {
    key: u32,
    batch: u32,
}

impl BatchDraws {
    /// The words of the numbers in block `column` of row `row`.
    #[inline(always)]
    pub(crate) fn words(self, row: u32, column: u32) -> [u32; 4] {
        let spread = |word: u32| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let first = mixed([column, row, self.batch, self.key].map(spread));
        mixed(first.map(|word| word ^ (word >> 16)))
    }
}

#[inline(always)]
fn mixed([mut x, mut y, mut z, mut w]: [u32; 4]) -> [u32; 4] {
    x = x.wrapping_add(y.wrapping_mul(w));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    w = w.wrapping_add(y.wrapping_mul(z));
    [x, y, z, w]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of a batch's numbers is in the upper half, as ±1.
    fn signs(draws: Draws, batch: u32) -> Vec<f64> {
        let batch = draws.of_batch(&StepBlock { batch, ..StepBlock::default() });
        let words = (0..64).flat_map(|row| (0..16).flat_map(move |column| batch.words(row, column)));
        words.map(|word| if word >= 1 << 31 { 1.0 } else { -1.0 }).collect()
    }

    /// What correlation of so many numbers is in units of its standard deviation.
    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let pairs = a.len().min(b.len());
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (pairs as f64).sqrt()
    }

    #[test]
    fn the_hash_is_pcg4d() {
        // From the paper's formula, computed by another program.
        let words = |[column, row, batch, key]: [u32; 4]| BatchDraws { key, batch }.words(row, column);
        assert_eq!(words([1, 2, 3, 4]), [908_250_390, 4_044_648_920, 3_775_961_919, 45_698_095]);
        assert_eq!(words([0, 0, 0, 0]), [251_852_841, 760_645_481, 850_445_371, 3_542_436_074]);
    }

    #[test]
    fn words_repeat_and_those_of_other_batches_layers_and_seeds_are_others() {
        let draws = Draws { seed: 7, layer: 1 };
        let own = signs(draws, 5);
        assert_eq!(own, signs(draws, 5));
        let others = [signs(draws, 6), signs(Draws { layer: 2, ..draws }, 5), signs(Draws { seed: 8, ..draws }, 5)];
        for other in others {
            let found = correlation(&own, &other);
            assert!(found.abs() < 4.5, "{found} standard deviations");
        }
    }

    #[test]
    fn neighbours_are_independent() {
        let all: Vec<_> = (0..16).flat_map(|number| signs(Draws { seed: 3, layer: 0 }, number)).collect();
        let mean = correlation(&all, &vec![1.0; all.len()]);
        assert!(mean.abs() < 4.5, "{mean} standard deviations from one half");
        // The next numbers of a row, of a column, the other way across, and the same of the next batch.
        for lag in (1..=8).chain([63, 64, 65, 128, 4096, 4097]) {
            let found = correlation(&all, &all[lag..]);
            assert!(found.abs() < 4.5, "{found} standard deviations at distance {lag}");
        }
    }
}
