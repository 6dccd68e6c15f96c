//! rmsprop_update, as Keras 3 has it: ε stands inside the root. Moves 20 bytes a parameter, 8 more for each option.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{self, Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS, run_of};

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

impl RmspropUpdate {
    /// Updates the part of the parameters that starts at `start`.
    #[inline(always)]
    fn update<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], start: usize, outputs: [&mut [F]; 4]) {
        let [parameters, velocities, averages, momentums] = outputs;
        let (rho, rest) = (F::of(self.rho), F::one() - F::of(self.rho));
        let (rate, epsilon, momentum) = (F::of(step.learning_rate), F::of(self.epsilon), F::of(self.momentum));
        self.common.each(
            step,
            inputs,
            start,
            parameters,
            #[inline(always)]
            |at, g, w| {
                let mut d = *g;
                for ((d, v), &g) in d.iter_mut().zip(run_of(velocities, at)).zip(g) {
                    *v = rho * *v + rest * g * g;
                    *d = *v + epsilon;
                }
                if self.centered {
                    for ((d, a), &g) in d.iter_mut().zip(run_of(averages, at)).zip(g) {
                        *a = rho * *a + rest * g;
                        *d = *d - *a * *a;
                    }
                }
                for (d, &g) in d.iter_mut().zip(g) {
                    *d = rate * g / d.sqrt();
                }
                if self.momentum > 0.0 {
                    for (d, m) in d.iter_mut().zip(run_of(momentums, at)) {
                        *m = momentum * *m + *d;
                        *d = *m;
                    }
                }
                for (w, &d) in w.iter_mut().zip(&d) {
                    *w = *w - d;
                }
            },
        );
    }
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

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let Ok(outputs) = <&mut [Output<'_, F>; 4]>::try_from(outputs) else { return };
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
