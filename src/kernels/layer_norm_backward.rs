//! layer_norm_backward: dx = s·(g − mean g − x̂·mean(g·x̂)), row by row, with g = γ ⊙ dy, s = 1/√(variance + ε) and
//! x̂ = (x − mean x)·s: the gradient of `layer_norm_forward`'s input. Those of γ and β are
//! `layer_norm_backward_parameters`'s.

use super::norm::Affine;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, lanes, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `layer_norm_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormBackward {
    /// Features of a row.
    pub columns: usize,
    /// Where γ stands in `weights`, which is not read without one.
    pub affine: Affine,
}

impl LayerNormBackward {
    /// One row of dx.
    #[inline(always)]
    fn row(&self, [dy, x, weights]: [&[f32]; 3], (mean, inverse): (f32, f32), dx: &mut [f32]) {
        let count = self.columns as f32;
        dx.copy_from_slice(dy);
        if let Some(offset) = self.affine.gamma {
            dx.iter_mut().zip(&weights[offset..]).for_each(|(g, gamma)| *g *= gamma);
        }
        let mean_g = lanes::sum_of([&*dx], |[g]| g) / count;
        let mean_product = lanes::sum_of([&*dx, x], |[g, x]| g * ((x - mean) * inverse)) / count;
        for (g, &x) in dx.iter_mut().zip(x) {
            *g = inverse * (*g - mean_g - (x - mean) * inverse * mean_product);
        }
    }
}

impl Operation for LayerNormBackward {
    const DEFINITION: Definition = Definition {
        name: "layer_norm_backward",
        source: include_str!("../../shaders/layer_norm_backward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::read("moments"),
            Binding::write("dx").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dx");

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, lanes::for_columns(self.columns));
        header.number("COLUMNS", self.columns).number("COLUMN_BLOCKS", blocks(self.columns));
        self.affine.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::NORM]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [dy, x, weights, moments] = [0, 1, 2, 3].map(|index| inputs[index].floats());
        let dx = outputs[0].floats();
        let (stride, rows, count) = (padded(self.columns), step.rows as usize, F::near(self.columns as f64));
        dx[..padded(rows) * stride].fill(F::zero());
        for row in 0..rows {
            let (mean, inverse) = (moments[2 * row], moments[2 * row + 1]);
            let g = |column: usize| dy[row * stride + column] * self.affine.gamma_of(weights, column);
            let normalized = |column: usize| (x[row * stride + column] - mean) * inverse;
            let (mut mean_g, mut mean_product) = (F::zero(), F::zero());
            for column in 0..self.columns {
                mean_g += g(column) / count;
                mean_product += g(column) * normalized(column) / count;
            }
            for column in 0..self.columns {
                dx[row * stride + column] = inverse * (g(column) - mean_g - normalized(column) * mean_product);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let [dy, x, weights, moments] = [0, 1, 2, 3].map(|index| inputs[index].floats());
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let (dx, padding) = outputs[0].floats()[..padded(rows) * stride].split_at_mut(rows * stride);
        padding.fill(0.0);
        let instructions = cpu.instructions();
        cpu.pool.for_rows(dx, stride, |first, dx| {
            instructions.dispatch(
                #[inline(always)]
                || {
                    for (row, dx) in (first..).zip(dx.chunks_exact_mut(stride)) {
                        let [dy, x] = [dy, x].map(|matrix| &matrix[row * stride..][..self.columns]);
                        let found = (moments[2 * row], moments[2 * row + 1]);
                        self.row([dy, x, weights], found, &mut dx[..self.columns]);
                    }
                },
            );
        });
    }
}
