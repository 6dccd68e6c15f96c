//! The inner loop: a tile of C, `ROWS` rows by `WIDTH` vectors, whose sums stay in registers while k passes.

use pulp::{NullaryFnOnce, Simd};

use super::Matrix;
use super::output::Tile;
use crate::cpu::machine::multiply_add;

/// The sums of a tile.
type Sums<S, const ROWS: usize, const WIDTH: usize> = [[<S as Simd>::f32s; WIDTH]; ROWS];

/// Where a tile's left factor is read from, `ROWS` rows at a time.
#[derive(Clone, Copy)]
pub(super) enum Left<'a, const ROWS: usize> {
    /// `ROWS` floats per step of k, for some steps of the panel only: the others are zero for all rows.
    Packed(&'a [[f32; ROWS]], &'a [u32]),
    /// A matrix with consecutive columns: the data at the first row, and the stride between rows.
    Rows(&'a [f32], usize),
    /// A matrix with consecutive rows: the data at the first row, and the stride between steps of k.
    Columns(&'a [f32], usize),
}

impl<'a, const ROWS: usize> Left<'a, ROWS> {
    /// The rows from `row` and steps of k from `depth` read in place; None where neither stride is one.
    pub(super) fn in_place(a: &Matrix<'a>, row: usize, depth: usize) -> Option<Left<'a, ROWS>> {
        let data = a.data.get(row * a.row_stride + depth * a.column_stride..)?;
        match (a.row_stride, a.column_stride) {
            (stride, 1) => Some(Left::Rows(data, stride)),
            (1, stride) => Some(Left::Columns(data, stride)),
            _ => None,
        }
    }
}

/// Adds to a tile the product of `left` and `right`, a packed panel with `WIDTH` vectors per step of k. A `fresh` tile
/// counts as zeros, whatever it holds.
///
/// A function of its own: where it is part of a larger one the compiler does not find registers for all the sums, and
/// the product takes twice the time.
#[inline(always)]
pub(super) fn accumulate<S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    tile: &mut Tile<'_, ROWS>,
    fresh: bool,
    left: Left<'_, ROWS>,
    right: &[[S::f32s; WIDTH]],
) {
    simd.vectorize(Accumulate { simd, tile, fresh, left, right });
}

struct Accumulate<'a, 'b, S: Simd, const ROWS: usize, const WIDTH: usize> {
    simd: S,
    tile: &'a mut Tile<'b, ROWS>,
    fresh: bool,
    left: Left<'a, ROWS>,
    right: &'a [[S::f32s; WIDTH]],
}

impl<S: Simd, const ROWS: usize, const WIDTH: usize> NullaryFnOnce for Accumulate<'_, '_, S, ROWS, WIDTH> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Accumulate { simd, tile, fresh, left, right } = self;
        let mut sums: Sums<S, ROWS, WIDTH> = [[simd.splat_f32s(0.0); WIDTH]; ROWS];
        if !fresh {
            for (row, sums) in sums.iter_mut().enumerate() {
                if let Some(row) = S::as_simd_f32s(tile.row(row)).0.first_chunk() {
                    *sums = *row;
                }
            }
        }
        match left {
            Left::Packed(values, steps) if values.len() < right.len() => {
                for (a, &k) in values.iter().zip(steps) {
                    let Some(b) = right.get(k as usize) else { break };
                    step(simd, &mut sums, *a, b);
                }
            }
            Left::Packed(values, _) => {
                for (a, b) in values.iter().zip(right) {
                    step(simd, &mut sums, *a, b);
                }
            }
            Left::Columns(data, stride) => {
                for (a, b) in data.chunks(stride).zip(right) {
                    let Some(a) = a.first_chunk::<ROWS>() else { break };
                    step(simd, &mut sums, *a, b);
                }
            }
            Left::Rows(data, stride) => {
                // Cutting every row to one length lets the compiler drop the bounds checks inside the loop.
                let depth = right.len();
                let rows: [&[f32]; ROWS] = core::array::from_fn(|row| &data[row * stride..][..depth]);
                for (k, b) in right.iter().enumerate() {
                    let mut a = [0.0; ROWS];
                    for (a, row) in a.iter_mut().zip(&rows) {
                        *a = row[k];
                    }
                    step(simd, &mut sums, a, b);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            if let Some(row) = S::as_mut_simd_f32s(tile.row(row)).0.first_chunk_mut() {
                *row = *sums;
            }
        }
    }
}

#[inline(always)]
fn step<S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    sums: &mut Sums<S, ROWS, WIDTH>,
    a: [f32; ROWS],
    b: &[S::f32s; WIDTH],
) {
    for (sums, a) in sums.iter_mut().zip(a) {
        let a = simd.splat_f32s(a);
        for (sum, &b) in sums.iter_mut().zip(b) {
            // Fused where the machine fuses; always the same of the two on one machine.
            *sum = multiply_add(simd, a, b, *sum);
        }
    }
}
