//! C while several threads write disjoint pieces of it.

use core::marker::PhantomData;
use core::ops::Range;

/// A row-major matrix that several tasks write, each in its own piece.
///
/// Blocks of rows could be shared out as slices; blocks of columns cannot, since a slice cannot skip. Hence the raw
/// pointer.
pub(super) struct Output<'a> {
    data: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer stands for an exclusive borrow of f32s, which may go to any thread; through a shared `Output`
// they are reached by pieces alone, which are disjoint as the callers of `piece` promise.
unsafe impl Sync for Output<'_> {}

/// A rectangle of the output that one task writes.
pub(super) struct Piece<'a> {
    output: &'a Output<'a>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl<'a> Output<'a> {
    /// None where the last element of the matrix would lie outside the data, or rows would overlap.
    pub(super) fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Option<Output<'a>> {
        let overlap = rows > 1 && columns > stride;
        let end = rows.saturating_sub(1).checked_mul(stride)?.checked_add(columns)?;
        let fits = rows == 0 || end <= data.len();
        (fits && !overlap).then_some(Output { data: data.as_mut_ptr(), rows, columns, stride, borrow: PhantomData })
    }

    /// The piece of these rows and columns, cut to the matrix.
    ///
    /// # Safety
    ///
    /// Pieces that exist at the same time must not share an element.
    pub(super) unsafe fn piece(&'a self, rows: Range<usize>, columns: Range<usize>) -> Piece<'a> {
        let rows = rows.start..rows.end.min(self.rows);
        Piece { output: self, rows, columns: columns.start..columns.end.min(self.columns) }
    }
}

impl Piece<'_> {
    /// Some columns of one row of the piece, both counted from the start of the matrix. Outside the piece it is empty.
    #[inline(always)]
    pub(super) fn segment(&mut self, row: usize, columns: &Range<usize>) -> &mut [f32] {
        let inside = self.rows.contains(&row) && self.columns.start <= columns.start && columns.end <= self.columns.end;
        debug_assert!(inside && columns.start <= columns.end);
        if !inside || columns.start > columns.end {
            return &mut [];
        }
        let start = row * self.output.stride + columns.start;
        // SAFETY: row < rows and end ≤ columns (`piece` cuts to the matrix), so the segment ends at or before
        // (rows - 1) · stride + columns, which `Output::new` found inside the data. No other piece has these elements,
        // rows do not overlap, and this piece is exclusively borrowed as long as the segment is in use.
        unsafe { core::slice::from_raw_parts_mut(self.output.data.add(start), columns.len()) }
    }
}
