//! prelu_forward: y = x where x ≥ 0, else α·x, α being a column's own. Moves 8 bytes an element, in half precision half of that.

use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `prelu_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct PreluForward {
    /// Features of a row.
    pub columns: usize,
}

impl Operation for PreluForward {
    const DEFINITION: Definition = Definition {
        name: "prelu_forward",
        source: include_str!("../../shaders/prelu_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("x").stored(), Binding::read("alpha"), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", WORKGROUP).number("COLUMN_BLOCKS", blocks(self.columns));
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, alpha, y) = (inputs[0].floats(), inputs[1].floats(), outputs[0].floats());
        let stride = padded(self.columns);
        for row in 0..padded(step.rows as usize) {
            for (column, &alpha) in alpha[..stride].iter().enumerate() {
                let at = row * stride + column;
                y[at] = if x[at] < F::zero() { alpha * x[at] } else { x[at] };
            }
        }
    }
}
