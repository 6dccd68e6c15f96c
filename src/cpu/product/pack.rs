//! Copies blocks of the two factors into the order in which tiles read them, so that the inner loop meets neither
//! strides nor ragged edges: missing rows and columns are zeros here, and their results are never stored.

use core::ops::Range;

use pulp::Simd;

use super::transpose::{Ribbon, SIDE, Square, transposed, upright};
use super::{Matrix, ROWS};

/// Packs a strip of at most [`ROWS`] rows of `a`: `ROWS` floats per step of k, zeros for missing rows. Steps in which the
/// whole strip is zero are left out; `steps` tells which are there, and the result is how many.
///
/// Dark pixels, one-hot features and padding make such steps common, and they add nothing: the caller need not multiply.
#[inline(always)]
pub(super) fn strip<S: Simd>(
    simd: S,
    a: &Matrix<'_>,
    rows: Range<usize>,
    depths: Range<usize>,
    values: &mut [[f32; ROWS]],
    steps: &mut [u32],
) -> usize {
    let mut kept = 0;
    let depth = depths.len();
    if rows.len() == ROWS && a.column_stride == 1 {
        let lines: [&[f32]; ROWS] =
            core::array::from_fn(|row| &a.data[(rows.start + row) * a.row_stride + depths.start..][..depth]);
        for start in (0..depth - depth % SIDE).step_by(SIDE) {
            let mut ribbon: Ribbon = [[0.0; SIDE]; ROWS];
            for (row, line) in ribbon.iter_mut().zip(&lines) {
                row.copy_from_slice(&line[start..start + SIDE]);
            }
            for (step, numbers) in upright(simd, ribbon).into_iter().enumerate() {
                keep(start + step, numbers, values, steps, &mut kept);
            }
        }
        for step in depth - depth % SIDE..depth {
            keep(step, lines.map(|line| line[step]), values, steps, &mut kept);
        }
    } else {
        for (step, k) in depths.enumerate() {
            let mut numbers = [0.0; ROWS];
            for (number, row) in numbers.iter_mut().zip(rows.clone()) {
                *number = a.data[row * a.row_stride + k * a.column_stride];
            }
            keep(step, numbers, values, steps, &mut kept);
        }
    }
    kept
}

/// Adds a step to a strip, unless it is zero. Written first and counted after: a step that is left out is overwritten by
/// the next, without a branch.
#[inline(always)]
fn keep(step: usize, numbers: [f32; ROWS], values: &mut [[f32; ROWS]], steps: &mut [u32], kept: &mut usize) {
    let bits = numbers.iter().fold(0, |bits, number| bits | number.to_bits());
    values[*kept] = numbers;
    steps[*kept] = step as u32;
    *kept += usize::from(bits & !SIGN != 0);
}

/// [`strip`] for all rows of a matrix whose rows lie side by side: step by step, so that memory is read in its order.
/// Strips are `pitch` steps of k apart.
#[inline(always)]
pub(super) fn strips_side_by_side(
    a: &Matrix<'_>,
    rows: Range<usize>,
    depths: Range<usize>,
    pitch: usize,
    values: &mut [[f32; ROWS]],
    steps: &mut [u32],
    kept: &mut [usize],
) {
    kept.fill(0);
    for (step, k) in depths.enumerate() {
        let line = &a.data[k * a.column_stride + rows.start..][..rows.len()];
        let (whole, rest) = line.as_chunks::<ROWS>();
        let mut places = values.chunks_exact_mut(pitch).zip(steps.chunks_exact_mut(pitch)).zip(kept.iter_mut());
        for (numbers, ((values, steps), kept)) in whole.iter().zip(places.by_ref()) {
            keep(step, *numbers, values, steps, kept);
        }
        if !rest.is_empty() {
            let mut numbers = [0.0; ROWS];
            numbers[..rest.len()].copy_from_slice(rest);
            // The places went on by none more than there are whole strips.
            places.by_ref().take(1).for_each(|((values, steps), kept)| keep(step, numbers, values, steps, kept));
        }
    }
}

/// The bit of an f32 that tells −0 from 0.
const SIGN: u32 = 1 << 31;

/// Whether there is neither an infinity nor a NaN among the numbers.
#[inline(always)]
pub(super) fn finite(numbers: &[f32]) -> bool {
    // As integers, whose maximum may be taken in any order, and so in vectors.
    numbers.iter().fold(0, |largest: u32, x| largest.max(x.to_bits() & !SIGN)) < f32::INFINITY.to_bits()
}

/// Packs `depths` × `columns` of `b`, `WIDTH` vectors per step of k with zeros after the last column.
#[inline(always)]
pub(super) fn panel<S: Simd, const WIDTH: usize>(
    simd: S,
    b: &Matrix<'_>,
    depths: Range<usize>,
    columns: Range<usize>,
    packed: &mut [f32],
) {
    let width = WIDTH * S::F32_LANES;
    let lines = packed.chunks_exact_mut(width).zip(depths.clone());
    if b.column_stride == 1 {
        for (line, depth) in lines {
            let from = &b.data[depth * b.row_stride + columns.start..][..columns.len()];
            let (from, rest) = S::as_simd_f32s(from);
            let (line, _) = S::as_mut_simd_f32s(line);
            match from.first_chunk::<WIDTH>() {
                Some(from) => line.copy_from_slice(from),
                None => {
                    for (index, vector) in line.iter_mut().enumerate() {
                        *vector = from.get(index).copied().unwrap_or_else(|| match index - from.len() {
                            0 => simd.partial_load_f32s(rest),
                            _ => simd.splat_f32s(0.0),
                        });
                    }
                }
            }
        }
    } else if b.row_stride == 1 {
        transposing(simd, b, depths, columns, width, packed);
    } else {
        for (line, depth) in lines {
            line.fill(0.0);
            for (value, column) in line.iter_mut().zip(columns.clone()) {
                *value = b.data[depth * b.row_stride + column * b.column_stride];
            }
        }
    }
}

/// [`panel`] of a matrix whose columns are contiguous, by squares.
#[inline(always)]
fn transposing<S: Simd>(
    simd: S,
    b: &Matrix<'_>,
    depths: Range<usize>,
    columns: Range<usize>,
    width: usize,
    packed: &mut [f32],
) {
    let depth = depths.len();
    let column = |column: usize| &b.data[column * b.column_stride + depths.start..][..depth];
    for offset in (0..width).step_by(SIDE) {
        let first = columns.start + offset;
        let whole = if first + SIDE <= columns.end && offset + SIDE <= width { depth - depth % SIDE } else { 0 };
        for start in (0..whole).step_by(SIDE) {
            let mut square: Square = [[0.0; SIDE]; SIDE];
            for (row, index) in square.iter_mut().zip(first..) {
                row.copy_from_slice(&column(index)[start..start + SIDE]);
            }
            let lines = packed[start * width..].chunks_exact_mut(width);
            for (line, numbers) in lines.zip(transposed(simd, square)) {
                line[offset..offset + SIDE].copy_from_slice(&numbers);
            }
        }
        for (offset, index) in (offset..width.min(offset + SIDE)).zip(first..) {
            let values = packed.iter_mut().skip(whole * width + offset).step_by(width);
            if index < columns.end {
                values.zip(&column(index)[whole..]).for_each(|(value, &from)| *value = from);
            } else {
                values.for_each(|value| *value = 0.0);
            }
        }
    }
}
