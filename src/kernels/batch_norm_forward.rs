//! batch_norm_forward: y = γ ⊙ (x − mean) / √(variance + ε) + β, column by column, mean and biased variance being those of the
//! batch: Keras's `BatchNormalization` in training. The moving mean and variance follow:
//! moving = momentum·moving + (1 − momentum)·the batch's, once a batch.
//!
//! One launch: a workgroup has columns of its own with all their rows, so the sums, the statistics and what is made of
//! them meet in its own memory. Apart they would be two launches, and would read x as often.

use super::norm::Affine;
use super::{Binding, Definition, Input, Operation, Output, Real, columns, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `batch_norm_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormForward {
    /// Features of a row.
    pub columns: usize,
    /// ε, what is added to the variance; Keras has 1e-3.
    pub epsilon: f32,
    /// What the moving statistics keep of themselves; Keras has 0.99.
    pub momentum: f32,
    /// Where γ and β stand in `weights`, which is not read where there is neither.
    pub affine: Affine,
    /// Where the variances start in `moving`, in numbers, a multiple of four; the means start it.
    pub variance_offset: usize,
}

impl BatchNormForward {
    /// Moves the moving statistics, and turns the batch's variances into 1/√(variance + ε).
    fn settle<F: Real>(&self, rows: usize, moments: &mut [F], moving: &mut [F]) {
        let (means, variances) = moments[..2 * padded(self.columns)].split_at_mut(padded(self.columns));
        let (momentum, rest) = (F::of(self.momentum), F::of(1.0 - self.momentum));
        for column in 0..self.columns {
            let inverse = (variances[column] + F::of(self.epsilon)).sqrt().recip();
            // A step without rows has nothing to say of them.
            for (place, found) in [(0, means[column]), (self.variance_offset, variances[column])] {
                let moving = &mut moving[place + column];
                *moving = if rows > 0 { momentum * *moving + rest * found } else { *moving };
            }
            variances[column] = inverse;
        }
    }

    /// Means and variances of some columns, from `first` on; all are zero before.
    #[inline(always)]
    fn add_up(&self, rows: usize, x: &[f32], first: usize, [means, variances]: [&mut [f32]; 2]) {
        let (stride, count) = (padded(self.columns), rows.max(1) as f32);
        for row in 0..rows {
            let x = &x[row * stride + first..];
            means.iter_mut().zip(x).for_each(|(mean, &x)| *mean += x);
        }
        means.iter_mut().for_each(|mean| *mean /= count);
        for row in 0..rows {
            let x = &x[row * stride + first..];
            for (variance, (&x, &mean)) in variances.iter_mut().zip(x.iter().zip(&*means)) {
                *variance += (x - mean) * (x - mean);
            }
        }
        variances.iter_mut().for_each(|variance| *variance /= count);
    }
}

impl Operation for BatchNormForward {
    const DEFINITION: Definition = Definition {
        name: "batch_norm_forward",
        source: include_str!("../../shaders/batch_norm_forward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::write("y").stored(),
            Binding::write("moments"),
            Binding::update("moving"),
        ],
    };

    fn header(&self, header: &mut Header) {
        columns::header(header, self.columns);
        self.affine.header(header);
        header.float("EPSILON", self.epsilon).float("MOMENTUM", self.momentum);
        header.number("VARIANCE_OFFSET", self.variance_offset / 4);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::COLUMNS, shader::NORM]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        columns::workgroups(self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, weights) = (inputs[0].floats(), inputs[1].floats());
        let [y, moments, moving] = outputs else { return };
        let (y, moments) = (y.floats(), moments.floats());
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let count = F::near(rows.max(1) as f64);
        y[..padded(rows) * stride].fill(F::zero());
        moments[..2 * stride].fill(F::zero());
        for column in 0..self.columns {
            for row in 0..rows {
                moments[column] += x[row * stride + column] / count;
            }
            for row in 0..rows {
                let distance = x[row * stride + column] - moments[column];
                moments[stride + column] += distance * distance / count;
            }
        }
        self.settle(rows, moments, moving.floats());
        for row in 0..rows {
            for column in 0..self.columns {
                let (gamma, beta) = (self.affine.gamma_of(weights, column), self.affine.beta_of(weights, column));
                let at = row * stride + column;
                y[at] = (x[at] - moments[column]) * moments[stride + column] * gamma + beta;
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, weights) = (inputs[0].floats(), inputs[1].floats());
        let [y, moments, moving] = outputs else { return };
        let moments = moments.floats();
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        moments[..2 * stride].fill(0.0);
        let (means, variances) = moments.split_at_mut(stride);
        columns::shared(
            cpu,
            rows,
            [&mut means[..self.columns], &mut variances[..self.columns]],
            #[inline(always)]
            |first, sums| self.add_up(rows, x, first, sums),
        );
        self.settle(rows, moments, moving.floats());
        let (means, inverses) = moments.split_at(stride);
        let inverses = inverses.iter().copied();
        self.affine.normalize(cpu, (rows, self.columns), (x, weights), (means, inverses), y.floats());
    }
}
