//! softmax_backward: dz = y ⊙ (dy − Σ dy·y), row by row.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `softmax_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxBackward {
    /// Features of a row.
    pub columns: usize,
}

impl Operation for SoftmaxBackward {
    const DEFINITION: Definition = Definition {
        name: "softmax_backward",
        source: include_str!("../../shaders/softmax_backward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("y").stored(),
            Binding::write("dz").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dz");

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, lanes::for_columns(self.columns));
        header.number("COLUMNS", self.columns).number("COLUMN_BLOCKS", blocks(self.columns));
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (dy, y, dz) = (inputs[0].floats(), inputs[1].floats(), outputs[0].floats());
        let stride = padded(self.columns);
        dz[..padded(step.rows as usize) * stride].fill(F::zero());
        for row in 0..step.rows as usize {
            let range = row * stride..row * stride + self.columns;
            let mut sum = F::zero();
            for at in range.clone() {
                sum += dy[at] * y[at];
            }
            for at in range {
                dz[at] = y[at] * (dy[at] - sum);
            }
        }
    }
}
