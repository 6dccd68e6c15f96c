//! dropout_backward: dx = dy / (1 − rate) where the forward pass kept the number, else 0. Moves 8 bytes an element, in half
//! precision half of that.

use super::dropout_forward::DropoutForward;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `dropout_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutBackward {
    /// The forward pass, whose mask this one makes again.
    pub forward: DropoutForward,
}

impl Operation for DropoutBackward {
    const DEFINITION: Definition = Definition {
        name: "dropout_backward",
        source: include_str!("../../shaders/dropout_backward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("dy").stored(), Binding::write("dx").stored()],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dx");

    fn header(&self, header: &mut Header) {
        self.forward.constants(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::HASH]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.forward.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        self.forward.plain(step, inputs[0].floats(), outputs[0].floats());
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        self.forward.shared(cpu, step, inputs[0].floats(), outputs[0].floats());
    }
}
