//! dense_backward_weights: dW = xᵀ·dz and db = Σ dz over the batch. 2·B·I·O floating-point operations.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, Work, blocks, padded};
use crate::cpu::Cpu;
use crate::cpu::product::{Destination, Matrix, column_sums, product, product_applied};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::gradients::Keep;
use super::product::{Product, Size, Tiling};
use super::shares::Shares;
use super::storage::Precision;
use crate::net::activation::Activation;

/// The parameters of `dense_backward_weights`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseBackwardWeights {
    /// Features in, I.
    pub inputs: usize,
    /// Features out, O.
    pub outputs: usize,
    /// Where the bias's gradient starts in `gradients`, in numbers; `None` without a bias.
    pub bias_offset: Option<usize>,
    /// How the product is computed on a GPU.
    pub tiling: Tiling,
    /// How the CPU device's threads share out the memory.
    pub shares: Shares,
    /// Whether gradients are added up over several batches.
    pub keep: Keep,
}

impl DenseBackwardWeights {
    /// The product's size in blocks for a batch of at most `capacity` rows.
    pub fn size(&self, capacity: usize) -> Size {
        Size { rows: blocks(self.inputs), columns: blocks(self.outputs), depth: blocks(capacity) }
    }
}

impl DenseBackwardWeights {
    /// The parts of the product alone.
    pub(super) fn product_parts(&self) -> Vec<Part> {
        let mut parts = self.tiling.parts();
        parts.push(shader::PRODUCT_WEIGHTS);
        parts
    }

    /// x and dz, as far as the batch goes.
    pub(super) fn factors<'a>(&self, step: &StepBlock, inputs: &[Input<'a, f32>]) -> (Matrix<'a>, Matrix<'a>) {
        let rows = step.rows as usize;
        let x = Matrix::row_major(inputs[0].floats(), rows, self.inputs, padded(self.inputs));
        let x = x.in_copies(self.shares.input);
        (x, Matrix::row_major(inputs[1].floats(), rows, self.outputs, padded(self.outputs)))
    }

    /// The gradients on top of those of the batches before.
    fn accumulate(&self, cpu: &mut Cpu, step: &StepBlock, (x, dz): (Matrix<'_>, Matrix<'_>), gradients: &mut [f32]) {
        let kept = self.keep.of(step);
        if let Some(offset) = self.bias_offset {
            let mut sums = std::mem::take(&mut cpu.scratch);
            sums.resize(sums.len().max(self.outputs), 0.0);
            column_sums(&cpu.pool, cpu.instructions(), dz, &mut sums[..self.outputs]);
            kept.keep(&mut gradients[offset..], &sums[..self.outputs]);
            cpu.scratch = sums;
        }
        let to = Destination { stride: padded(self.outputs), shares: self.shares.kernel };
        let changed = [gradients, &mut [], &mut [], &mut []];
        product_applied(&cpu.pool, &mut cpu.workspace, x.transposed(), dz, changed, to, &kept);
    }
}

impl Operation for DenseBackwardWeights {
    const DEFINITION: Definition = Definition {
        name: "dense_backward_weights",
        source: include_str!("../../shaders/dense_backward_weights.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("x").stored(),
            Binding::read("dz").stored(),
            Keep::Overwrite.binding(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Used("dz");

    fn definition(&self) -> Definition {
        const ACCUMULATED: &[Binding] =
            &[Binding::STEP, Binding::read("x").stored(), Binding::read("dz").stored(), Keep::Accumulate.binding()];
        match self.keep {
            Keep::Overwrite => Self::DEFINITION,
            Keep::Accumulate => Definition { bindings: ACCUMULATED, ..Self::DEFINITION },
        }
    }

    fn header(&self, header: &mut Header) {
        self.tiling.header(header);
        Activation::Linear.header(header);
        self.keep.header(header);
        header
            .number("ROW_BLOCKS", blocks(self.inputs))
            .number("COLUMN_BLOCKS", blocks(self.outputs))
            .number("INPUTS", self.inputs)
            .number("OUTPUTS", self.outputs)
            .number("BIAS_OFFSET", self.bias_offset.unwrap_or(0) / 4)
            .flag("SUM_COLUMNS", self.bias_offset.is_some());
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = self.product_parts();
        parts.push(shader::GRADIENTS);
        parts
    }

    fn product(&self, capacity: usize, precision: Precision) -> Option<Product> {
        Some(Product { operation: Self::DEFINITION.name, size: self.size(capacity), precision })
    }

    fn workgroups(&self, capacity: usize) -> usize {
        self.tiling.workgroups(self.size(capacity))
    }

    fn work(&self, rows: usize, bound: u64) -> Work {
        Work { flops: 2 * (rows * self.inputs * self.outputs) as u64, bytes: bound }
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, dz, gradients) = (inputs[0].floats(), inputs[1].floats(), outputs[0].floats());
        let (x_stride, z_stride, rows) = (padded(self.inputs), padded(self.outputs), step.rows as usize);
        let kept = self.keep.of(step);
        if self.keep == Keep::Overwrite {
            gradients[..x_stride * z_stride].fill(F::zero());
        }
        for i in 0..self.inputs {
            for o in 0..self.outputs {
                let mut sum = F::zero();
                for b in 0..rows {
                    sum += x[b * x_stride + i] * dz[b * z_stride + o];
                }
                let place = &mut gradients[self.shares.place(self.inputs, self.outputs, i, o)];
                *place = kept.sum(*place, sum);
            }
        }
        if let Some(offset) = self.bias_offset {
            for o in 0..z_stride {
                let mut sum = F::zero();
                for b in 0..rows {
                    sum += dz[b * z_stride + o];
                }
                gradients[offset + o] = kept.sum(gradients[offset + o], sum);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, dz) = self.factors(step, inputs);
        let gradients = outputs[0].floats();
        if self.keep == Keep::Accumulate {
            return self.accumulate(cpu, step, (x, dz), gradients);
        }
        if let Some(offset) = self.bias_offset {
            column_sums(&cpu.pool, cpu.instructions(), dz, &mut gradients[offset..offset + self.outputs]);
        }
        let to = Destination { stride: padded(self.outputs), shares: self.shares.kernel };
        product(&cpu.pool, &mut cpu.workspace, x.transposed(), dz, gradients, to, |_, _, _| {});
    }
}
