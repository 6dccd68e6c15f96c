//! softmax_forward: y = exp(z − max z) / Σ exp(z − max z), row by row.

use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `softmax_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxForward {
    /// Features of a row.
    pub columns: usize,
}

impl Operation for SoftmaxForward {
    const DEFINITION: Definition = Definition {
        name: "softmax_forward",
        source: include_str!("../../shaders/softmax_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("z").stored(), Binding::write("y").stored()],
    };

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
        let (z, y) = (inputs[0].floats(), outputs[0].floats());
        let stride = padded(self.columns);
        y[..padded(step.rows as usize) * stride].fill(F::zero());
        for row in 0..step.rows as usize {
            let (z, y) = (&z[row * stride..][..self.columns], &mut y[row * stride..][..self.columns]);
            let largest = z.iter().fold(F::neg_infinity(), |a, &b| a.max(b));
            let mut sum = F::zero();
            for &z in z {
                sum += (z - largest).exp();
            }
            for (y, &z) in y.iter_mut().zip(z) {
                *y = (z - largest).exp() / sum;
            }
        }
    }
}
