//! What the optimizers' updates share: the tensor table and the gradient as the optimizer sees it. The mirror of
//! `shaders/parts/update.wgsl`.

use crate::cpu::Cpu;
use crate::kernels::{Binding, Input, Output, Real, WORKGROUP};
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

    /// Calls `body(at, gradients, parameters)` for each run of a trained tensor's numbers: `at` is where the run starts
    /// in `parameters`, which itself starts at `start` of the whole buffer; the parameters are decayed already, and what
    /// `body` makes of them is their new value. Fixed lengths let the compiler use whole vectors.
    #[inline(always)]
    pub(crate) fn each<F: Real>(
        &self,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        start: usize,
        parameters: &mut [F],
        mut body: impl FnMut(usize, &Run<F>, &mut Run<F>),
    ) {
        let (gradients, tensors, tensor_of) = (inputs[0].floats(), inputs[1].floats(), inputs[2].words());
        let (gradients, _) = gradients[start..].as_chunks::<TENSOR_ALIGNMENT>();
        let (parameters, _) = parameters.as_chunks_mut::<TENSOR_ALIGNMENT>();
        let tensor_of = &tensor_of[start / TENSOR_ALIGNMENT..];
        for (run, ((w, gradients), &tensor)) in parameters.iter_mut().zip(gradients).zip(tensor_of).enumerate() {
            let entry = &tensors[tensor as usize * TENSOR_ENTRY..][..TENSOR_ENTRY];
            if entry[2] == F::zero() {
                continue;
            }
            let (l2, decay) = (F::of(2.0) * entry[0], entry[1] * F::of(step.learning_rate));
            let mut g = *gradients;
            for (g, w) in g.iter_mut().zip(w.iter()) {
                *g = (*g + l2 * *w) * entry[3];
            }
            if self.clip_value > 0.0 {
                let limit = F::of(self.clip_value);
                g.iter_mut().for_each(|g| *g = if g.abs() > limit { limit * g.signum() } else { *g });
            }
            w.iter_mut().for_each(|w| *w = *w - *w * decay);
            body(run * TENSOR_ALIGNMENT, &g, w);
        }
    }
}

/// Numbers that belong to one tensor.
pub(crate) type Run<F> = [F; TENSOR_ALIGNMENT];

/// The run of a slot's numbers that starts at `at`.
#[inline(always)]
pub(crate) fn run_of<F>(slot: &mut [F], at: usize) -> &mut Run<F> {
    // Slots have the parameters' length, so there always is such a run; the indexing states it to the compiler.
    let (runs, _) = slot.as_chunks_mut();
    &mut runs[at / TENSOR_ALIGNMENT]
}

/// Shares an update out among the CPU device's threads: `part(start, slices)` gets the same range of the parameters and
/// of each slot.
pub(crate) fn share<const N: usize>(
    cpu: &Cpu,
    outputs: &mut [Output<'_, f32>],
    part: impl Fn(usize, [&mut [f32]; N]) + Sync,
) {
    let Ok(outputs) = <&mut [Output<'_, f32>; N]>::try_from(outputs) else { return };
    let slices = outputs.each_mut().map(Output::floats);
    cpu.pool.for_parts(slices, TENSOR_ALIGNMENT, |start, slices| {
        pulp::Arch::new().dispatch(|| part(start, slices));
    });
}
