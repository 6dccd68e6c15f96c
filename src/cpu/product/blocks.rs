//! The blocked product: cache blocks of A are packed, then panels of B one after another, each against all of them.
//!
//! A block of A stays in the second-level cache while panels pass; a panel of B is packed just before it is used, and
//! stays in the nearest caches while the block's strips pass. So the buffers are small and of one size for every product.

use core::ops::Range;

use pulp::Simd;

use super::tile::{Accumulators, Left, accumulate};
use super::{Line, Part, ROW_UNIT, pack};

/// Steps of k in a block at most.
const DEPTH: usize = 400;
/// Floats in a packed block of A.
const BLOCK_FLOATS: usize = 128 * 1024;
/// Vectors in a panel of B at most.
const WIDTH: usize = 3;
/// Floats in a line of a panel at most: vectors of sixteen.
const PANEL_FLOATS: usize = 16 * WIDTH;

/// One thread's packed blocks.
pub(super) struct Blocks {
    left: Vec<Line>,
    panel: Vec<Line>,
}

impl Blocks {
    pub(super) fn new() -> Blocks {
        let lines = |floats: usize| vec![Line([0.0; 16]); floats.div_ceil(16)];
        Blocks { left: lines(BLOCK_FLOATS), panel: lines(DEPTH * PANEL_FLOATS) }
    }
}

/// What a run of tiles shares: its rows and steps of k, and where its left factor lies.
struct Strips<'a> {
    rows: Range<usize>,
    depths: Range<usize>,
    left: &'a mut [f32],
    /// Nothing is packed: A is read in place, as far as whole strips go.
    in_place: bool,
}

impl<E: Fn(usize, usize, &mut [f32]) + Sync> Part<'_, E> {
    #[inline(always)]
    pub(super) fn blocked<S: Simd, const ROWS: usize>(mut self, simd: S) {
        let (rows, columns) = (self.piece.rows.clone(), self.piece.columns.clone());
        let panel_columns = S::F32_LANES * WIDTH;
        // With a single panel each element of A is read once: packing it would cost more than the reading.
        let in_place = columns.len() <= panel_columns && Left::in_place(&self.a, 0, 0).is_some();
        let depth = even(self.a.columns, DEPTH, 1);
        let height = if in_place { rows.len() } else { even(rows.len(), BLOCK_FLOATS / depth, ROW_UNIT) };
        for depths in blocks(0..self.a.columns, depth) {
            for rows in blocks(rows.clone(), height) {
                let mut left = core::mem::take(&mut self.blocks.left);
                let mut panel = core::mem::take(&mut self.blocks.panel);
                let floats = bytemuck::cast_slice_mut(&mut left);
                if !in_place {
                    pack::left::<ROWS>(&self.a, rows.clone(), depths.clone(), floats);
                }
                let mut strips = Strips { rows, depths: depths.clone(), left: floats, in_place };
                let mut next = columns.start;
                while next < columns.end {
                    let vectors = panel_width((columns.end - next).div_ceil(S::F32_LANES));
                    let end = columns.end.min(next + vectors * S::F32_LANES);
                    let floats = bytemuck::cast_slice_mut(&mut panel);
                    match vectors {
                        1 => self.panel::<S, ROWS, 1>(simd, &mut strips, next..end, floats),
                        2 => self.panel::<S, ROWS, 2>(simd, &mut strips, next..end, floats),
                        _ => self.panel::<S, ROWS, 3>(simd, &mut strips, next..end, floats),
                    }
                    next = end;
                }
                self.blocks.left = left;
                self.blocks.panel = panel;
            }
        }
    }

    /// Packs one panel of B and multiplies all strips by it.
    #[inline(always)]
    fn panel<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        strips: &mut Strips<'_>,
        columns: Range<usize>,
        panel: &mut [f32],
    ) {
        let depths = strips.depths.clone();
        let width = VECTORS * S::F32_LANES;
        let panel = &mut panel[..depths.len() * width];
        pack::lines(&self.b, depths.clone(), columns.clone(), width, panel);
        let (right, _) = S::as_simd_f32s(panel);
        let (right, _) = right.as_chunks::<VECTORS>();
        let first = strips.rows.start;
        for rows in blocks(strips.rows.clone(), ROWS) {
            let whole = rows.len() == ROWS;
            let left = if !strips.in_place {
                Left::Packed(&strips.left[(rows.start - first) * depths.len()..][..ROWS * depths.len()])
            } else if let Some(left) = Left::in_place(&self.a, rows.start, depths.start).filter(|_| whole) {
                left
            } else {
                pack::left::<ROWS>(&self.a, rows.clone(), depths.clone(), strips.left);
                Left::Packed(&strips.left[..ROWS * depths.len()])
            };
            let sums = if depths.start == 0 {
                [[simd.splat_f32s(0.0); VECTORS]; ROWS]
            } else {
                self.load::<S, ROWS, VECTORS>(simd, &rows, &columns)
            };
            let sums = accumulate(simd, sums, left, right);
            self.store(simd, &rows, &columns, &sums);
            if depths.end == self.a.columns {
                self.finish(rows, &columns);
            }
        }
    }

    /// What earlier blocks of k have left in C; zeros beyond its edges.
    #[inline(always)]
    fn load<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) -> Accumulators<S, ROWS, VECTORS> {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (row, sums) in rows.clone().zip(&mut sums) {
            let (whole, rest) = S::as_simd_f32s(self.piece.segment(row, columns));
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = whole.get(index).copied().unwrap_or_else(|| simd.partial_load_f32s(rest));
            }
        }
        sums
    }

    #[inline(always)]
    fn store<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        rows: &Range<usize>,
        columns: &Range<usize>,
        sums: &Accumulators<S, ROWS, VECTORS>,
    ) {
        if rows.len() == ROWS && columns.len() == VECTORS * S::F32_LANES {
            for (index, sums) in sums.iter().enumerate() {
                let (whole, _) = S::as_mut_simd_f32s(self.piece.segment(rows.start + index, columns));
                if let Some(whole) = whole.first_chunk_mut::<VECTORS>() {
                    *whole = *sums;
                }
            }
            return;
        }
        // A copy, since indexes unknown to the compiler would keep the sums themselves out of registers.
        let sums = *sums;
        for (row, sums) in rows.clone().zip(&sums) {
            let (whole, rest) = S::as_mut_simd_f32s(self.piece.segment(row, columns));
            for (index, sum) in sums.iter().enumerate() {
                match whole.get_mut(index) {
                    Some(vector) => *vector = *sum,
                    None => simd.partial_store_f32s(rest, *sum),
                }
            }
        }
    }

    #[inline(always)]
    fn finish(&mut self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            (self.epilogue)(row, columns.start, self.piece.segment(row, columns));
        }
    }
}

/// Divides a length into blocks of at most `most`, as even as multiples of `unit` allow.
fn even(length: usize, most: usize, unit: usize) -> usize {
    let blocks = length.div_ceil(most.max(unit)).max(1);
    length.div_ceil(blocks).next_multiple_of(unit).max(1)
}

/// How many of the vectors left go into the next panel: a last panel of one vector would be slow.
fn panel_width(left: usize) -> usize {
    if left == 4 { 2 } else { left.min(WIDTH) }
}

fn blocks(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(length.max(1)).map(move |start| start..range.end.min(start + length))
}
