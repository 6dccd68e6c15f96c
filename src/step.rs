//! The step block: all that changes from one training step to the next, in one small struct that lives on the device and
//! is moved on there by `advance_step`. The host keeps a copy that it moves on by the same arithmetic, so it never has
//! to read the device's.

use bytemuck::{Pod, Zeroable};

/// The step block, laid out as `struct Step` in `shaders/parts/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct StepBlock {
    /// Updates made before this step.
    pub iteration: u32,
    /// Where this batch starts in the epoch's order.
    pub position: u32,
    /// Samples in this batch; 0 when the order is used up.
    pub rows: u32,
    /// Samples in the whole order.
    pub samples: u32,
    /// Rows of every batch but the last.
    pub batch_size: u32,
    /// Where this step's statistics go, modulo the number of slots.
    pub slot: u32,
    /// The learning rate η: `gather_batch` puts it there, from a ring that the host fills. What the host sends has none.
    pub learning_rate: f32,
    /// β₁ᵗ with t = iteration + 1; for Nadam the product of its μ₁ to μₜ, which is less, as β₁ warms up.
    pub beta_1_power: f32,
    /// β₂ᵗ with t = iteration + 1.
    pub beta_2_power: f32,
    /// Training batches before this step; more than the updates where gradients are accumulated.
    pub batch: u32,
    /// Batches whose gradients wait for the update to come.
    pub micro: u32,
    /// Batches of an update; 0 counts as 1.
    pub accumulate: u32,
    /// What is left of β₁'s warm-up after this update: 0.96ᵗ⁺¹ for Nadam, 0 where β₁ has none.
    pub warmup: f32,
}

/// What an update moves the step block's running products on by.
///
/// The power of β₁ is multiplied by β₁·(1 − ½·warmup), and `warmup` by its decay. Without a decay that is β₁ alone; with
/// Nadam's, 0.96, the product is that of its momentum schedule μₜ = β₁·(1 − ½·0.96ᵗ).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// β₁; 1 where there is none.
    pub beta_1: f32,
    /// β₂; 1 where there is none.
    pub beta_2: f32,
    /// How much of the warm-up of β₁ an update leaves; 0 where there is none.
    pub warmup_decay: f32,
}

/// The decay of Nadam's warm-up.
pub(crate) const WARMUP_DECAY: f32 = 0.96;

impl Betas {
    /// Of an optimizer that has neither.
    pub const NONE: Betas = Betas { beta_1: 1.0, beta_2: 1.0, warmup_decay: 0.0 };

    /// What β₁'s power is multiplied by next.
    fn factor(&self, warmup: f32) -> f32 {
        self.beta_1 * (1.0 - 0.5 * warmup)
    }
}

/// β₁ and β₂ without a warm-up.
impl From<(f32, f32)> for Betas {
    fn from((beta_1, beta_2): (f32, f32)) -> Self {
        Betas { beta_1, beta_2, warmup_decay: 0.0 }
    }
}

impl StepBlock {
    /// How many 32-bit words the block has.
    pub const WORDS: usize = size_of::<StepBlock>() / 4;

    /// The block at the start of a run over `samples` samples in batches of `batch_size`.
    pub fn start(self, samples: u32, batch_size: u32) -> Self {
        StepBlock { position: 0, samples, batch_size, rows: batch_size.min(samples), ..self }
    }

    /// Whether an update follows this step's batch, or waits for further ones.
    pub fn updates(&self) -> bool {
        self.micro + 1 >= self.accumulate
    }

    /// The block one step later. Powers of β are running products in f32, as the device keeps them; they and the iteration
    /// move with an update, all else with a batch.
    pub fn advance(self, betas: impl Into<Betas>) -> Self {
        let betas = betas.into();
        let position = self.position + self.rows;
        let next = StepBlock {
            slot: self.slot.wrapping_add(1),
            batch: self.batch.wrapping_add(1),
            position,
            rows: self.batch_size.min(self.samples - position),
            ..self
        };
        if !self.updates() {
            return StepBlock { micro: self.micro + 1, ..next };
        }
        StepBlock {
            micro: 0,
            iteration: self.iteration.wrapping_add(1),
            beta_1_power: self.beta_1_power * betas.factor(self.warmup),
            beta_2_power: self.beta_2_power * betas.beta_2,
            warmup: self.warmup * betas.warmup_decay,
            ..next
        }
    }

    /// All its words as numbers, in their order.
    pub(crate) fn numbers(&self) -> [f64; StepBlock::WORDS] {
        let words = bytemuck::cast::<StepBlock, [u32; StepBlock::WORDS]>(*self);
        let mut numbers = words.map(f64::from);
        for (at, float) in [
            (std::mem::offset_of!(StepBlock, learning_rate), self.learning_rate),
            (std::mem::offset_of!(StepBlock, beta_1_power), self.beta_1_power),
            (std::mem::offset_of!(StepBlock, beta_2_power), self.beta_2_power),
            (std::mem::offset_of!(StepBlock, warmup), self.warmup),
        ] {
            numbers[at / 4] = float.into();
        }
        numbers
    }

    /// The block of the step that follows `batches` batches and `iterations` updates, at the start of which nothing is bound:
    /// what [`StepBlock::advance`] would make of the first step's block in as many turns, to the bit, in milliseconds
    /// whatever the number, which may come from a file. β is from 0 to 1, as every optimizer has it.
    ///
    /// ```
    /// let step = wgrad::StepBlock::default().after(u32::MAX, u32::MAX, (0.9, 0.999));
    /// assert_eq!((step.iteration, step.slot), (u32::MAX, u32::MAX));
    /// ```
    pub fn after(self, batches: u32, iterations: u32, betas: impl Into<Betas>) -> Self {
        let betas = betas.into();
        let mut next = StepBlock {
            iteration: iterations,
            slot: batches,
            batch: batches,
            micro: batches.wrapping_sub(iterations.wrapping_mul(self.accumulate.max(1))),
            accumulate: self.accumulate,
            beta_1_power: betas.factor(betas.warmup_decay),
            beta_2_power: running_product(betas.beta_2, betas.beta_2, iterations),
            warmup: betas.warmup_decay * betas.warmup_decay,
            ..StepBlock { learning_rate: self.learning_rate, ..StepBlock::default() }
        };
        // While β₁ warms up every factor is another: some four hundred of Nadam's, then it is β₁ to the last bit.
        let mut left = iterations;
        while left > 0 && betas.factor(next.warmup) != betas.beta_1 {
            next.beta_1_power *= betas.factor(next.warmup);
            next.warmup *= betas.warmup_decay;
            left -= 1;
        }
        next.beta_1_power = running_product(next.beta_1_power, betas.beta_1, left);
        next.warmup = running_product(next.warmup, betas.warmup_decay, left);
        next
    }
}

/// `product`, multiplied `times` times by `beta` with f32's rounding after each.
///
/// As long as the product keeps its exponent, a multiplication takes a whole number of its last places off. That number
/// never grows as the product shrinks, so how often it stays the same is found by halving, and those turns are made in
/// one: a few thousand jumps for a binary exponent at most, of which there are 150.
fn running_product(mut product: f32, beta: f32, times: u32) -> f32 {
    let mut left = times;
    // The size of a fall in last places, while the exponent stays.
    let fall = |bits: u32| {
        let next = (f32::from_bits(bits) * beta).to_bits();
        (next >> 23 == bits >> 23).then(|| bits.checked_sub(next))?
    };
    while left > 0 {
        let (next, bits) = (product * beta, product.to_bits());
        if next.to_bits() == bits {
            break; // It changes no more.
        }
        let turns = match fall(bits) {
            Some(step) => {
                // Turns after which the exponent is still the same, and so the fall can be.
                let most = ((bits & 0x007f_ffff) / step).min(left);
                let same = |turns: u32| fall(bits - turns * step) == Some(step);
                let (mut known, mut beyond) = (0, most);
                while known < beyond {
                    let middle = known + (beyond - known).div_ceil(2);
                    if middle < left && same(middle) { known = middle } else { beyond = middle - 1 }
                }
                product = f32::from_bits(bits - known * step) * beta;
                known + 1
            }
            None => {
                product = next;
                1
            }
        };
        left -= turns;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_batch_is_smaller_and_then_there_is_none() {
        let mut step = StepBlock { beta_1_power: 0.5, ..StepBlock::default() }.start(10, 4);
        let mut seen = Vec::new();
        while step.rows > 0 {
            seen.push((step.position, step.rows));
            step = step.advance((0.5, 1.0));
        }
        assert_eq!(seen, [(0, 4), (4, 4), (8, 2)]);
        assert_eq!((step.iteration, step.slot, step.beta_1_power), (3, 3, 0.0625));
    }

    #[test]
    fn an_update_follows_as_many_batches_as_are_accumulated() {
        let mut step = StepBlock { accumulate: 3, beta_1_power: 0.5, ..StepBlock::default() }.start(10, 2);
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push((step.batch, step.micro, step.iteration, step.updates(), step.beta_1_power));
            step = step.advance((0.5, 1.0));
        }
        let expected = [
            (0, 0, 0, false, 0.5),
            (1, 1, 0, false, 0.5),
            (2, 2, 0, true, 0.5),
            (3, 0, 1, false, 0.25),
            (4, 1, 1, false, 0.25),
        ];
        assert_eq!(seen, expected);
        let start = StepBlock { accumulate: 3, ..StepBlock::default() };
        let later = start.after(5, 1, (0.5, 1.0));
        assert_eq!((later.batch, later.micro, later.iteration, later.slot), (5, 2, 1, 5));
        assert_eq!((later.beta_1_power, later.numbers()[0], later.numbers()[7]), (0.25, 1.0, 0.25));
    }

    #[test]
    fn any_number_of_updates_gives_the_bits_of_as_many_turns() {
        let turns = |beta: f32, times: u32| (0..times).fold(beta, |product, _| product * beta);
        let mut random = crate::random::Random::new(5, 0);
        let mut betas = vec![0.0, 0.5, 0.9, 0.999, 0.9999, 0.999_999_94, 1e-30, 1.0 - 3.0 * f32::EPSILON, 1.0];
        betas.extend((0..200).map(|_| 1.0 - random.unit().powi(3)));
        for beta in betas {
            for times in [0, 1, 2, 3, 10, 1000, 4097, random.below(200_000) as u32] {
                let (found, expected) = (running_product(beta, beta, times), turns(beta, times));
                assert_eq!(found.to_bits(), expected.to_bits(), "{beta} after {times}");
            }
        }
    }

    #[test]
    fn a_warm_up_goes_on_with_the_bits_of_as_many_turns() {
        let betas = Betas { beta_1: 0.9, beta_2: 0.999, warmup_decay: 0.96 };
        let mut step = StepBlock { accumulate: 1, ..StepBlock::default() }.after(0, 0, betas);
        assert_eq!((step.beta_1_power, step.warmup), (0.9 * (1.0 - 0.5 * 0.96), 0.96 * 0.96));
        for iterations in 0..3000 {
            let found = StepBlock { accumulate: 1, ..StepBlock::default() }.after(iterations, iterations, betas);
            assert_eq!(found, StepBlock { slot: iterations, ..step }, "after {iterations}");
            step = step.advance(betas);
        }
        let far = StepBlock::default().after(u32::MAX, u32::MAX, Betas { beta_1: 0.999_999_94, ..betas });
        assert!(far.beta_1_power > 0.0 && far.warmup < 1e-40);
    }

    #[test]
    fn a_number_of_updates_from_a_file_is_no_number_of_turns() {
        // It would be 1.2·10⁹ turns one by one; here the slowest betas of all take milliseconds.
        for places in [1, 2, 3, 100, 2000, 3000, 10_000] {
            let beta = 1.0 - places as f32 * f32::EPSILON / 2.0;
            let step = StepBlock { learning_rate: 0.5, ..StepBlock::default() }.after(u32::MAX, u32::MAX, (beta, beta));
            assert_eq!((step.iteration, step.slot, step.learning_rate), (u32::MAX, u32::MAX, 0.5));
            let last = step.beta_1_power;
            assert!((last * beta).to_bits() == last.to_bits(), "{places}: {last}");
        }
    }
}
