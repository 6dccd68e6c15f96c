//! Products with so few rows that packing B would cost more than the arithmetic: B is read once, in place.

use pulp::Simd;

use super::Part;
use super::target::Target;
use crate::cpu::machine::multiply_add;

/// Rows of B added in one pass over a row of C, so that C is loaded and stored once for all of them.
const STEPS: usize = 8;

impl<T: Target> Part<'_, T> {
    /// Each row of C is a sum of rows of B, which must have consecutive columns. Needs a target that keeps sums.
    #[inline(always)]
    pub(super) fn few_rows<S: Simd>(self, simd: S) {
        let Part { a, b, rows, columns, mut target, .. } = self;
        let factor = |row: usize, k: usize| a.data[row * a.row_stride + k * a.column_stride];
        let line = |k: usize| &b.data[k * b.row_stride + columns.start..][..columns.len()];
        let whole = a.columns - a.columns % STEPS;
        for k in (0..whole).step_by(STEPS) {
            for row in rows.clone() {
                let Some(mut sums) = target.tile::<1>(row, &columns) else { return };
                let factors: [f32; STEPS] = core::array::from_fn(|step| factor(row, k + step));
                let lines: [&[f32]; STEPS] = core::array::from_fn(|step| line(k + step));
                if k == 0 {
                    sums.row(0).fill(0.0);
                }
                add(simd, factors, lines, sums.row(0));
            }
        }
        for k in whole..a.columns {
            for row in rows.clone() {
                let Some(mut sums) = target.tile::<1>(row, &columns) else { return };
                if k == 0 {
                    sums.row(0).fill(0.0);
                }
                add(simd, [factor(row, k)], [line(k)], sums.row(0));
            }
        }
        // They are in the matrix.
        target.finish(rows, &columns, &mut [], columns.len());
    }
}

/// Adds the lines, each times its factor, to `sums`, in their order.
#[inline(always)]
pub(super) fn add<S: Simd, const STEPS: usize>(
    simd: S,
    factors: [f32; STEPS],
    lines: [&[f32]; STEPS],
    sums: &mut [f32],
) {
    let factors = factors.map(|factor| simd.splat_f32s(factor));
    let lines = lines.map(|line| S::as_simd_f32s(line));
    let (whole, rest) = S::as_mut_simd_f32s(sums);
    let lines_whole = lines.map(|(line, _)| &line[..whole.len()]);
    for (index, sum) in whole.iter_mut().enumerate() {
        for (factor, line) in factors.iter().zip(lines_whole) {
            *sum = multiply_add(simd, *factor, line[index], *sum);
        }
    }
    if !rest.is_empty() {
        let mut sum = simd.partial_load_f32s(rest);
        for (factor, (_, line)) in factors.iter().zip(lines) {
            sum = multiply_add(simd, *factor, simd.partial_load_f32s(line), sum);
        }
        simd.partial_store_f32s(rest, sum);
    }
}
