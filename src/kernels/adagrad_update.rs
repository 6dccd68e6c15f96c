//! adagrad_update, as Keras 3 has it. Moves 20 bytes a parameter.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{self, Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS, run_of};

/// The parameters of `adagrad_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdagradUpdate {
    /// What every update is told.
    pub common: Common,
    /// ε.
    pub epsilon: f32,
}

impl AdagradUpdate {
    /// Updates the part of the parameters that starts at `start`.
    #[inline(always)]
    fn update<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], start: usize, outputs: [&mut [F]; 2]) {
        let [parameters, accumulators] = outputs;
        let (rate, epsilon) = (F::of(step.learning_rate), F::of(self.epsilon));
        self.common.each(
            step,
            inputs,
            start,
            parameters,
            #[inline(always)]
            |at, g, w| {
                for ((w, s), &g) in w.iter_mut().zip(run_of(accumulators, at)).zip(g) {
                    *s += g * g;
                    *w = *w - rate * g / (*s + epsilon).sqrt();
                }
            },
        );
    }
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

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let Ok(outputs) = <&mut [Output<'_, F>; 2]>::try_from(outputs) else { return };
        self.update(step, inputs, 0, outputs.each_mut().map(Output::floats));
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        update::share(
            cpu,
            outputs,
            #[inline(always)]
            |start, slices| self.update(step, inputs, start, slices),
        );
    }
}
