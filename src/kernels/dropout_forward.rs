//! dropout_forward: y = x / (1 − rate) where a number is kept, else 0: Keras's inverted dropout. Moves 8 bytes an element,
//! in half precision half of that; the mask is hashed where it is wanted and never stored.

use super::hash::Draws;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `dropout_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutForward {
    /// Features of a row.
    pub columns: usize,
    /// The share of numbers that is dropped, from 0 to 1.
    pub rate: f32,
    /// Whose random words decide.
    pub draws: Draws,
}

impl DropoutForward {
    /// A number is dropped where its random word is below this: a comparison of whole numbers, the same on every device.
    fn threshold(&self) -> u32 {
        // Exact but for the last rounding; a float that is too large becomes the largest number.
        (f64::from(self.rate) * 4_294_967_296.0).round() as u32
    }

    /// What is kept is multiplied by this. With a rate of 1 nothing is, but for a number in 2³², and even that becomes zero.
    fn scale(&self) -> f32 {
        if self.rate < 1.0 { (1.0 / (1.0 - f64::from(self.rate))) as f32 } else { 0.0 }
    }

    /// The constants of the shader's header, backward as forward.
    pub(super) fn constants(&self, header: &mut Header) {
        header
            .number("WORKGROUP", WORKGROUP)
            .number("COLUMN_BLOCKS", blocks(self.columns))
            .number("THRESHOLD", self.threshold() as usize)
            .float("SCALE", self.scale());
        self.draws.header(header);
    }

    /// The operation, which does to gradients what it does to numbers.
    pub(super) fn plain<F: Real>(&self, step: &StepBlock, x: &[F], y: &mut [F]) {
        let (draws, stride) = (self.draws.of_batch(step), padded(self.columns));
        for row in 0..padded(step.rows as usize) {
            for column in 0..stride {
                let at = row * stride + column;
                let word = draws.words(row as u32, (column / 4) as u32)[column % 4];
                y[at] = if word >= self.threshold() { F::of(self.scale()) * x[at] } else { F::zero() };
            }
        }
    }

    /// The same on the CPU device's threads.
    pub(super) fn shared(&self, cpu: &Cpu, step: &StepBlock, x: &[f32], y: &mut [f32]) {
        let (draws, stride) = (self.draws.of_batch(step), padded(self.columns));
        let (threshold, scale) = (self.threshold(), self.scale());
        let y = &mut y[..padded(step.rows as usize) * stride];
        let instructions = cpu.instructions();
        cpu.pool.for_rows(y, stride, |first, y| {
            // Inlined, or it would not be compiled for the instructions that are chosen here.
            instructions.dispatch(
                #[inline(always)]
                || {
                    let rows = y.chunks_exact_mut(stride).zip(x[first * stride..].chunks_exact(stride));
                    for (row, (y, x)) in (first as u32..).zip(rows) {
                        let ((y, _), (x, _)) = (y.as_chunks_mut::<4>(), x.as_chunks::<4>());
                        for (column, (y, x)) in (0u32..).zip(y.iter_mut().zip(x)) {
                            let words = draws.words(row, column);
                            *y = std::array::from_fn(|i| if words[i] >= threshold { scale * x[i] } else { 0.0 });
                        }
                    }
                },
            );
        });
    }
}

impl Operation for DropoutForward {
    const DEFINITION: Definition = Definition {
        name: "dropout_forward",
        source: include_str!("../../shaders/dropout_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("x").stored(), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        self.constants(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::HASH]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        self.plain(step, inputs[0].floats(), outputs[0].floats());
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        self.shared(cpu, step, inputs[0].floats(), outputs[0].floats());
    }
}
