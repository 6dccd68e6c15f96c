//! C while several threads write disjoint pieces of it.

use core::marker::PhantomData;
use core::ops::Range;

use super::{Destination, share_stride, shift};
use crate::cpu::shares::padded;

/// A row-major matrix, or shares of one, that several tasks write, each in its own piece.
///
/// Blocks of rows could be shared out as slices; blocks of columns cannot, since a slice cannot skip. Hence the raw
/// pointer.
pub(super) struct Output<'a> {
    data: *mut f32,
    rows: usize,
    columns: usize,
    to: Destination,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer stands for an exclusive borrow of f32s, which may go to any thread; through a shared `Output`
// they are reached by pieces alone, which are disjoint as the callers of `piece` promise.
unsafe impl Sync for Output<'_> {}

/// A rectangle of the output that one task writes.
pub(super) struct Piece<'a> {
    /// Where element (0, 0) is, or would be if all shares had this one's stride.
    data: *mut f32,
    stride: usize,
    borrow: PhantomData<&'a Output<'a>>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Default for Output<'_> {
    /// A matrix without rows.
    fn default() -> Self {
        Output { data: core::ptr::null_mut(), rows: 0, columns: 0, to: Destination::plain(0), borrow: PhantomData }
    }
}

impl<'a> Output<'a> {
    /// None where the last element of the matrix would lie outside the data, or rows would overlap.
    pub(super) fn new(data: &'a mut [f32], rows: usize, columns: usize, to: Destination) -> Option<Output<'a>> {
        let (overlap, end) = match to.shares {
            1 => {
                let end = rows.saturating_sub(1).checked_mul(to.stride)?.checked_add(columns)?;
                (rows > 1 && columns > to.stride, end)
            }
            _ => (false, padded(rows).checked_mul(padded(columns))?),
        };
        let fits = rows == 0 || end <= data.len();
        (fits && !overlap).then_some(Output { data: data.as_mut_ptr(), rows, columns, to, borrow: PhantomData })
    }

    /// The piece of these rows and columns, cut to the matrix.
    ///
    /// # Safety
    ///
    /// Pieces that exist at the same time must not share an element. Where columns lie in shares, they must be those of one.
    pub(super) unsafe fn piece(&'a self, rows: Range<usize>, columns: Range<usize>) -> Piece<'a> {
        let rows = rows.start..rows.end.min(self.rows);
        let columns = columns.start..columns.end.min(self.columns);
        let (shift, stride) = match self.to.shares {
            1 => (0, self.to.stride),
            _ => (shift(self.rows, &columns), share_stride(&columns, self.columns)),
        };
        Piece { data: self.data.wrapping_add(shift), stride, borrow: PhantomData, rows, columns }
    }
}

impl Piece<'_> {
    /// Some columns of one row of the piece, both counted from the start of the matrix. Outside the piece it is empty.
    #[inline(always)]
    pub(super) fn segment(&mut self, row: usize, columns: &Range<usize>) -> &mut [f32] {
        let inside = self.rows.contains(&row) && self.columns.start <= columns.start && columns.end <= self.columns.end;
        if !inside || columns.start > columns.end {
            return &mut [];
        }
        let start = row * self.stride + columns.start;
        // SAFETY: row < rows and end ≤ columns (`piece` cuts to the matrix), so the segment ends at or before
        // (rows - 1) · stride + columns, which `Output::new` found inside the data; in a share it lies between that share's
        // start and end, which are inside too. No other piece has these elements, rows do not overlap, and this piece is
        // exclusively borrowed as long as the segment is in use.
        unsafe { core::slice::from_raw_parts_mut(self.data.add(start), columns.len()) }
    }

    /// Some columns of `ROWS` rows from `first_row` on; None where the piece does not have them all.
    #[inline(always)]
    pub(super) fn tile<const ROWS: usize>(
        &mut self,
        first_row: usize,
        columns: &Range<usize>,
    ) -> Option<Tile<'_, ROWS>> {
        if first_row + ROWS > self.rows.end {
            return None;
        }
        let (stride, width) = (self.stride, columns.len());
        let segment = self.segment(first_row, columns);
        (segment.len() == width).then_some(Tile { start: segment.as_mut_ptr(), width, stride, borrow: PhantomData })
    }

    /// Asks for some columns of a row to be brought near, to be written soon.
    #[inline(always)]
    pub(super) fn prefetch(&mut self, row: usize, columns: &Range<usize>) {
        for line in self.segment(row, columns).as_chunks::<16>().0 {
            prefetch(line);
        }
    }
}

/// Parts of `ROWS` rows that lie `stride` elements apart, `width` elements each.
pub(super) struct Tile<'a, const ROWS: usize> {
    start: *mut f32,
    width: usize,
    stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a, const ROWS: usize> Tile<'a, ROWS> {
    /// Rows that lie one after the other; None where there are fewer.
    pub(super) fn over(data: &'a mut [f32], width: usize) -> Option<Tile<'a, ROWS>> {
        let fits = data.len() >= ROWS * width;
        fits.then_some(Tile { start: data.as_mut_ptr(), width, stride: width, borrow: PhantomData })
    }

    /// One row; beyond the last, the last.
    #[inline(always)]
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        let start = row.min(ROWS - 1) * self.stride;
        // SAFETY: `over` and `Piece::tile` have seen to it that all rows lie inside data that is exclusively borrowed
        // for 'a, in a piece that nobody else has; one row at a time is lent from an exclusively borrowed tile.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(start), self.width) }
    }
}

/// A hint that the cache line at the start of the slice will be used soon; nothing where there is no such instruction.
#[inline(always)]
fn prefetch(line: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and the instruction is a hint that faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
