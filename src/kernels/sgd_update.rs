//! sgd_update, as Keras 3 has it. Moves 12 bytes a parameter, 8 more with momentum.

use super::{Binding, Definition, Input, Operation, Output, Real};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::update::{self, Common, GRADIENTS, PARAMETERS, TENSOR_OF, TENSORS, run_of};

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

impl SgdUpdate {
    /// Updates the part of the parameters that starts at `start`.
    #[inline(always)]
    fn update<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], start: usize, outputs: [&mut [F]; 2]) {
        let [parameters, momentums] = outputs;
        let (rate, momentum) = (F::of(step.learning_rate), F::of(self.momentum));
        self.common.each(
            step,
            inputs,
            start,
            parameters,
            #[inline(always)]
            |at, g, w| {
                if self.momentum == 0.0 {
                    w.iter_mut().zip(g).for_each(|(w, &g)| *w = *w - rate * g);
                    return;
                }
                for ((w, m), &g) in w.iter_mut().zip(run_of(momentums, at)).zip(g) {
                    *m = momentum * *m - rate * g;
                    *w = if self.nesterov { *w + momentum * *m - rate * g } else { *w + *m };
                }
            },
        );
    }
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
