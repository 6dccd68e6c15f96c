//! Where the sums of a product go: into a matrix, or straight to those who wait for them.
//!
//! A product is compiled for two kinds of [`Target`] only. What becomes of finished sums (bias, activation, an optimizer's
//! rule) is a function that a target calls, once a tile: a product for each would be most of what there is to compile.

use core::ops::Range;

use pulp::{NullaryFnOnce, Simd};

use super::output::{Piece, Tile};
use super::{Apply, CHANGED, Part};

/// Where the sums of one task's part of a product go, as long as it is not known with which instructions.
pub(super) trait Goal {
    /// Computes the part, whose sums go there.
    fn reach<S: Simd>(self, simd: S, part: Part<'_, ()>);
}

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
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize);

    /// Told which tile comes next.
    fn prefetch(&mut self, rows: Range<usize>, columns: &Range<usize>);
}

/// Sums that are kept in a matrix; `then` says what becomes of them.
pub(super) struct Kept<'a, F> {
    pub(super) piece: Piece<'a>,
    pub(super) then: F,
}

/// The same with certain instructions. Sums wait in the matrix for their last steps of k.
struct Written<'a, 't> {
    piece: Piece<'a>,
    then: &'t mut dyn Then,
}

/// What becomes of finished sums in a matrix.
trait Then {
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>, piece: &mut Piece<'_>);
}

/// A function with the instructions that it is called with.
struct With<S, F> {
    simd: S,
    call: F,
}

impl Target for Written<'_, '_> {
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
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>, _: &mut [f32], _: usize) {
        self.then.finish(rows, columns, &mut self.piece);
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

impl<E: Fn(usize, usize, &mut [f32])> Goal for Kept<'_, Epilogue<'_, E>> {
    #[inline(always)]
    fn reach<S: Simd>(self, simd: S, part: Part<'_, ()>) {
        let then = &mut With { simd, call: self.then };
        part.into_target(simd, Written { piece: self.piece, then });
    }
}

impl<S: Simd, E: Fn(usize, usize, &mut [f32])> Then for With<S, Epilogue<'_, E>> {
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>, piece: &mut Piece<'_>) {
        self.simd.vectorize(CallEpilogue { epilogue: self.call.0, rows, columns, piece });
    }
}

struct CallEpilogue<'a, 'p, E> {
    epilogue: &'a E,
    rows: Range<usize>,
    columns: &'a Range<usize>,
    piece: &'a mut Piece<'p>,
}

impl<E: Fn(usize, usize, &mut [f32])> NullaryFnOnce for CallEpilogue<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let CallEpilogue { epilogue, rows, columns, piece } = self;
        for row in rows {
            epilogue(row, columns.start, piece.segment(row, columns));
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
pub(super) struct Passed<'a, A> {
    pub(super) pieces: [Piece<'a>; CHANGED],
    pub(super) apply: &'a A,
}

/// The same with certain instructions.
struct Applied<'a, 't> {
    pieces: [Piece<'a>; CHANGED],
    take: &'t dyn Take,
}

/// What takes finished sums.
trait Take {
    fn take(&self, finished: &mut Finished<'_, '_>);
}

impl<A: Apply> Goal for Passed<'_, A> {
    #[inline(always)]
    fn reach<S: Simd>(self, simd: S, part: Part<'_, ()>) {
        let take = &With { simd, call: self.apply };
        part.into_target(simd, Applied { pieces: self.pieces, take });
    }
}

impl<A: Apply> Goal for Kept<'_, Passed<'_, A>> {
    #[inline(always)]
    fn reach<S: Simd>(self, simd: S, part: Part<'_, ()>) {
        let Passed { pieces, apply } = self.then;
        let then = &mut Applied { pieces, take: &With { simd, call: apply } };
        part.into_target(simd, Written { piece: self.piece, then });
    }
}

impl<S: Simd, A: Apply> Take for With<S, &A> {
    fn take(&self, finished: &mut Finished<'_, '_>) {
        self.simd.vectorize(CallApply { simd: self.simd, apply: self.call, finished });
    }
}

struct CallApply<'a, 'f, 'p, S, A> {
    simd: S,
    apply: &'a A,
    finished: &'a mut Finished<'f, 'p>,
}

impl<S: Simd, A: Apply> NullaryFnOnce for CallApply<'_, '_, '_, S, A> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.apply.apply(self.simd, self.finished);
    }
}

impl Target for Applied<'_, '_> {
    const KEEPS_SUMS: bool = false;

    fn tile<const ROWS: usize>(&mut self, _first_row: usize, _columns: &Range<usize>) -> Option<Tile<'_, ROWS>> {
        None
    }

    fn load(&mut self, _: Range<usize>, _: &Range<usize>, _: &mut [f32], _: usize) {}

    fn store(&mut self, _: Range<usize>, _: &Range<usize>, _: &[f32], _: usize) {}

    #[inline(always)]
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>, sums: &mut [f32], width: usize) {
        self.take.take(&mut Finished { sums, width, pieces: &mut self.pieces, rows, columns });
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

impl Then for Applied<'_, '_> {
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>, piece: &mut Piece<'_>) {
        for row in rows {
            let sums = piece.segment(row, columns);
            Target::finish(self, row..row + 1, columns, sums, columns.len());
        }
    }
}
