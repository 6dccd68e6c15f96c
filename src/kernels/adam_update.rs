//! adam_update, as Keras 3 has it; AdamW is the same with weight decay in the tensor table. Moves 28 bytes a parameter.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS};

/// The parameters of `adam_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamUpdate {
    /// What every update is told.
    pub common: Common,
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
}

impl Operation for AdamUpdate {
    const DEFINITION: Definition = Definition {
        name: "adam_update",
        source: include_str!("../../shaders/adam_update.wgsl"),
        bindings: &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS, Binding::update("means"), Binding::update("velocities")],
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        header.float("BETA_1", self.beta_1).float("BETA_2", self.beta_2).float("EPSILON", self.epsilon);
    }

    fn parts(&self) -> &'static [Part] {
        &[shader::STEP, shader::UPDATE]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.common.workgroups()
    }

    #[inline(always)]
    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [parameters, means, velocities] = outputs else { return };
        let (means, velocities) = (means.floats(), velocities.floats());
        let (rest_1, rest_2) = (F::one() - F::of(self.beta_1), F::one() - F::of(self.beta_2));
        let correction_1 = F::one() - F::of(step.beta_1_power);
        let correction_2 = F::one() - F::of(step.beta_2_power);
        let rate = F::of(step.learning_rate) * correction_2.sqrt() / correction_1;
        self.common.each(step, inputs, parameters.floats(), |i, g, w| {
            means[i] += rest_1 * (g - means[i]);
            velocities[i] += rest_2 * (g * g - velocities[i]);
            w - rate * means[i] / (velocities[i].sqrt() + F::of(self.epsilon))
        });
    }
}
