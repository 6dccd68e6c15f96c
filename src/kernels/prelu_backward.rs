//! prelu_backward: dx = dy where x > 0, else α·dy, α being a column's own. Moves 12 bytes an element, in half precision half of
//! that.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `prelu_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct PreluBackward {
    /// Features of a row.
    pub columns: usize,
}

impl Operation for PreluBackward {
    const DEFINITION: Definition = Definition {
        name: "prelu_backward",
        source: include_str!("../../shaders/prelu_backward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Binding::read("alpha"),
            Binding::write("dx").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dx");

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
        let [dy, x, alpha] = [0, 1, 2].map(|index| inputs[index].floats());
        let (dx, stride) = (outputs[0].floats(), padded(self.columns));
        for row in 0..padded(step.rows as usize) {
            for (column, &alpha) in alpha[..stride].iter().enumerate() {
                let at = row * stride + column;
                dx[at] = if x[at] > F::zero() { dy[at] } else { alpha * dy[at] };
            }
        }
    }
}
