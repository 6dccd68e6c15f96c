//! What the optimizers' updates share: the tensor table and the gradient as the optimizer sees it. The mirror of
//! `shaders/parts/update.wgsl`.

use super::{Binding, Input, Real, WORKGROUP};
use crate::shader::Header;
use crate::step::StepBlock;

/// Numbers between the starts of tensors in the parameter buffer: 256 bytes, the offset that every device accepts for a
/// binding.
pub const TENSOR_ALIGNMENT: usize = 64;

/// Words of a tensor's entry in the tensor table: L2 coefficient, weight decay, 1 if it is trained, clipping factor.
pub const TENSOR_ENTRY: usize = 4;

pub(crate) const GRADIENTS: Binding = Binding::read("gradients");
pub(crate) const TENSORS: Binding = Binding::read("tensors");
pub(crate) const TENSOR_OF: Binding = Binding::words("tensor_of");
pub(crate) const PARAMETERS: Binding = Binding::update("parameters");

/// What every update is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Common {
    /// Numbers in the parameter buffer.
    pub length: usize,
    /// Gradients are cut to ±this; 0 for not at all.
    pub clip_value: f32,
}

impl Common {
    pub(crate) fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", WORKGROUP).number("BLOCKS", self.length / 4).float("CLIP_VALUE", self.clip_value);
    }

    pub(crate) fn workgroups(&self) -> usize {
        (self.length / 4).div_ceil(WORKGROUP)
    }

    /// Calls `element(index, gradient, decayed parameter)` for every trained parameter; it gives the new parameter.
    #[inline(always)]
    pub(crate) fn each<F: Real>(
        &self,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        parameters: &mut [F],
        mut element: impl FnMut(usize, F, F) -> F,
    ) {
        let (gradients, tensors, tensor_of) = (inputs[0].floats(), inputs[1].floats(), inputs[2].words());
        for (run, &tensor) in tensor_of.iter().enumerate() {
            let entry = &tensors[tensor as usize * TENSOR_ENTRY..][..TENSOR_ENTRY];
            if entry[2] == F::zero() {
                continue;
            }
            let end = ((run + 1) * TENSOR_ALIGNMENT).min(self.length);
            for index in run * TENSOR_ALIGNMENT..end {
                let w = parameters[index];
                let g = self.gradient(gradients[index], w, entry);
                parameters[index] = element(index, g, w - w * entry[1] * F::of(step.learning_rate));
            }
        }
    }

    #[inline(always)]
    fn gradient<F: Real>(&self, gradient: F, parameter: F, entry: &[F]) -> F {
        let g = (gradient + F::of(2.0) * entry[0] * parameter) * entry[3];
        let limit = F::of(self.clip_value);
        if self.clip_value > 0.0 && g.abs() > limit { limit * g.signum() } else { g }
    }
}
