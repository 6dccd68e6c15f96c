//! sgd_update, as Keras 3 has it. Moves 12 bytes a parameter, 8 more with momentum.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS};

/// The parameters of `sgd_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct SgdUpdate {
    /// What every update is told.
    pub common: Common,
    /// The share of the last change that is made again; 0 for none.
    pub momentum: f32,
    /// Whether the momentum is looked ahead along.
    pub nesterov: bool,
}

impl Operation for SgdUpdate {
    const DEFINITION: Definition = Definition {
        name: "sgd_update",
        source: include_str!("../../shaders/sgd_update.wgsl"),
        bindings: &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS, Binding::update("momentums")],
    };

    fn header(&self, header: &mut Header) {
        self.common.header(header);
        header.float("MOMENTUM", self.momentum).flag("NESTEROV", self.nesterov);
    }

    fn parts(&self) -> &'static [Part] {
        &[shader::STEP, shader::UPDATE]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.common.workgroups()
    }

    #[inline(always)]
    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [parameters, momentums] = outputs else { return };
        let momentums = momentums.floats();
        let (rate, momentum) = (F::of(step.learning_rate), F::of(self.momentum));
        self.common.each(step, inputs, parameters.floats(), |i, g, w| {
            let plain = rate * g;
            if self.momentum == 0.0 {
                return w - plain;
            }
            let m = momentum * momentums[i] - plain;
            momentums[i] = m;
            if self.nesterov { w + momentum * m - plain } else { w + m }
        });
    }
}
