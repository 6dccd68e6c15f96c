//! dense_backward_input: dx = (dz·Wᵀ) ⊙ f′(kept). 2·B·I·O floating-point operations.

use super::scale::Gradients;
use super::storage::Precision;
use super::{Binding, Definition, Input, Operation, Output, Real, Work, blocks, padded};
use crate::cpu::Cpu;
use crate::cpu::product::{Destination, Matrix, product};
use crate::shader::{Header, Part};
use crate::step::StepBlock;

use super::product::{Product, Size, Tiling};
use crate::net::activation::Activation;

/// The parameters of `dense_backward_input`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseBackwardInput {
    /// The layer's features in, I.
    pub inputs: usize,
    /// The layer's features out, O.
    pub outputs: usize,
    /// f, the activation of the layer before; linear for none.
    pub activation: Activation,
    /// How the product is computed.
    pub tiling: Tiling,
}

impl DenseBackwardInput {
    /// The product's size in blocks for a batch of at most `capacity` rows.
    pub fn size(&self, capacity: usize) -> Size {
        Size { rows: blocks(capacity), columns: blocks(self.inputs), depth: blocks(self.outputs) }
    }
}

impl Operation for DenseBackwardInput {
    const DEFINITION: Definition = Definition {
        name: "dense_backward_input",
        source: include_str!("../../shaders/dense_backward_input.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dz").stored(),
            Binding::read("weights"),
            Binding::read("kept").stored(),
            Binding::write("dx").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dx");

    fn header(&self, header: &mut Header) {
        self.tiling.header(header);
        self.activation.header(header);
        header
            .number("DEPTH_BLOCKS", blocks(self.outputs))
            .number("COLUMN_BLOCKS", blocks(self.inputs))
            .number("INPUTS", self.inputs)
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
        let (dz, weights, kept) = (inputs[0].floats(), inputs[1].floats(), inputs[2].floats());
        let dx = outputs[0].floats();
        let (z_stride, x_stride) = (padded(self.outputs), padded(self.inputs));
        dx[..padded(step.rows as usize) * x_stride].fill(F::zero());
        for b in 0..step.rows as usize {
            for i in 0..self.inputs {
                let mut sum = F::zero();
                for o in 0..self.outputs {
                    sum += dz[b * z_stride + o] * self.tiling.factor(weights[i * z_stride + o]);
                }
                dx[b * x_stride + i] = sum * self.activation.derivative(kept[b * x_stride + i]);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (rows, stride) = (step.rows as usize, padded(self.inputs));
        let dz = Matrix::row_major(inputs[0].floats(), rows, self.outputs, padded(self.outputs));
        let w = Matrix::row_major(inputs[1].floats(), self.inputs, self.outputs, padded(self.outputs));
        let kept = inputs[2].floats();
        let activation = self.activation;
        // The rows that pad a smaller last batch: an earlier, larger one may have left its own there.
        outputs[0].floats()[rows * stride..padded(rows) * stride].fill(0.0);
        product(
            &cpu.pool,
            &mut cpu.workspace,
            dz,
            w.transposed(),
            outputs[0].floats(),
            Destination::plain(stride),
            #[inline(always)]
            |row: usize, first: usize, segment: &mut [f32]| {
                let kept = &kept[row * stride + first..][..segment.len()];
                activation.differentiate_all(kept, segment);
            },
        );
    }
}
