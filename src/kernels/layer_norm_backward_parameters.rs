//! layer_norm_backward_parameters: dγ = Σ dy ⊙ x̂ and dβ = Σ dy over the batch, x̂ being the normalized input.

use super::gradients::Keep;
use super::norm::Affine;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, columns, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `layer_norm_backward_parameters`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormBackwardParameters {
    /// Features of a row.
    pub columns: usize,
    /// Where the gradients of γ and β go in `gradients`: where these stand in the layer's range of parameters.
    pub affine: Affine,
    /// Whether gradients are added up over several batches.
    pub keep: Keep,
}

impl Operation for LayerNormBackwardParameters {
    const DEFINITION: Definition = Definition {
        name: "layer_norm_backward_parameters",
        source: include_str!("../../shaders/layer_norm_backward_parameters.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Binding::read("moments"),
            Keep::Overwrite.binding(),
        ],
    };

    fn definition(&self) -> Definition {
        const ACCUMULATED: &[Binding] = &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Binding::read("moments"),
            Keep::Accumulate.binding(),
        ];
        match self.keep {
            Keep::Overwrite => Self::DEFINITION,
            Keep::Accumulate => Definition { bindings: ACCUMULATED, ..Self::DEFINITION },
        }
    }

    const GRADIENTS: Gradients = Gradients::Used("dy");

    fn header(&self, header: &mut Header) {
        columns::header(header, self.columns);
        self.affine.header(header);
        self.keep.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::COLUMNS, shader::GRADIENTS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        columns::workgroups(self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [dy, x, moments] = [0, 1, 2].map(|index| inputs[index].floats());
        let stride = padded(self.columns);
        let (mut of_gamma, mut of_beta) = (vec![F::zero(); stride], vec![F::zero(); stride]);
        for row in 0..step.rows as usize {
            for column in 0..self.columns {
                let at = row * stride + column;
                of_gamma[column] += dy[at] * (x[at] - moments[2 * row]) * moments[2 * row + 1];
                of_beta[column] += dy[at];
            }
        }
        self.affine.store(outputs[0].floats(), self.columns, self.keep.of(step), [&of_gamma, &of_beta]);
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let [dy, x, moments] = [0, 1, 2].map(|index| inputs[index].floats());
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let mut scratch = std::mem::take(&mut cpu.scratch);
        let [of_gamma, of_beta] = columns::zeroed(&mut scratch, stride);
        columns::shared(
            cpu,
            rows,
            [&mut of_gamma[..self.columns], &mut of_beta[..self.columns]],
            #[inline(always)]
            |first, [of_gamma, of_beta]| {
                for row in 0..rows {
                    let [dy, x] = [dy, x].map(|matrix| &matrix[row * stride + first..][..of_beta.len()]);
                    let (mean, inverse) = (moments[2 * row], moments[2 * row + 1]);
                    let sums = of_gamma.iter_mut().zip(of_beta.iter_mut());
                    for ((of_gamma, of_beta), (&dy, &x)) in sums.zip(dy.iter().zip(x)) {
                        *of_gamma += dy * ((x - mean) * inverse);
                        *of_beta += dy;
                    }
                }
            },
        );
        self.affine.store(outputs[0].floats(), self.columns, self.keep.of(step), [of_gamma, of_beta]);
        cpu.scratch = scratch;
    }
}
