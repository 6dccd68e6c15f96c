//! sgd_update: a step of gradient descent on a range of the parameters. Moves 12 bytes a parameter, 8 more with momentum.

use super::{Binding, Definition, Input, Operation, Output, Real, Workgroup};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::sgd::{MOMENTUMS, Sgd};
use super::update::{Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS};

/// The parameters of `sgd_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct SgdUpdate {
    /// What every update is told.
    pub common: Common,
    /// The optimizer's settings.
    pub rule: Sgd,
}

impl Operation for SgdUpdate {
    const DEFINITION: Definition = Definition {
        name: "sgd_update",
        source: include_str!("../../shaders/sgd_update.wgsl"),
        bindings: &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS, MOMENTUMS],
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        self.rule.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::TENSORS, shader::UPDATE, shader::SGD]
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
