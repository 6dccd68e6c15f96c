//! rmsprop_update, as Keras 3 has it: ε stands inside the root. Moves 20 bytes a parameter, 8 more for each option.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS};

/// The parameters of `rmsprop_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct RmspropUpdate {
    /// What every update is told.
    pub common: Common,
    /// ρ.
    pub rho: f32,
    /// The share of the last change that is made again; 0 for none.
    pub momentum: f32,
    /// ε.
    pub epsilon: f32,
    /// Whether the mean gradient's square is taken off.
    pub centered: bool,
}

impl Operation for RmspropUpdate {
    const DEFINITION: Definition = Definition {
        name: "rmsprop_update",
        source: include_str!("../../shaders/rmsprop_update.wgsl"),
        bindings: &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS, Binding::update("velocities"), Binding::update("averages"), Binding::update("momentums")],
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        header.float("RHO", self.rho).float("MOMENTUM", self.momentum).float("EPSILON", self.epsilon);
        header.flag("CENTERED", self.centered);
    }

    fn parts(&self) -> &'static [Part] {
        &[shader::STEP, shader::UPDATE]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.common.workgroups()
    }

    #[inline(always)]
    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [parameters, velocities, averages, momentums] = outputs else { return };
        let (velocities, averages, momentums) = (velocities.floats(), averages.floats(), momentums.floats());
        let (rho, rest) = (F::of(self.rho), F::one() - F::of(self.rho));
        let rate = F::of(step.learning_rate);
        self.common.each(step, inputs, parameters.floats(), |i, g, w| {
            let v = rho * velocities[i] + rest * g * g;
            velocities[i] = v;
            let mut d = v + F::of(self.epsilon);
            if self.centered {
                averages[i] = rho * averages[i] + rest * g;
                d = d - averages[i] * averages[i];
            }
            let mut change = rate * g / d.sqrt();
            if self.momentum > 0.0 {
                change += F::of(self.momentum) * momentums[i];
                momentums[i] = change;
            }
            w - change
        });
    }
}
