//! gradient_scales: the factors by which clipping by norm shrinks the gradients.

use super::update::{CLIPPING_FACTOR, TENSOR_ENTRY};
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `gradient_scales`.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientScales {
    /// How many tensors there are.
    pub tensors: usize,
    /// The largest norm that is left alone.
    pub clip: f32,
    /// One norm over all tensors; elsewhere one a tensor.
    pub global: bool,
}

impl Operation for GradientScales {
    const DEFINITION: Definition = Definition {
        name: "gradient_scales",
        source: include_str!("../../shaders/gradient_scales.wgsl"),
        bindings: &[Binding::STEP, Binding::read("sums"), Binding::words("ranges"), Binding::update("tensors")],
    };

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, WORKGROUP);
        header.number("TENSORS", self.tensors).float("CLIP", self.clip).flag("GLOBAL", self.global);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::TENSORS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        1
    }

    fn reference<F: Real>(&self, _step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (sums, ranges, tensors) = (inputs[0].floats(), inputs[1].words(), outputs[0].floats());
        let clip = F::of(self.clip);
        let mut all = F::zero();
        for (tensor, range) in ranges.chunks_exact(2).enumerate().take(self.tensors) {
            let mut squares = F::zero();
            for &sum in &sums[range[0] as usize..range[1] as usize] {
                squares += sum;
            }
            all += squares;
            tensors[TENSOR_ENTRY * tensor + CLIPPING_FACTOR] = factor(clip, squares);
        }
        if self.global {
            for tensor in 0..self.tensors {
                tensors[TENSOR_ENTRY * tensor + CLIPPING_FACTOR] = factor(clip, all);
            }
        }
    }
}

/// clip / max(‖g‖, clip), a NaN among the gradients staying one.
fn factor<F: Real>(clip: F, squares: F) -> F {
    let norm = squares.sqrt();
    if norm < clip { F::one() } else { clip / norm }
}
