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
    fn store(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &[f32], width: usize);

    /// Told when a tile is complete. Its sums are in the matrix, or, where there is none, in `sums`.
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize);

    /// Told which tile comes next.
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>);
}

/// Sums that are written to a matrix, where they wait for their last steps of k; `then` says what becomes of them.
pub(super) struct Written<'a, F> {
    pub(super) piece: Piece<'a>,
    pub(super) then: F,
}

/// What becomes of finished sums in a matrix.
pub(super) trait Then {
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, piece: &mut Piece<'_>);
}

impl<F: Then> Target for Written<'_, F> {
    const KEEPS_SUMS: bool = true;

    #[inline(always)]
    fn tile<const ROWS: usize>(&mut self, first_row: usize, columns: &Range<usize>) -> Option<Tile<'_, ROWS>> {
        self.piece.tile(first_row, columns)
    }

    #[inline(always)]
    fn load(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        for (sums, row) in sums.chunks_mut(width).zip(rows) {
            sums[..columns.len()].copy_from_slice(self.piece.segment(row, columns));
        }
    }

    #[inline(always)]
    fn store(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &[f32], width: usize) {
        for (sums, row) in sums.chunks(width).zip(rows) {
            self.piece.segment(row, columns).copy_from_slice(&sums[..columns.len()]);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, _: &mut [f32], _: usize) {
        self.then.finish(simd, rows, columns, &mut self.piece);
    }

    #[inline(always)]
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            self.piece.prefetch(row, columns);
        }
    }
}

/// They are changed where they are.
pub(super) struct Epilogue<'a, E>(pub(super) &'a E);

impl<E: Fn(usize, usize, &mut [f32]) + Sync> Then for Epilogue<'_, E> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, _simd: S, rows: Range<usize>, columns: &Range<usize>, piece: &mut Piece<'_>) {
        for row in rows {
            (self.0)(row, columns.start, piece.segment(row, columns));
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

/// Sums are used to change other matrices of the same shape: at once, and are then not kept themselves, or from the matrix
/// in which they waited.
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

    fn store(&mut self, _: Range<usize>, _: &Range<usize>, _: &[f32], _: usize) {}

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

impl<A: Apply> Then for Applied<'_, A> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>, piece: &mut Piece<'_>) {
        for row in rows {
            let sums = piece.segment(row, columns);
            Target::finish(self, simd, row..row + 1, columns, sums, columns.len());
        }
    }
}
