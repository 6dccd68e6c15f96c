//! adagrad_update, as Keras 3 has it. Moves 20 bytes a parameter.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS};

/// The parameters of `adagrad_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdagradUpdate {
    /// What every update is told.
    pub common: Common,
    /// ε.
    pub epsilon: f32,
}

impl Operation for AdagradUpdate {
    const DEFINITION: Definition = Definition {
        name: "adagrad_update",
        source: include_str!("../../shaders/adagrad_update.wgsl"),
        bindings: &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS, Binding::update("accumulators")],
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        header.float("EPSILON", self.epsilon);
    }

    fn parts(&self) -> &'static [Part] {
        &[shader::STEP, shader::UPDATE]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.common.workgroups()
    }

    #[inline(always)]
    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [parameters, accumulators] = outputs else { return };
        let accumulators = accumulators.floats();
        let rate = F::of(step.learning_rate);
        self.common.each(step, inputs, parameters.floats(), |i, g, w| {
            accumulators[i] += g * g;
            w - rate * g / (accumulators[i] + F::of(self.epsilon)).sqrt()
        });
    }
}
