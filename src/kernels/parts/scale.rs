//! The loss scale: what gradients of activations are multiplied by while they are stored in half precision, so that small
//! ones do not vanish; weight gradients are divided by it again. It is a power of two, so scaling rounds nothing. It
//! lives on the device and finds its size there: a gradient beyond half precision's range is stored as its largest number
//! and marks the step as saturated, after which the scale is halved; a long row of steps without any doubles it.
//! The mirror of `shaders/parts/scale_*.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::storage::{LARGEST_HALF, Storage, within};
pub use crate::kernels::operation::Gradients;
use crate::kernels::{Input, Kernel, Output, Real};
use crate::step::StepBlock;

/// Keras's `initial_scale` of its `LossScaleOptimizer`.
pub(crate) const INITIAL: f32 = 32_768.0;

/// Steps without saturation after which the scale is doubled: Keras's `dynamic_growth_steps`.
pub(crate) const GROWTH_STEPS: u32 = 2000;

/// Between these the scale stays. At the upper one what is lost is below 2⁻⁴⁸, at the lower one what is clipped beyond 2⁴⁰:
/// no gradient that a training lives on is.
pub(crate) const SMALLEST: f32 = 1.0 / 16_777_216.0;
pub(crate) const LARGEST: f32 = 16_777_216.0;

/// The loss scale's block, as `shaders/parts/scale_*.wgsl` see it word by word.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct LossScale {
    /// What gradients are multiplied by, a power of two.
    pub scale: f32,
    /// Its reciprocal, exactly.
    pub inverse: f32,
    /// Steps since the scale was changed.
    pub steps: u32,
    /// Not 0 if a gradient of this step was beyond half precision's range.
    pub saturated: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        LossScale::of(INITIAL)
    }
}

impl LossScale {
    /// How many 32-bit words the block has.
    pub const WORDS: usize = size_of::<LossScale>() / 4;

    /// The block that stands so many steps behind a change to this scale; `None` for what is not a power of two within the
    /// bounds, or would have been doubled by then.
    pub(crate) fn new(scale: f32, steps: u32) -> Option<Self> {
        let is_power = scale.is_sign_positive() && scale.to_bits() << 9 == 0;
        (is_power && (SMALLEST..=LARGEST).contains(&scale) && steps < GROWTH_STEPS)
            .then(|| LossScale { steps, ..LossScale::of(scale) })
    }

    fn of(scale: f32) -> Self {
        LossScale { scale, inverse: 1.0 / scale, steps: 0, saturated: 0 }
    }

    /// The block from its words.
    pub fn from_words(words: &[u32]) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words[..Self::WORDS]))
    }

    /// The block after the step.
    #[must_use]
    pub fn advance(self) -> Self {
        if self.saturated != 0 {
            LossScale::of((0.5 * self.scale).max(SMALLEST))
        } else if self.steps + 1 >= GROWTH_STEPS {
            LossScale::of((2.0 * self.scale).min(LARGEST))
        } else {
            LossScale { steps: self.steps + 1, ..self }
        }
    }
}

impl Kernel {
    /// [`Kernel::reference`] for numbers that are stored in this way. `inputs` and `outputs` are those of
    /// [`Kernel::bindings`], the loss scale among them where there is one; halves come as numbers. Rounding to half
    /// precision is left to whoever stores the outputs.
    pub fn reference_stored<F: Real>(
        &self,
        storage: Storage,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        let bindings = self.definition().bindings;
        if !storage.is_scaled() {
            self.reference(step, inputs, outputs);
        } else if let Gradients::Used(name) = self.gradients() {
            self.reference_unscaled(name, step, inputs, outputs);
        } else if let Some((block, outputs)) = outputs.split_last_mut() {
            let scale = LossScale::from_words(block.words());
            self.reference_scaled(F::of(scale.scale), step, inputs, outputs);
            if self.gradients() == Gradients::Counted {
                block.words().copy_from_slice(bytemuck::cast_slice(&[scale.advance()]));
            }
            let names = bindings.iter().filter(|binding| binding.is_output()).map(|binding| binding.name);
            for (name, output) in names.zip(outputs.iter_mut()) {
                let is_gradient = match self.gradients() {
                    Gradients::Made(made) => made.contains(&name),
                    Gradients::Passed(passed) => passed == name,
                    Gradients::None | Gradients::Used(_) | Gradients::Counted => false,
                };
                if is_gradient && is_saturated(output.floats()) {
                    block.words()[3] = 1;
                }
            }
        }
        let stored = bindings.iter().enumerate().filter(|(_, binding)| binding.is_output());
        for ((index, _), output) in stored.zip(outputs) {
            if storage.is_half(index) {
                output.floats().iter_mut().for_each(|value| *value = within(*value));
            }
        }
    }

    /// The gradients of parameters, from those of activations divided by the scale.
    fn reference_unscaled<F: Real>(
        &self,
        name: &str,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        let Some((block, others)) = inputs.split_last() else { return };
        let inverse = F::of(LossScale::from_words(block.words()).inverse);
        let reads = self.definition().bindings.iter().filter(|binding| binding.is_input());
        let Some(index) = reads.clone().position(|binding| binding.name == name) else { return };
        let unscaled: Vec<F> = others[index].floats().iter().map(|&value| value * inverse).collect();
        let mut others = others.to_vec();
        others[index] = Input::Floats(&unscaled);
        self.reference(step, &others, outputs);
    }
}

fn is_saturated<F: Real>(values: &[F]) -> bool {
    values.iter().any(|value| value.abs() > F::of(LARGEST_HALF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_halved_at_once_and_doubled_after_many_good_steps() {
        let mut block = LossScale::default();
        for _ in 1..GROWTH_STEPS {
            block = block.advance();
        }
        assert_eq!((block.scale, block.steps), (INITIAL, GROWTH_STEPS - 1));
        block = block.advance();
        assert_eq!(block, LossScale { scale: 65_536.0, inverse: 1.0 / 65_536.0, steps: 0, saturated: 0 });
        block.saturated = 1;
        assert_eq!(block.advance(), LossScale { scale: INITIAL, inverse: 1.0 / INITIAL, steps: 0, saturated: 0 });
    }

    #[test]
    fn a_scale_is_a_power_of_two() {
        assert_eq!(LossScale::new(INITIAL, 0), Some(LossScale::default()));
        assert_eq!(LossScale::new(SMALLEST, 3).map(|block| block.inverse), Some(LARGEST));
        for wrong in [0.0, -1.0, 3.0, f32::NAN, f32::INFINITY, 2.0 * LARGEST, 0.5 * SMALLEST] {
            assert_eq!(LossScale::new(wrong, 0), None, "{wrong}");
        }
        assert_eq!(LossScale::new(INITIAL, GROWTH_STEPS), None);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let smallest = LossScale { saturated: 1, ..LossScale::of(SMALLEST) };
        assert_eq!(smallest.advance(), LossScale::of(SMALLEST));
        let largest = LossScale { steps: GROWTH_STEPS, ..LossScale::of(LARGEST) };
        assert_eq!(largest.advance(), LossScale::of(LARGEST));
    }
}
