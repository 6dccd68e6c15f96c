//! optimizer_update: a step of any optimizer on a range of the parameters. Moves 12 bytes a parameter, and 8 for each slot.

use super::{Binding, Definition, Input, Operation, Output, Real, Workgroup};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{Common, Own, RANGE, Rule};

/// The parameters of `optimizer_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerUpdate {
    /// What every update is told.
    pub common: Common,
    /// The optimizer's rule.
    pub rule: Rule,
}

impl Own for OptimizerUpdate {
    const OWN: &'static [Binding] = RANGE;
}

impl Operation for OptimizerUpdate {
    const DEFINITION: Definition = Definition {
        name: "optimizer_update",
        source: include_str!("../../shaders/optimizer_update.wgsl"),
        bindings: RANGE,
    };

    fn definition(&self) -> Definition {
        Definition { bindings: self.rule.bindings::<Self>(), ..Self::DEFINITION }
    }

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
        self.rule.run(&self.common, cpu, step, inputs, outputs);
    }
}
