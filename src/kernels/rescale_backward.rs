//! rescale_backward: dx = scale·dy. Moves 8 bytes an element, in half precision half of that. An operation apart from
//! `rescale_forward` without an offset, because a gradient that half precision cannot hold must be marked.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `rescale_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct RescaleBackward {
    /// Features of a row.
    pub columns: usize,
    /// What each number of the forward pass was multiplied by; finite.
    pub scale: f32,
}

impl Operation for RescaleBackward {
    const DEFINITION: Definition = Definition {
        name: "rescale_backward",
        source: include_str!("../../shaders/rescale_backward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("dy").stored(), Binding::write("dx").stored()],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dx");

    fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", WORKGROUP).number("COLUMN_BLOCKS", blocks(self.columns));
        header.float("SCALE", self.scale);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (dy, dx) = (inputs[0].floats(), outputs[0].floats());
        let length = padded(step.rows as usize) * padded(self.columns);
        for (dx, &dy) in dx[..length].iter_mut().zip(dy) {
            *dx = F::of(self.scale) * dy;
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (dy, stride) = (inputs[0].floats(), padded(self.columns));
        let fill = |first: usize, dx: &mut [f32]| {
            dx.iter_mut().zip(&dy[first * stride..]).for_each(|(dx, &dy)| *dx = self.scale * dy);
        };
        let dx = &mut outputs[0].floats()[..padded(step.rows as usize) * stride];
        let instructions = cpu.instructions();
        cpu.pool.for_rows(dx, stride, |first, block| instructions.dispatch(|| fill(first, block)));
    }
}
