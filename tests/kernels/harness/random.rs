//! Seeded numbers for tests: splitmix64, whose next state is a sum, so that the same seed gives the same case for ever.

/// A generator.
pub struct Random(u64);

impl Random {
    /// A generator of its own for each seed.
    pub fn new(seed: usize) -> Self {
        Random(seed as u64)
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 32) as u32
    }

    /// A number from `low` up to `high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.bits() >> 8) as f32 / (1 << 24) as f32
    }

    /// An index below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        self.bits() as usize % count
    }

    /// Numbers from `low` up to `high`.
    pub fn list(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.uniform(low, high)).collect()
    }
}
