//! gaussian_noise_forward: y = x + deviation·n, n being a normal number for each element: Keras's `GaussianNoise` in training.
//! The gradient passes as it is, so there is no backward form. Moves 8 bytes an element, in half precision half of that.

use super::hash::Draws;
use super::parts::noise;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `gaussian_noise_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianNoiseForward {
    /// Features of a row.
    pub columns: usize,
    /// The standard deviation of what is added.
    pub deviation: f32,
    /// Whose random words it is made of.
    pub draws: Draws,
}

impl Operation for GaussianNoiseForward {
    const DEFINITION: Definition = Definition {
        name: "gaussian_noise_forward",
        source: include_str!("../../shaders/gaussian_noise_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("x").stored(), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        header
            .number("WORKGROUP", WORKGROUP)
            .number("COLUMNS", self.columns)
            .number("COLUMN_BLOCKS", blocks(self.columns))
            .float("DEVIATION", self.deviation);
        self.draws.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::HASH, shader::NOISE]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, y) = (inputs[0].floats(), outputs[0].floats());
        let (draws, stride, rows) = (self.draws.of_batch(step), padded(self.columns), step.rows as usize);
        y[..padded(rows) * stride].fill(F::zero());
        for row in 0..rows {
            for column in 0..self.columns {
                let [a, b, c, d] = draws.words(row as u32, (column / 4) as u32);
                let pair = noise::exact::<F>(if column % 4 < 2 { [a, b] } else { [c, d] });
                let at = row * stride + column;
                y[at] = x[at] + F::of(self.deviation) * pair[column % 2];
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, y) = (inputs[0].floats(), outputs[0].floats());
        let (draws, stride, rows) = (self.draws.of_batch(step), padded(self.columns), step.rows as usize);
        let (y, padding) = y[..padded(rows) * stride].split_at_mut(rows * stride);
        padding.fill(0.0);
        let instructions = cpu.instructions();
        cpu.pool.for_rows(y, stride, |first, y| {
            // Inlined, or it would not be compiled for the instructions that are chosen here.
            instructions.dispatch(
                #[inline(always)]
                || {
                    let lines = y.chunks_exact_mut(stride).zip(x[first * stride..].chunks_exact(stride));
                    for (row, (line, x)) in (first as u32..).zip(lines) {
                        let ((y, _), (x, _)) = (line.as_chunks_mut::<4>(), x.as_chunks::<4>());
                        for (column, (y, x)) in (0u32..).zip(y.iter_mut().zip(x)) {
                            let [a, b, c, d] = draws.words(row, column);
                            let ([n, m], [o, p]) = (noise::normal_numbers([a, b]), noise::normal_numbers([c, d]));
                            let noise = [n, m, o, p];
                            *y = std::array::from_fn(|i| x[i] + self.deviation * noise[i]);
                        }
                        line[self.columns..].fill(0.0);
                    }
                },
            );
        });
    }
}
