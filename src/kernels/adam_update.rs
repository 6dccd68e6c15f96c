//! adam_update, as Keras 3 has it; AdamW is the same with weight decay in the tensor table. Moves 28 bytes a parameter.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{self, Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS, run_of};

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

impl AdamUpdate {
    /// Updates the part of the parameters that starts at `start`.
    #[inline(always)]
    fn update<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], start: usize, outputs: [&mut [F]; 3]) {
        let [parameters, means, velocities] = outputs;
        let (rest_1, rest_2) = (F::one() - F::of(self.beta_1), F::one() - F::of(self.beta_2));
        let (correction_1, correction_2) = (F::one() - F::of(step.beta_1_power), F::one() - F::of(step.beta_2_power));
        let (rate, epsilon) = (F::of(step.learning_rate) * correction_2.sqrt() / correction_1, F::of(self.epsilon));
        self.common.each(
            step,
            inputs,
            start,
            parameters,
            #[inline(always)]
            |at, g, w| {
                let slots = run_of(means, at).iter_mut().zip(run_of(velocities, at));
                for ((w, (m, v)), &g) in w.iter_mut().zip(slots).zip(g) {
                    *m += rest_1 * (g - *m);
                    *v += rest_2 * (g * g - *v);
                    *w = *w - rate * *m / (v.sqrt() + epsilon);
                }
            },
        );
    }
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

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let Ok(outputs) = <&mut [Output<'_, F>; 3]>::try_from(outputs) else { return };
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
