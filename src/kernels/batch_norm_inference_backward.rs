//! batch_norm_inference_backward: dx = dy ⊙ γ / √(variance + ε), column by column, the variance being the moving one: the
//! gradient through a frozen layer, whose mean and variance do not depend on x and whose γ and β want no gradient.

use super::batch_norm_inference_forward::BatchNormInferenceForward;
use super::columns::zeroed;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `batch_norm_inference_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormInferenceBackward {
    /// The forward pass.
    pub forward: BatchNormInferenceForward,
}

impl Operation for BatchNormInferenceBackward {
    const DEFINITION: Definition = Definition {
        name: "batch_norm_inference_backward",
        source: include_str!("../../shaders/batch_norm_inference_backward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("weights"),
            Binding::read("moving"),
            Binding::write("dx").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dx");

    fn header(&self, header: &mut Header) {
        self.forward.constants(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::NORM]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.forward.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [dy, weights, moving] = [0, 1, 2].map(|index| inputs[index].floats());
        let dx = outputs[0].floats();
        let (stride, rows) = (padded(self.forward.columns), step.rows as usize);
        dx[..padded(rows) * stride].fill(F::zero());
        for row in 0..rows {
            for (column, inverse) in self.forward.inverses(moving).enumerate() {
                let at = row * stride + column;
                dx[at] = dy[at] * inverse * self.forward.affine.gamma_of(weights, column);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let [dy, weights, moving] = [0, 1, 2].map(|index| inputs[index].floats());
        let (columns, rows) = (self.forward.columns, step.rows as usize);
        let stride = padded(columns);
        let mut scratch = std::mem::take(&mut cpu.scratch);
        let [factors, _] = zeroed(&mut scratch, stride);
        self.forward.affine.factors(&mut factors[..columns], weights, self.forward.inverses(moving));
        // The padding of both is zero, and so is its product.
        let dx = &mut outputs[0].floats()[..padded(rows) * stride];
        let instructions = cpu.instructions();
        cpu.pool.for_rows(dx, stride, |first, dx| {
            instructions.dispatch(
                #[inline(always)]
                || {
                    for (dx, dy) in dx.chunks_exact_mut(stride).zip(dy[first * stride..].chunks_exact(stride)) {
                        let numbers = dy.iter().zip(&*factors);
                        dx.iter_mut().zip(numbers).for_each(|(dx, (dy, factor))| *dx = dy * factor);
                    }
                },
            );
        });
        cpu.scratch = scratch;
    }
}
