//! layer_norm_forward: y = γ ⊙ (x − mean) / √(variance + ε) + β, row by row, the variance being biased: Keras's
//! `LayerNormalization`.
//!
//! It leaves each row's mean and 1/√(variance + ε) for the backward pass: 8 bytes a row. To make them again would take two
//! sums over the row, one after the other, there, and another launch before the gradients of γ and β, which are sums over
//! the batch.

use super::norm::Affine;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, lanes, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `layer_norm_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormForward {
    /// Features of a row.
    pub columns: usize,
    /// ε, what is added to the variance; Keras has 1e-3.
    pub epsilon: f32,
    /// Where γ and β stand in `weights`, which is not read where there is neither.
    pub affine: Affine,
}

impl LayerNormForward {
    /// One row of y, and its mean and 1/√(variance + ε).
    #[inline(always)]
    fn row(&self, x: &[f32], weights: &[f32], y: &mut [f32]) -> [f32; 2] {
        let count = self.columns as f32;
        let mean = lanes::sum_of([x], |[x]| x) / count;
        let variance = lanes::sum_of([x], |[x]| (x - mean) * (x - mean)) / count;
        let inverse = 1.0 / (variance + self.epsilon).sqrt();
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - mean) * inverse);
        if let Some(offset) = self.affine.gamma {
            y.iter_mut().zip(&weights[offset..]).for_each(|(y, gamma)| *y *= gamma);
        }
        if let Some(offset) = self.affine.beta {
            y.iter_mut().zip(&weights[offset..]).for_each(|(y, beta)| *y += beta);
        }
        [mean, inverse]
    }
}

impl Operation for LayerNormForward {
    const DEFINITION: Definition = Definition {
        name: "layer_norm_forward",
        source: include_str!("../../shaders/layer_norm_forward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::write("y").stored(),
            Binding::write("moments"),
        ],
    };

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, lanes::for_columns(self.columns));
        header.number("COLUMNS", self.columns).number("COLUMN_BLOCKS", blocks(self.columns));
        header.float("EPSILON", self.epsilon);
        self.affine.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::NORM]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, weights) = (inputs[0].floats(), inputs[1].floats());
        let [y, moments] = outputs else { return };
        let (y, moments) = (y.floats(), moments.floats());
        let (stride, rows, count) = (padded(self.columns), step.rows as usize, F::near(self.columns as f64));
        y[..padded(rows) * stride].fill(F::zero());
        moments[..2 * padded(rows)].fill(F::zero());
        for row in 0..rows {
            let (mut mean, mut variance) = (F::zero(), F::zero());
            for column in 0..self.columns {
                mean += x[row * stride + column] / count;
            }
            for column in 0..self.columns {
                let distance = x[row * stride + column] - mean;
                variance += distance * distance / count;
            }
            let inverse = (variance + F::of(self.epsilon)).sqrt().recip();
            for column in 0..self.columns {
                let (gamma, beta) = (self.affine.gamma_of(weights, column), self.affine.beta_of(weights, column));
                let at = row * stride + column;
                y[at] = (x[at] - mean) * inverse * gamma + beta;
            }
            moments[2 * row..][..2].copy_from_slice(&[mean, inverse]);
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, weights) = (inputs[0].floats(), inputs[1].floats());
        let [y, moments] = outputs else { return };
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let (y, y_padding) = y.floats()[..padded(rows) * stride].split_at_mut(rows * stride);
        let (moments, padding) = moments.floats()[..2 * padded(rows)].split_at_mut(2 * rows);
        y_padding.fill(0.0);
        padding.fill(0.0);
        let instructions = cpu.instructions();
        cpu.pool.for_rows_of([y, moments], [stride, 2], rows, |first, [y, moments]| {
            instructions.dispatch(
                #[inline(always)]
                || {
                    let lines = y.chunks_exact_mut(stride).zip(x[first * stride..].chunks_exact(stride));
                    for ((y, x), found) in lines.zip(moments.chunks_exact_mut(2)) {
                        found.copy_from_slice(&self.row(&x[..self.columns], weights, &mut y[..self.columns]));
                    }
                },
            );
        });
    }
}
