//! batch_norm_backward: dγ = Σ dy ⊙ x̂ and dβ = Σ dy over the batch, and from both the gradient of the input,
//! dx = γ·s·(dy − dβ/B − x̂·dγ/B): mean and variance depend on x as well. The layer is in training.
//!
//! One launch, for the reason that `batch_norm_forward` gives: the sums that dx waits for are the parameters' gradients.

use super::gradients::Keep;
use super::norm::Affine;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, columns, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `batch_norm_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormBackward {
    /// Features of a row.
    pub columns: usize,
    /// Where γ and β stand in `weights`, and their gradients in `gradients`. Where there is neither, both are left alone.
    pub affine: Affine,
    /// Whether dx is wanted; elsewhere it is left alone.
    pub input_gradient: bool,
    /// Whether gradients are added up over several batches.
    pub keep: Keep,
}

/// What a launch reads and writes.
struct Arguments<'a> {
    rows: usize,
    dy: &'a [f32],
    x: &'a [f32],
    weights: &'a [f32],
    moments: &'a [f32],
}

impl BatchNormBackward {
    /// Σ dy ⊙ x̂ and Σ dy of some columns, from `first` on; all are zero before.
    #[inline(always)]
    fn add_up(&self, read: &Arguments<'_>, first: usize, [of_gamma, of_beta]: [&mut [f32]; 2]) {
        let stride = padded(self.columns);
        let (means, inverses) = (&read.moments[first..], &read.moments[stride + first..]);
        for row in 0..read.rows {
            let at = row * stride + first;
            let sums = of_gamma.iter_mut().zip(of_beta.iter_mut());
            let numbers = read.dy[at..].iter().zip(&read.x[at..]).zip(means.iter().zip(inverses));
            for ((of_gamma, of_beta), ((&dy, &x), (mean, inverse))) in sums.zip(numbers) {
                *of_gamma += dy * ((x - mean) * inverse);
                *of_beta += dy;
            }
        }
    }

    /// Rows of dx, from `first` on, from the means of dy ⊙ x̂ and of dy.
    #[inline(always)]
    fn pass_on(&self, read: &Arguments<'_>, [products, sums]: [&[f32]; 2], first: usize, dx: &mut [f32]) {
        let (stride, columns) = (padded(self.columns), self.columns);
        let (means, inverses) = (&read.moments[..columns], &read.moments[stride..][..columns]);
        let gammas = self.affine.gamma.map(|offset| &read.weights[offset..][..columns]);
        for (row, dx) in (first..).zip(dx.chunks_exact_mut(stride)) {
            let at = row * stride;
            let numbers = read.dy[at..].iter().zip(&read.x[at..]).zip(means.iter().zip(inverses));
            let of_column = products.iter().zip(sums);
            for ((dx, ((&dy, &x), (mean, inverse))), (product, sum)) in dx.iter_mut().zip(numbers).zip(of_column) {
                *dx = inverse * (dy - sum - (x - mean) * inverse * product);
            }
            if let Some(gammas) = gammas {
                dx.iter_mut().zip(gammas).for_each(|(dx, gamma)| *dx *= gamma);
            }
        }
    }
}

impl Operation for BatchNormBackward {
    const DEFINITION: Definition = Definition {
        name: "batch_norm_backward",
        source: include_str!("../../shaders/batch_norm_backward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::read("moments"),
            Binding::write("dx").stored(),
            Keep::Overwrite.binding(),
        ],
    };

    fn definition(&self) -> Definition {
        const ACCUMULATED: &[Binding] = &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::read("moments"),
            Binding::write("dx").stored(),
            Keep::Accumulate.binding(),
        ];
        match self.keep {
            Keep::Overwrite => Self::DEFINITION,
            Keep::Accumulate => Definition { bindings: ACCUMULATED, ..Self::DEFINITION },
        }
    }

    const GRADIENTS: Gradients = Gradients::Passed("dx");

    fn header(&self, header: &mut Header) {
        columns::header(header, self.columns);
        self.affine.header(header);
        self.keep.header(header);
        header.flag("INPUT_GRADIENT", self.input_gradient);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::COLUMNS, shader::NORM, shader::GRADIENTS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        columns::workgroups(self.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        self.reference_scaled(F::one(), step, inputs, outputs);
    }

    /// dy carries the scale, and so does dx; the gradients of γ and β must not.
    fn reference_scaled<F: Real>(
        &self,
        scale: F,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        let [dy, x, weights, moments] = [0, 1, 2, 3].map(|index| inputs[index].floats());
        let [dx, gradients] = outputs else { return };
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let count = F::near(rows.max(1) as f64);
        let normalized = |at: usize| (x[at] - moments[at % stride]) * moments[stride + at % stride];
        let (mut of_gamma, mut of_beta) = (vec![F::zero(); stride], vec![F::zero(); stride]);
        for row in 0..rows {
            for column in 0..self.columns {
                let at = row * stride + column;
                of_gamma[column] += dy[at] * normalized(at);
                of_beta[column] += dy[at];
            }
        }
        if self.input_gradient {
            let dx = &mut dx.floats()[..padded(rows) * stride];
            dx.fill(F::zero());
            for row in 0..rows {
                for column in 0..self.columns {
                    let at = row * stride + column;
                    let factor = self.affine.gamma_of(weights, column) * moments[stride + column];
                    dx[at] = factor * (dy[at] - of_beta[column] / count - normalized(at) * of_gamma[column] / count);
                }
            }
        }
        of_gamma.iter_mut().chain(&mut of_beta).for_each(|sum| *sum = *sum / scale);
        self.affine.store(gradients.floats(), self.columns, self.keep.of(step), [&of_gamma, &of_beta]);
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let [dy, x, weights, moments] = [0, 1, 2, 3].map(|index| inputs[index].floats());
        let [dx, gradients] = outputs else { return };
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        let read = Arguments { rows, dy, x, weights, moments };
        let mut scratch = std::mem::take(&mut cpu.scratch);
        let sums = columns::zeroed(&mut scratch, stride).map(|sums| &mut sums[..self.columns]);
        let [of_gamma, of_beta] = sums;
        columns::shared(
            cpu,
            rows,
            [&mut *of_gamma, &mut *of_beta],
            #[inline(always)]
            |first, sums| self.add_up(&read, first, sums),
        );
        self.affine.store(gradients.floats(), self.columns, self.keep.of(step), [of_gamma, of_beta]);
        if self.input_gradient {
            let count = rows.max(1) as f32;
            of_gamma.iter_mut().chain(of_beta.iter_mut()).for_each(|sum| *sum /= count);
            let (dx, padding) = dx.floats()[..padded(rows) * stride].split_at_mut(rows * stride);
            padding.fill(0.0);
            let instructions = cpu.instructions();
            cpu.pool.for_rows(dx, stride, |first, dx| {
                instructions.dispatch(
                    #[inline(always)]
                    || self.pass_on(&read, [of_gamma, of_beta], first, dx),
                );
            });
        }
        cpu.scratch = scratch;
    }
}
