//! adam_update: a step of Adam or AdamW on a range of the parameters. Moves 28 bytes a parameter.

use super::{Binding, Definition, Input, Operation, Output, Real, Workgroup};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::adam::{Adam, MEANS, VELOCITIES};
use super::update::{Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS};

/// The parameters of `adam_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamUpdate {
    /// What every update is told.
    pub common: Common,
    /// The optimizer's settings.
    pub rule: Adam,
}

impl Operation for AdamUpdate {
    const DEFINITION: Definition = Definition {
        name: "adam_update",
        source: include_str!("../../shaders/adam_update.wgsl"),
        bindings: &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS, MEANS, VELOCITIES],
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        self.rule.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::TENSORS, shader::UPDATE, shader::ADAM]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.common.workgroups()
    }

    fn workgroup(&self) -> Option<Workgroup> {
        Some(self.common.workgroup())
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        self.common.reference(step, inputs, outputs, &self.rule);
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        self.common.run(cpu, step, inputs, outputs, &self.rule);
    }
}
