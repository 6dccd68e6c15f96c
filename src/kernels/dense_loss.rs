//! dense_loss: the last layer, its loss and the gradients of its outputs and inputs, row by row. For few outputs: then
//! it is one launch where there were three, and z stays where it is made. 2·B·I·C floating-point operations, twice with the
//! gradient of the inputs.

use super::loss::RowLoss;
use super::product::Family;
use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, Work, blocks, padded};
use crate::cpu::Cpu;
use crate::cpu::product::{Destination, Matrix, product};
use crate::net::activation::Activation;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `dense_loss`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLoss {
    /// The layer's features in, I. Those out are the loss's.
    pub inputs: usize,
    /// Where the bias starts in `weights`, in numbers; `None` without a bias.
    pub bias_offset: Option<usize>,
    /// The loss, and whether gradients are wanted.
    pub loss: RowLoss,
    /// f, the activation of the layer before, if the gradient of the inputs is wanted; linear for none.
    pub before: Option<Activation>,
    /// How it is shared out on a GPU.
    pub tile: Tile,
}

/// How `dense_loss` is shared out on a GPU: a workgroup has `lines` × `splits` invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Lines of a workgroup, of `rows` rows each.
    pub lines: usize,
    /// Rows that an invocation has a part in: 1, 2 or 4.
    pub rows: usize,
    /// Invocations that share the sums of a line, a power of two, and no fewer than it has rows.
    pub splits: usize,
}

/// More outputs are a matter for a product of their own.
pub const MOST_OUTPUTS: usize = 32;

/// Bytes of the kernel that a GPU's caches may have to give for a batch: a twentieth of a millisecond on a large one.
const MOST_READ: usize = 1 << 28;

/// Whether a layer and its loss are better one launch on such a device: a kernel that is read anew for few rows at a time must
/// not be large, or the batch not.
pub(crate) fn pays(inputs: usize, outputs: usize, capacity: usize, family: Family) -> bool {
    let rows = Tile::choose(inputs, outputs, capacity, family).rows;
    let kernel = 4 * padded(inputs) * padded(outputs);
    outputs <= MOST_OUTPUTS && (family != Family::Hardware || 2 * kernel * capacity / rows <= MOST_READ)
}

/// Blocks of outputs that an invocation makes at most: it has them in registers, and the loops over them are unrolled, which
/// drivers' compilers take their time for.
const MOST_BLOCKS: usize = 12;

/// Fewer workgroups would leave a large GPU partly idle.
const BUSY_WORKGROUPS: usize = 128;

impl Tile {
    /// The tile for a layer on such a device. A workgroup reads all of W twice, so the more rows it has the better, but a GPU's
    /// multiprocessors want work, each of them. A software driver wants few invocations: each barrier stores what all of them
    /// have in registers.
    pub fn choose(inputs: usize, outputs: usize, capacity: usize, family: Family) -> Tile {
        let busy = |rows: usize| family != Family::Hardware || capacity / rows >= BUSY_WORKGROUPS;
        let serves = |&rows: &usize| rows * blocks(outputs) <= MOST_BLOCKS && busy(rows);
        let rows = [4, 2].into_iter().find(serves).unwrap_or(1);
        match family {
            Family::Hardware => Tile { lines: 1, rows, splits: blocks(inputs).next_power_of_two().clamp(32, 128) },
            Family::Software | Family::SoftwareSubgroups => Tile { lines: 4, rows, splits: 4 },
        }
    }

    fn workgroup(self) -> usize {
        self.lines * self.splits
    }
}

impl DenseLoss {
    fn outputs(&self) -> usize {
        self.loss.targets.columns
    }
}

impl Operation for DenseLoss {
    const DEFINITION: Definition = Definition {
        name: "dense_loss",
        source: include_str!("../../shaders/dense_loss.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::words("labels"),
            Binding::write("gradient").stored(),
            Binding::write("rows"),
            Binding::write("dx").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Made(&["gradient", "dx"]);

    fn header(&self, header: &mut Header) {
        debug_assert!(self.tile.splits >= self.tile.rows, "an invocation has one row's loss at most");
        self.loss.header(header, self.tile.workgroup(), 1);
        self.before.unwrap_or(Activation::Linear).header(header);
        header
            .number("LINES", self.tile.lines)
            .number("ROWS", self.tile.rows)
            .number("SPLITS", self.tile.splits)
            .number("DEPTH_BLOCKS", blocks(self.inputs))
            .number("INPUTS", self.inputs)
            .flag("HAS_BIAS", self.bias_offset.is_some())
            .number("BIAS_OFFSET", self.bias_offset.unwrap_or(0) / 4)
            .flag("INPUT_GRADIENT", self.before.is_some());
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = self.loss.parts();
        parts.push(shader::ACTIVATION);
        parts
    }

    fn workgroups(&self, capacity: usize) -> usize {
        padded(capacity).div_ceil(self.tile.lines * self.tile.rows)
    }

    fn work(&self, rows: usize, bound: u64) -> Work {
        let products = if self.before.is_some() { 2 } else { 1 };
        Work { flops: products * 2 * (rows * self.inputs * self.outputs()) as u64, bytes: bound }
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        self.reference_scaled(F::one(), step, inputs, outputs);
    }

    fn reference_scaled<F: Real>(
        &self,
        scale: F,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        let (x, weights, count) = (inputs[0].floats(), inputs[1].floats(), step.rows as usize);
        let (x_stride, z_stride) = (padded(self.inputs), padded(self.outputs()));
        let mut z = vec![F::zero(); count * z_stride];
        for (row, z) in z.chunks_exact_mut(z_stride).enumerate() {
            for (column, z) in z.iter_mut().enumerate().take(self.outputs()) {
                for i in 0..self.inputs {
                    *z += x[row * x_stride + i] * weights[i * z_stride + column];
                }
                *z += self.bias_offset.map_or(F::zero(), |offset| weights[offset + column]);
            }
        }
        let [made @ .., dx] = outputs else { return };
        self.loss.reference(scale, step, &[Input::Floats(&z), inputs[2]], made);
        let Some(before) = self.before else { return };
        let (gradient, dx) = (made[0].floats(), dx.floats());
        dx[..padded(count) * x_stride].fill(F::zero());
        for row in 0..count {
            for i in 0..self.inputs {
                let mut sum = F::zero();
                for column in 0..self.outputs() {
                    sum += gradient[row * z_stride + column] * weights[i * z_stride + column];
                }
                dx[row * x_stride + i] = sum * before.derivative(x[row * x_stride + i]);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (count, columns) = (step.rows as usize, self.outputs());
        let (x_stride, z_stride) = (padded(self.inputs), padded(columns));
        let (x, weights) = (inputs[0].floats(), inputs[1].floats());
        let w = Matrix::row_major(weights, self.inputs, columns, z_stride);
        let bias = self.bias_offset.map(|offset| &weights[offset..offset + columns]);
        let mut z = std::mem::take(&mut cpu.scratch);
        z.resize(z.len().max(count * z_stride), 0.0);
        product(
            &cpu.pool,
            &mut cpu.workspace,
            Matrix::row_major(x, count, self.inputs, x_stride),
            w,
            &mut z,
            Destination::plain(z_stride),
            #[inline(always)]
            |_row: usize, first: usize, segment: &mut [f32]| {
                if let Some(bias) = bias {
                    segment.iter_mut().zip(&bias[first..]).for_each(|(z, b)| *z += b);
                }
            },
        );
        let [gradient, rows, dx] = outputs else { return };
        self.loss.run(cpu, step, (&z, inputs[2].words()), [gradient.floats(), rows.floats()]);
        cpu.scratch = z;
        let Some(before) = self.before else { return };
        // The rows that pad a smaller last batch: an earlier, larger one may have left its own there.
        dx.floats()[count * x_stride..padded(count) * x_stride].fill(0.0);
        product(
            &cpu.pool,
            &mut cpu.workspace,
            Matrix::row_major(gradient.floats(), count, columns, z_stride),
            w.transposed(),
            dx.floats(),
            Destination::plain(x_stride),
            #[inline(always)]
            |row: usize, first: usize, segment: &mut [f32]| {
                before.differentiate_all(&x[row * x_stride + first..][..segment.len()], segment);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_large_where_there_are_enough_of_them() {
        let tile = |rows, splits| Tile { lines: 1, rows, splits };
        assert_eq!(Tile::choose(512, 10, 128, Family::Hardware), tile(1, 128));
        assert_eq!(Tile::choose(512, 10, 1024, Family::Hardware), tile(4, 128));
        assert_eq!(Tile::choose(2048, 16, 4096, Family::Hardware), tile(2, 128));
        assert_eq!(Tile::choose(2048, 30, 4096, Family::Hardware), tile(1, 128));
        assert_eq!(Tile::choose(100, 10, 512, Family::Hardware), tile(4, 32));
        assert!(pays(512, 10, 128, Family::Hardware) && pays(2048, 10, 4096, Family::Hardware));
        assert!(pays(2048, 32, 128, Family::Hardware) && !pays(2048, 32, 4096, Family::Hardware));
        assert!(!pays(512, 33, 128, Family::Hardware) && !pays(512, 33, 128, Family::Software));
        assert_eq!(Tile::choose(512, 10, 128, Family::Software), Tile { lines: 4, rows: 4, splits: 4 });
    }
}
