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

    /// Copies what the matrix has of a row.
    fn load(&mut self, row: usize, columns: &Range<usize>, sums: &mut [f32]);

    /// Takes the sums of some columns of a row.
    fn store<S: Simd>(&mut self, simd: S, row: usize, columns: &Range<usize>, sums: &mut [f32]);

    /// Told when a tile is complete.
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>);

    /// Told which tile comes next.
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>);
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
    fn load(&mut self, row: usize, columns: &Range<usize>, sums: &mut [f32]) {
        sums.copy_from_slice(self.piece.segment(row, columns));
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, _simd: S, row: usize, columns: &Range<usize>, sums: &mut [f32]) {
        self.piece.segment(row, columns).copy_from_slice(sums);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _simd: S, rows: Range<usize>, columns: &Range<usize>) {
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

    fn load(&mut self, _row: usize, _columns: &Range<usize>, _sums: &mut [f32]) {}

    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, row: usize, columns: &Range<usize>, sums: &mut [f32]) {
        // Written out: a closure in a call of `map` would be compiled without the instructions that this may use.
        let [a, b, c, d] = &mut self.pieces;
        let segments =
            [a.segment(row, columns), b.segment(row, columns), c.segment(row, columns), d.segment(row, columns)];
        self.apply.apply(simd, sums, segments);
    }

    fn finish<S: Simd>(&mut self, _simd: S, _rows: Range<usize>, _columns: &Range<usize>) {}

    #[inline(always)]
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            self.pieces.iter_mut().for_each(|piece| piece.prefetch(row, columns));
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
    fn load(&mut self, row: usize, columns: &Range<usize>, sums: &mut [f32]) {
        sums.copy_from_slice(self.sums.segment(row, columns));
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, _simd: S, row: usize, columns: &Range<usize>, sums: &mut [f32]) {
        self.sums.segment(row, columns).copy_from_slice(sums);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            self.applied.store(simd, row, columns, self.sums.segment(row, columns));
        }
    }

    #[inline(always)]
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            self.sums.prefetch(row, columns);
        }
    }
}
