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
    /// The learning rate η.
    pub learning_rate: f32,
    /// β₁ᵗ with t = iteration + 1.
    pub beta_1_power: f32,
    /// β₂ᵗ with t = iteration + 1.
    pub beta_2_power: f32,
    /// Zero: a uniform buffer's size is a multiple of 16 bytes.
    pub reserved: [u32; 3],
}

impl StepBlock {
    /// How many 32-bit words the block has.
    pub const WORDS: usize = size_of::<StepBlock>() / 4;

    /// The block at the start of a run over `samples` samples in batches of `batch_size`.
    pub fn start(self, samples: u32, batch_size: u32) -> Self {
        StepBlock { position: 0, samples, batch_size, rows: batch_size.min(samples), ..self }
    }

    /// The block one step later. Powers of β are running products in f32, as the device keeps them.
    pub fn advance(self, beta_1: f32, beta_2: f32) -> Self {
        let position = self.position + self.rows;
        StepBlock {
            iteration: self.iteration.wrapping_add(1),
            slot: self.slot.wrapping_add(1),
            position,
            rows: self.batch_size.min(self.samples - position),
            beta_1_power: self.beta_1_power * beta_1,
            beta_2_power: self.beta_2_power * beta_2,
            ..self
        }
    }
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
            step = step.advance(0.5, 1.0);
        }
        assert_eq!(seen, [(0, 4), (4, 4), (8, 2)]);
        assert_eq!((step.iteration, step.slot, step.beta_1_power), (3, 3, 0.0625));
    }
}
