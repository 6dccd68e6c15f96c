//! dense_forward: y = f(x·W + b). 2·B·I·O floating-point operations.

use super::{Binding, Definition, Input, Operation, Output, Real, Work, blocks, padded};
use crate::cpu::Cpu;
use crate::cpu::product::{Destination, Matrix, product};
use crate::shader::{Header, Part};
use crate::step::StepBlock;

use super::product::{Product, Size, Tiling};
use super::shares::Shares;
use super::storage::Precision;
use crate::net::activation::Activation;

/// The parameters of `dense_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseForward {
    /// Features in, I.
    pub inputs: usize,
    /// Features out, O.
    pub outputs: usize,
    /// Where the bias starts in `weights`, in numbers; `None` without a bias.
    pub bias_offset: Option<usize>,
    /// f.
    pub activation: Activation,
    /// How the product is computed on a GPU.
    pub tiling: Tiling,
    /// How the CPU device's threads share out the memory.
    pub shares: Shares,
}

impl DenseForward {
    /// The product's size in blocks for a batch of at most `capacity` rows.
    pub fn size(&self, capacity: usize) -> Size {
        Size { rows: blocks(capacity), columns: blocks(self.outputs), depth: blocks(self.inputs) }
    }
}

impl Operation for DenseForward {
    const DEFINITION: Definition = Definition {
        name: "dense_forward",
        source: include_str!("../../shaders/dense_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("x").stored(), Binding::read("weights"), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        self.tiling.header(header);
        self.activation.header(header);
        header
            .number("DEPTH_BLOCKS", blocks(self.inputs))
            .number("COLUMN_BLOCKS", blocks(self.outputs))
            .number("OUTPUTS", self.outputs)
            .flag("HAS_BIAS", self.bias_offset.is_some())
            .number("BIAS_OFFSET", self.bias_offset.unwrap_or(0) / 4)
            .flag("SUM_COLUMNS", false);
    }

    fn parts(&self) -> Vec<Part> {
        self.tiling.parts()
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
        let (x, weights, y) = (inputs[0].floats(), inputs[1].floats(), outputs[0].floats());
        let (x_stride, y_stride) = (padded(self.inputs), padded(self.outputs));
        y[..padded(step.rows as usize) * y_stride].fill(F::zero());
        for b in 0..step.rows as usize {
            for o in 0..self.outputs {
                let mut z = F::zero();
                for i in 0..self.inputs {
                    let w = weights[self.shares.place(self.inputs, self.outputs, i, o)];
                    z += x[b * x_stride + i] * self.tiling.factor(w);
                }
                let bias = self.bias_offset.map_or(F::zero(), |offset| weights[offset + o]);
                y[b * y_stride + o] = self.activation.activate(z + bias);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (rows, stride) = (step.rows as usize, padded(self.outputs));
        let x =
            Matrix::row_major(inputs[0].floats(), rows, self.inputs, padded(self.inputs)).in_copies(self.shares.input);
        let weights = inputs[1].floats();
        let w = Matrix::row_major(weights, self.inputs, self.outputs, stride).in_shares(self.shares.kernel);
        let bias = self.bias_offset.map(|offset| &weights[offset..offset + self.outputs]);
        let activation = self.activation;
        // The rows that pad a smaller last batch: an earlier, larger one may have left its own there.
        outputs[0].floats()[rows * stride..padded(rows) * stride].fill(0.0);
        product(
            &cpu.pool,
            &mut cpu.workspace,
            x,
            w,
            outputs[0].floats(),
            Destination::plain(stride),
            #[inline(always)]
            |_row: usize, first: usize, segment: &mut [f32]| {
                if let Some(bias) = bias {
                    segment.iter_mut().zip(&bias[first..]).for_each(|(z, b)| *z += b);
                }
                activation.activate_all(segment);
            },
        );
    }
}
