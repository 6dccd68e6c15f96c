//! The register tile of the matrix product: `ROWS` rows by `WIDTH` vectors of C kept in registers while k runs.
//!
//! Every element of C is one chain of multiply-adds in ascending k, whatever the tile's shape, the kind of its left
//! factor or the number of threads; blocks of k continue the chain from what C holds. That is what makes results
//! bit-identical however C is divided.

use pulp::Simd;

use super::Matrix;

/// `ROWS` rows by `WIDTH` vectors of C.
pub(super) type Accumulators<S, const ROWS: usize, const WIDTH: usize> = [[<S as Simd>::f32s; WIDTH]; ROWS];

/// Where a tile's left factor is read from, `ROWS` rows at a time.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// `ROWS` consecutive floats per step of k, one step after another.
    Packed(&'a [f32]),
    /// A matrix with consecutive columns: the data at the first row, and the stride between rows.
    Rows(&'a [f32], usize),
    /// A matrix with consecutive rows: the data at the first row, and the stride between steps of k.
    Columns(&'a [f32], usize),
}

impl<'a> Left<'a> {
    /// The rows from `row` and steps of k from `depth` read in place; None where neither stride is one.
    pub(super) fn in_place(a: &Matrix<'a>, row: usize, depth: usize) -> Option<Left<'a>> {
        let data = a.data.get(row * a.row_stride + depth * a.column_stride..)?;
        match (a.row_stride, a.column_stride) {
            (stride, 1) => Some(Left::Rows(data, stride)),
            (1, stride) => Some(Left::Columns(data, stride)),
            _ => None,
        }
    }
}

/// Adds to `sums` the product of `left` and `right`, a packed panel with `WIDTH` vectors per step of k.
#[inline(always)]
pub(super) fn accumulate<S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    mut sums: Accumulators<S, ROWS, WIDTH>,
    left: Left<'_>,
    right: &[[S::f32s; WIDTH]],
) -> Accumulators<S, ROWS, WIDTH> {
    match left {
        Left::Packed(data) => {
            let (steps, _) = data.as_chunks::<ROWS>();
            for (a, b) in steps.iter().zip(right) {
                sums = step(simd, sums, a, b);
            }
        }
        Left::Columns(data, stride) => {
            for (a, b) in data.chunks(stride).zip(right) {
                let Some(a) = a.first_chunk::<ROWS>() else { break };
                sums = step(simd, sums, a, b);
            }
        }
        Left::Rows(data, stride) => {
            // Cutting every row to one length lets the compiler drop the bounds checks inside the loop.
            let depth = right.len();
            let rows: [&[f32]; ROWS] = core::array::from_fn(|row| &data[row * stride..][..depth]);
            for (k, b) in right.iter().enumerate() {
                sums = step_with(simd, sums, |row| rows[row][k], b);
            }
        }
    }
    sums
}

#[inline(always)]
fn step<S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    sums: Accumulators<S, ROWS, WIDTH>,
    a: &[f32; ROWS],
    b: &[S::f32s; WIDTH],
) -> Accumulators<S, ROWS, WIDTH> {
    step_with(
        simd,
        sums,
        #[inline(always)]
        |row| a[row],
        b,
    )
}

#[inline(always)]
fn step_with<S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    mut sums: Accumulators<S, ROWS, WIDTH>,
    a: impl Fn(usize) -> f32,
    b: &[S::f32s; WIDTH],
) -> Accumulators<S, ROWS, WIDTH> {
    for (row, sums) in sums.iter_mut().enumerate() {
        let a = simd.splat_f32s(a(row));
        for (sum, &b) in sums.iter_mut().zip(b) {
            // Fused where the machine fuses; always the same of the two on one machine.
            *sum = simd.mul_add_e_f32s(a, b, *sum);
        }
    }
    sums
}
