//! Copies blocks of the two factors into the order in which tiles read them, so that the inner loop meets neither
//! strides nor ragged edges: missing rows and columns are zeros here, and their results are never stored.

use core::ops::Range;

use super::Matrix;

/// Rows or columns transposed together: large enough to be done with whole registers, small enough to stay in them.
const BLOCK: usize = 8;

/// Packs rows × depths of `a` as strips of `STRIP` rows: a strip holds `STRIP` floats per step of k.
#[inline(always)]
pub(super) fn left<const STRIP: usize>(a: &Matrix<'_>, rows: Range<usize>, depths: Range<usize>, packed: &mut [f32]) {
    let strip_length = STRIP * depths.len();
    let starts = rows.clone().step_by(STRIP);
    for (strip, row) in packed.chunks_exact_mut(strip_length.max(1)).zip(starts) {
        let used = row..rows.end.min(row + STRIP);
        lines(&a.transposed(), depths.clone(), used, STRIP, strip);
    }
}

/// Packs `depths` × `columns` of `b`, `width` floats per step of k with zeros after the last column.
#[inline(always)]
pub(super) fn lines(b: &Matrix<'_>, depths: Range<usize>, columns: Range<usize>, width: usize, packed: &mut [f32]) {
    let lines = packed.chunks_exact_mut(width);
    if b.column_stride == 1 {
        for (line, depth) in lines.zip(depths) {
            let from = &b.data[depth * b.row_stride + columns.start..][..columns.len()];
            let (used, rest) = line.split_at_mut(columns.len());
            copy(from, used);
            rest.fill(0.0);
        }
    } else if b.row_stride == 1 {
        transposed(b, depths, columns, width, packed);
    } else {
        for (line, depth) in lines.zip(depths) {
            line.fill(0.0);
            for (value, column) in line.iter_mut().zip(columns.clone()) {
                *value = b.data[depth * b.row_stride + column * b.column_stride];
            }
        }
    }
}

/// Copies in blocks of a constant size: a call of `memcpy` costs more than such short lines do.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let (from_blocks, from_rest) = from.as_chunks::<BLOCK>();
    let (to_blocks, to_rest) = to.as_chunks_mut::<BLOCK>();
    for (from, to) in from_blocks.iter().zip(to_blocks) {
        *to = *from;
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = *from;
    }
}

/// [`lines`] of a matrix whose columns are contiguous, by square blocks.
#[inline(always)]
fn transposed(b: &Matrix<'_>, depths: Range<usize>, columns: Range<usize>, width: usize, packed: &mut [f32]) {
    let column = |column: usize| &b.data[column * b.column_stride + depths.start..][..depths.len()];
    for offset in (0..width).step_by(BLOCK) {
        let first = columns.start + offset;
        if first + BLOCK <= columns.end && offset + BLOCK <= width {
            square_blocks(core::array::from_fn(|index| column(first + index)), offset, width, packed);
            continue;
        }
        for (offset, index) in (offset..width.min(offset + BLOCK)).zip(first..) {
            let values = packed.iter_mut().skip(offset).step_by(width);
            if index < columns.end {
                values.zip(column(index)).for_each(|(value, &from)| *value = from);
            } else {
                values.for_each(|value| *value = 0.0);
            }
        }
    }
}

/// Writes eight columns of equal length across `packed`, whose lines are `width` long, from `offset` on.
#[inline(always)]
fn square_blocks(columns: [&[f32]; BLOCK], offset: usize, width: usize, packed: &mut [f32]) {
    let depth = columns[0].len();
    let whole = depth - depth % BLOCK;
    let mut block = [[0.0; BLOCK]; BLOCK];
    for (start, lines) in (0..whole).step_by(BLOCK).zip(packed.chunks_exact_mut(BLOCK * width)) {
        for (row, column) in block.iter_mut().zip(columns) {
            row.copy_from_slice(&column[start..start + BLOCK]);
        }
        for (index, line) in lines.chunks_exact_mut(width).enumerate() {
            let line = &mut line[offset..offset + BLOCK];
            for (value, row) in line.iter_mut().zip(&block) {
                *value = row[index];
            }
        }
    }
    for (index, line) in packed.chunks_exact_mut(width).enumerate().take(depth).skip(whole) {
        for (value, column) in line[offset..].iter_mut().zip(columns) {
            *value = column[index];
        }
    }
}
