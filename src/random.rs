//! Random numbers as a hash of (seed, stream, counter): no state to carry, the same numbers on every machine and in
//! every release. A general-purpose crate promises neither the one nor the other, and a seed that reproduces a training
//! is part of this crate's contract.
//!
//! The hash is SplitMix64's finaliser (Steele, Lea & Flood 2014), applied to the counter times the golden-ratio
//! constant; it passes BigCrush as a generator.

/// One independent stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: u64,
    counter: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream numbered `stream` of `seed`. Streams of one seed are independent of each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Random {
            key: mix(seed.wrapping_add(GOLDEN)) ^ mix(mix(stream.wrapping_add(GOLDEN)).wrapping_add(1)),
            counter: 0,
        }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(GOLDEN);
        mix(self.key.wrapping_add(self.counter))
    }

    /// Uniform in [0, 1), with 24 random bits: every value is a multiple of 2⁻²⁴.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [low, high).
    pub(crate) fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..bound, without bias that could be measured (Lemire 2019, without the rejection step: the bias is
    /// below bound / 2⁶⁴).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Standard normal, by Box and Muller's transform.
    pub(crate) fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - f64::from(self.unit())).ln()).sqrt();
        (radius * (std::f64::consts::TAU * f64::from(self.unit())).cos()) as f32
    }

    /// Shuffles in place (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let take = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [(); 8].map(|()| random.bits())
        };
        assert_eq!(take(7, 0), take(7, 0));
        assert_ne!(take(7, 0), take(7, 1));
        assert_ne!(take(7, 0), take(8, 0));
        assert_ne!(take(0, 1), take(1, 0));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(1, 2);
        let n = 200_000;
        let mean = (0..n).map(|_| f64::from(random.uniform(-1.0, 3.0))).sum::<f64>() / f64::from(n);
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let squares = (0..n).map(|_| f64::from(random.normal()).powi(2)).sum::<f64>() / f64::from(n);
        assert!((squares - 1.0).abs() < 0.02, "{squares}");
    }

    #[test]
    fn shuffle_is_a_permutation_that_moves() {
        let mut items: Vec<u32> = (0..1000).collect();
        Random::new(3, 0).shuffle(&mut items);
        let fixed = items.iter().enumerate().filter(|&(i, &x)| i as u32 == x).count();
        assert!(fixed < 10, "{fixed} items stayed");
        items.sort_unstable();
        assert!(items.iter().enumerate().all(|(i, &x)| i as u32 == x));
    }
}
