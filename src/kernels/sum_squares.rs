//! sum_squares: sums of squares over chunks of tensors, for gradient norms and the penalty. Reads 8 bytes a parameter.

use super::update::formula::Number;
use super::update::{self, TENSOR_ENTRY};
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Numbers in a chunk, at most.
pub const CHUNK: usize = 4096;

/// The parameters of `sum_squares`.
#[derive(Clone, Debug, PartialEq)]
pub struct SumSquares {
    /// How many chunks there are.
    pub chunks: usize,
    /// Σ (g + 2·l2·w + l1·sign w)²; elsewhere the penalty, Σ l2·w² + l1·|w|.
    pub of_gradients: bool,
}

impl Operation for SumSquares {
    const DEFINITION: Definition = Definition {
        name: "sum_squares",
        source: include_str!("../../shaders/sum_squares.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("gradients"),
            Binding::read("parameters"),
            Binding::read("tensors"),
            Binding::words("chunks"),
            Binding::write("sums"),
        ],
    };

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, WORKGROUP);
        header.number("CHUNKS", self.chunks).flag("OF_GRADIENTS", self.of_gradients);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::TENSORS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.chunks
    }

    fn reference<F: Real>(&self, _step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (gradients, parameters) = (inputs[0].floats(), inputs[1].floats());
        let (tensors, chunks, sums) = (inputs[2].floats(), inputs[3].words(), outputs[0].floats());
        for (sum, chunk) in sums.iter_mut().zip(chunks.chunks_exact(4)).take(self.chunks) {
            let entry = &tensors[TENSOR_ENTRY * chunk[2] as usize..];
            let (l1, l2) = (entry[update::L1], entry[update::L2]);
            let start = 4 * chunk[0] as usize;
            *sum = F::zero();
            for at in start..start + 4 * chunk[1] as usize {
                let w = parameters[at];
                let g = gradients[at] + F::of(2.0) * l2 * w + l1 * w.sign();
                *sum += if self.of_gradients { g * g } else { l2 * w * w + l1 * w.abs() };
            }
        }
    }
}
