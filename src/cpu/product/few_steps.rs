//! Sums of very few terms, of which nothing is kept: the gradients of weights in small batches. Packing would cost more
//! than the arithmetic, and tiles would touch the memory that the sums change in small pieces.

use pulp::Simd;

use super::Part;
use super::blocks::ranges;
use super::few_rows::add;
use super::target::Target;

/// Sums of more terms are worth a tile.
const FEW_STEPS: usize = 8;
/// Columns of a row that are made at a time: their sums wait in the first-level cache for what is done with them.
const WIDTH: usize = 1024;
/// Rows of B that are added in one pass over the sums.
const STEPS: usize = 4;

impl<T: Target> Part<'_, T> {
    /// Whether the part is one for [`few_steps`](Self::few_steps).
    #[inline(always)]
    pub(super) fn has_few_steps(&self) -> bool {
        !T::KEEPS_SUMS && self.a.columns <= FEW_STEPS && self.b.column_stride == 1
    }

    /// Each row of C is a sum of a few rows of B, which must have consecutive columns, and goes straight to the target.
    #[inline(always)]
    pub(super) fn few_steps<S: Simd>(self, simd: S) {
        let Part { a, b, rows, columns, mut target, .. } = self;
        let mut sums = [0.0; WIDTH];
        let whole = a.columns - a.columns % STEPS;
        for start in columns.clone().step_by(WIDTH) {
            let columns = start..columns.end.min(start + WIDTH);
            let width = columns.len();
            let line = |k: usize| &b.data[k * b.row_stride + columns.start..][..width];
            // As many rows as fit, so that the target is called once for all of them.
            for rows in ranges(rows.clone(), WIDTH / width) {
                for (row, sums) in rows.clone().zip(sums.chunks_exact_mut(width)) {
                    let factor = |k: usize| a.data[row * a.row_stride + k * a.column_stride];
                    sums.fill(0.0);
                    for k in (0..whole).step_by(STEPS) {
                        let factors: [f32; STEPS] = core::array::from_fn(|step| factor(k + step));
                        add(simd, factors, core::array::from_fn(|step| line(k + step)), sums);
                    }
                    for k in whole..a.columns {
                        add(simd, [factor(k)], [line(k)], sums);
                    }
                }
                target.finish(rows, &columns, &mut sums, width);
            }
        }
    }
}
