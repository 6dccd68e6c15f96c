//! rescale_forward: y = scale·x + offset, Keras's `Rescaling`. Moves 8 bytes an element, in half precision half of that.

use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `rescale_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct RescaleForward {
    /// Features of a row.
    pub columns: usize,
    /// What each number is multiplied by.
    pub scale: f32,
    /// What is then added.
    pub offset: f32,
}

impl Operation for RescaleForward {
    const DEFINITION: Definition = Definition {
        name: "rescale_forward",
        source: include_str!("../../shaders/rescale_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("x").stored(), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        header
            .number("WORKGROUP", WORKGROUP)
            .number("COLUMNS", self.columns)
            .number("COLUMN_BLOCKS", blocks(self.columns))
            .float("SCALE", self.scale)
            .float("OFFSET", self.offset);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, y) = (inputs[0].floats(), outputs[0].floats());
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        y[..padded(rows) * stride].fill(F::zero());
        for row in 0..rows {
            for at in row * stride..row * stride + self.columns {
                y[at] = F::of(self.scale) * x[at] + F::of(self.offset);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, stride, rows) = (inputs[0].floats(), padded(self.columns), step.rows as usize);
        let fill = |first: usize, y: &mut [f32]| {
            for (row, y) in (first..rows).zip(y.chunks_exact_mut(stride)) {
                let x = &x[row * stride..][..self.columns];
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = self.scale * x + self.offset);
            }
        };
        let y = outputs[0].floats();
        // The rows that pad a smaller last batch: an earlier, larger one may have left its own there.
        y[rows * stride..padded(rows) * stride].fill(0.0);
        let instructions = cpu.instructions();
        cpu.pool.for_rows(&mut y[..rows * stride], stride, |first, block| {
            instructions.dispatch(|| fill(first, block));
        });
    }
}
