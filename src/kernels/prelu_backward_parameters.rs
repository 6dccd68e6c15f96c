//! prelu_backward_parameters: dα = Σ dy·x over those of the batch where x < 0, column by column.

use super::gradients::Keep;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, columns, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `prelu_backward_parameters`.
#[derive(Clone, Debug, PartialEq)]
pub struct PreluBackwardParameters {
    /// Features of a row.
    pub columns: usize,
    /// Whether gradients are added up over several batches.
    pub keep: Keep,
}

impl Operation for PreluBackwardParameters {
    const DEFINITION: Definition = Definition {
        name: "prelu_backward_parameters",
        source: include_str!("../../shaders/prelu_backward_parameters.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Keep::Overwrite.binding(),
        ],
    };

    fn definition(&self) -> Definition {
        const ACCUMULATED: &[Binding] =
            &[Binding::STEP, Binding::read("dy").stored(), Binding::read("x").stored(), Keep::Accumulate.binding()];
        match self.keep {
            Keep::Overwrite => Self::DEFINITION,
            Keep::Accumulate => Definition { bindings: ACCUMULATED, ..Self::DEFINITION },
        }
    }

    const GRADIENTS: Gradients = Gradients::Used("dy");

    fn header(&self, header: &mut Header) {
        columns::header(header, self.columns);
        self.keep.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::COLUMNS, shader::GRADIENTS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        columns::workgroups(self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (dy, x) = (inputs[0].floats(), inputs[1].floats());
        let (stride, kept) = (padded(self.columns), self.keep.of(step));
        let mut sums = vec![F::zero(); stride];
        for row in 0..step.rows as usize {
            for (column, sum) in sums[..self.columns].iter_mut().enumerate() {
                let at = row * stride + column;
                if x[at] < F::zero() {
                    *sum += dy[at] * x[at];
                }
            }
        }
        for (gradient, &sum) in outputs[0].floats().iter_mut().zip(&sums) {
            *gradient = kept.sum(*gradient, sum);
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (dy, x) = (inputs[0].floats(), inputs[1].floats());
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let mut scratch = std::mem::take(&mut cpu.scratch);
        let [sums, _] = columns::zeroed(&mut scratch, stride);
        columns::shared(
            cpu,
            rows,
            [&mut sums[..self.columns]],
            #[inline(always)]
            |first, [sums]| {
                for row in 0..rows {
                    let [dy, x] = [dy, x].map(|matrix| &matrix[row * stride + first..][..sums.len()]);
                    for (sum, (&dy, &x)) in sums.iter_mut().zip(dy.iter().zip(x)) {
                        *sum += if x < 0.0 { dy * x } else { 0.0 };
                    }
                }
            },
        );
        self.keep.of(step).keep(&mut outputs[0].floats()[..stride], sums);
        cpu.scratch = scratch;
    }
}
