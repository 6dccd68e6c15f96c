//! rmsprop_update: a step of RMSprop on a range of the parameters. Moves 20 bytes a parameter, 8 more for each option.

use super::{Binding, Definition, Input, Operation, Output, Real, Workgroup};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::rmsprop::Rmsprop;
use super::update::formula::Formula;
use super::update::{Common, Joined, Own, RANGE};

/// The parameters of `rmsprop_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct RmspropUpdate {
    /// What every update is told.
    pub common: Common,
    /// The optimizer's settings.
    pub rule: Rmsprop,
}

impl Own for RmspropUpdate {
    const OWN: &'static [Binding] = RANGE;
}

impl Operation for RmspropUpdate {
    const DEFINITION: Definition = Definition {
        name: "rmsprop_update",
        source: include_str!("../../shaders/rmsprop_update.wgsl"),
        bindings: Joined::<Self, Rmsprop>::ALL,
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        self.rule.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        [vec![shader::STEP, shader::TENSORS, shader::UPDATE], self.rule.parts()].concat()
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
