//! Where the sums of a product go: into a matrix, or straight to those who wait for them.

use core::ops::Range;

use pulp::Simd;

use super::output::{Piece, Tile};
use super::{Apply, CHANGED};

/// What takes the sums of one task's part of a product.
pub(super) trait Target {
    /// Whether there is a matrix in which the sums of earlier steps of k wait for those of later ones.
    const KEEPS_SUMS: bool;

    /// A tile of that matrix, if there is one and it has the whole tile.
    fn tile<const ROWS: usize>(&mut self, first_row: usize, columns: &Range<usize>) -> Option<Tile<'_, ROWS>>;

    /// Copies what the matrix has of some rows; each starts `width` elements after the one before.
    fn load(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize);

    /// The reverse of `load`; nothing where there is no matrix.
    fn store(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize);

    /// Told when a tile is complete. Its sums are in the matrix, or, where there is none, in `sums`.
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize);

    /// Told which tile comes next.
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>);
}

/// Calls `copy` with the segment of each row, and its place among the sums.
#[inline(always)]
fn each(
    piece: &mut Piece<'_>,
    rows: Range<usize>,
    columns: &Range<usize>,
    sums: &mut [f32],
    width: usize,
    copy: impl Fn(&mut [f32], &mut [f32]),
) {
    for (sums, row) in sums.chunks_mut(width).zip(rows) {
        copy(piece.segment(row, columns), &mut sums[..columns.len()]);
    }
}

/// Sums that are written to a matrix, and then changed there by an epilogue.
pub(super) struct Written<'a, E> {
    pub(super) piece: Piece<'a>,
    pub(super) epilogue: &'a E,
}

impl<E: Fn(usize, usize, &mut [f32]) + Sync> Target for Written<'_, E> {
    const KEEPS_SUMS: bool = true;

    #[inline(always)]
    fn tile<const ROWS: usize>(&mut self, first_row: usize, columns: &Range<usize>) -> Option<Tile<'_, ROWS>> {
        self.piece.tile(first_row, columns)
    }

    #[inline(always)]
    fn load(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        each(&mut self.piece, rows, columns, sums, width, |segment, sums| sums.copy_from_slice(segment));
    }

    #[inline(always)]
    fn store(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        each(&mut self.piece, rows, columns, sums, width, |segment, sums| segment.copy_from_slice(sums));
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, rows: Range<usize>, columns: &Range<usize>, _: &mut [f32], _: usize) {
        for row in rows {
            (self.epilogue)(row, columns.start, self.piece.segment(row, columns));
        }
    }

    #[inline(always)]
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            self.piece.prefetch(row, columns);
        }
    }
}

/// Finished sums, with the same segments of the matrices that they change.
pub(crate) struct Finished<'a, 'p> {
    sums: &'a mut [f32],
    /// From one row's sums to the next's.
    width: usize,
    pieces: &'a mut [Piece<'p>; CHANGED],
    rows: Range<usize>,
    columns: &'a Range<usize>,
}

impl Finished<'_, '_> {
    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The sums of a row, and the segments that they change: none of a matrix that is empty.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: usize) -> (&mut [f32], [&mut [f32]; CHANGED]) {
        let (at, columns) = (self.rows.start + row, self.columns);
        // Written out: a closure in a call of `map` would be compiled without the instructions that callers may use.
        let [a, b, c, d] = &mut *self.pieces;
        let segments = [a.segment(at, columns), b.segment(at, columns), c.segment(at, columns), d.segment(at, columns)];
        (&mut self.sums[row * self.width..][..columns.len()], segments)
    }
}

/// Sums that are used to change other matrices of the same shape, and not kept themselves.
pub(super) struct Applied<'a, A> {
    pub(super) pieces: [Piece<'a>; CHANGED],
    pub(super) apply: &'a A,
}

impl<A: Apply> Target for Applied<'_, A> {
    const KEEPS_SUMS: bool = false;

    fn tile<const ROWS: usize>(&mut self, _first_row: usize, _columns: &Range<usize>) -> Option<Tile<'_, ROWS>> {
        None
    }

    fn load(&mut self, _: Range<usize>, _: &Range<usize>, _: &mut [f32], _: usize) {}

    fn store(&mut self, _: Range<usize>, _: &Range<usize>, _: &mut [f32], _: usize) {}

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        self.apply.apply(simd, &mut Finished { sums, width, pieces: &mut self.pieces, rows, columns });
    }

    #[inline(always)]
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            for piece in &mut self.pieces {
                piece.prefetch(row, columns);
            }
        }
    }
}

/// Sums that are kept only until the last steps of k, and then used to change other matrices.
pub(super) struct Kept<'a, A> {
    pub(super) sums: Piece<'a>,
    pub(super) applied: Applied<'a, A>,
}

impl<A: Apply> Target for Kept<'_, A> {
    const KEEPS_SUMS: bool = true;

    #[inline(always)]
    fn tile<const ROWS: usize>(&mut self, first_row: usize, columns: &Range<usize>) -> Option<Tile<'_, ROWS>> {
        self.sums.tile(first_row, columns)
    }

    #[inline(always)]
    fn load(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        each(&mut self.sums, rows, columns, sums, width, |segment, sums| sums.copy_from_slice(segment));
    }

    #[inline(always)]
    fn store(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        each(&mut self.sums, rows, columns, sums, width, |segment, sums| segment.copy_from_slice(sums));
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, _: &mut [f32], _: usize) {
        for row in rows {
            let sums = self.sums.segment(row, columns);
            self.applied.finish(simd, row..row + 1, columns, sums, columns.len());
        }
    }

    #[inline(always)]
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            self.sums.prefetch(row, columns);
        }
    }
}
