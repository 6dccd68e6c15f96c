//! average_weights: the exponential moving average of all weights, after each batch. Moves 12 bytes a parameter.

use super::update::{PARAMETERS, TENSOR_ALIGNMENT, TENSOR_ENTRY, TENSOR_OF, TENSORS, TRAINED};
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `average_weights`.
#[derive(Clone, Debug, PartialEq)]
pub struct AverageWeights {
    /// Numbers in parameters and averages.
    pub length: usize,
    /// How much of itself the average keeps.
    pub momentum: f32,
    /// After how many updates the weights become their average; 0 for never.
    pub overwrite: u32,
}

impl Operation for AverageWeights {
    const DEFINITION: Definition = Definition {
        name: "average_weights",
        source: include_str!("../../shaders/average_weights.wgsl"),
        bindings: &[Binding::STEP, TENSORS, TENSOR_OF, PARAMETERS, Binding::update("averages")],
    };

    fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", WORKGROUP).number("BLOCKS", self.length / 4);
        header.float("MOMENTUM", self.momentum).number("OVERWRITE", self.overwrite as usize);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::TENSORS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        (self.length / 4).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (tensors, tensor_of) = (inputs[0].floats(), inputs[1].words());
        let [parameters, averages] = outputs else { return };
        let overwrites = self.overwrite > 0 && step.iteration.wrapping_add(1).is_multiple_of(self.overwrite);
        let (kept, rest) = (F::of(self.momentum), F::one() - F::of(self.momentum));
        for (at, (w, average)) in parameters.floats().iter_mut().zip(averages.floats()).enumerate() {
            let tensor = tensor_of[at / TENSOR_ALIGNMENT] as usize;
            if tensors[TENSOR_ENTRY * tensor + TRAINED] == F::zero() {
                continue;
            }
            *average = if step.iteration > 0 { kept * *average + rest * *w } else { *w };
            if overwrites {
                *w = *average;
            }
        }
    }
}
