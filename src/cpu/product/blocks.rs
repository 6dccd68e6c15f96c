//! The blocked product: a band of B is packed, then blocks of A one after another, each against the whole band.
//!
//! Whose turn it is decides what stays where: a panel of B in the nearest cache while the strips of A pass it; a block of
//! A and the block of C that it makes in the second-level cache while panels and steps of k pass. B is packed once for
//! all rows, and A once for each band.

use core::ops::Range;

use pulp::Simd;

use super::output::Tile;
use super::target::Target;
use super::tile::{Left, accumulate};
use super::{Line, Matrix, Part, ROW_UNIT, pack};

/// Steps of k in a block at most: a panel of three vectors of sixteen then takes 38 of the 48 KiB of a nearest cache.
const DEPTH: usize = 200;
/// Floats in a packed block of A: half a megabyte, half of a small second-level cache.
const LEFT_FLOATS: usize = 128 * 1024;
/// Rows of the shortest strip of A.
const SHORTEST_STRIP: usize = 4;
/// Floats in a block of C: it waits in the second-level cache for its next steps of k.
const SUMS_FLOATS: usize = 256 * 1024;
/// Columns in a band of B at most.
const BAND: usize = 4096;
/// Floats in a packed band of B: eight megabytes, of which narrow and shallow products touch little.
const RIGHT_FLOATS: usize = 2 * 1024 * 1024;
/// Vectors in a panel of B at most.
const WIDTH: usize = 3;
/// Floats in a widest vector.
const MOST_LANES: usize = 16;

/// One thread's packed blocks. Memory that no product reaches is never touched, and so costs nothing.
pub(super) struct Blocks {
    left: Vec<Line>,
    /// The steps of k that each packed strip of A has kept.
    steps: Vec<u32>,
    /// How many they are.
    kept: Vec<usize>,
    right: Vec<Line>,
    /// Whether all numbers of a packed panel of B are finite.
    finite: Vec<bool>,
}

impl Blocks {
    pub(super) fn new() -> Blocks {
        let lines = |floats: usize| vec![Line([0.0; 16]); floats.div_ceil(16)];
        Blocks {
            left: lines(LEFT_FLOATS),
            steps: vec![0; LEFT_FLOATS / SHORTEST_STRIP],
            kept: vec![0; LEFT_FLOATS / SHORTEST_STRIP],
            right: lines(RIGHT_FLOATS),
            finite: Vec::new(),
        }
    }

    /// Grows the buffers until a strip and a panel of this depth fit, and the flags of so many panels.
    fn make_room(&mut self, strip_depth: usize, panel_depth: usize, panels: usize) {
        let grow = |lines: &mut Vec<Line>, floats: usize| {
            let length = floats.div_ceil(MOST_LANES).max(lines.len());
            lines.resize(length, Line([0.0; MOST_LANES]));
        };
        grow(&mut self.left, ROW_UNIT * strip_depth);
        grow(&mut self.right, MOST_LANES * WIDTH * panel_depth);
        self.steps.resize(self.steps.len().max(ROW_UNIT / SHORTEST_STRIP * strip_depth), 0);
        self.finite.resize(self.finite.len().max(panels), false);
    }
}

/// A block of A, strip after strip.
struct Strips<'a> {
    a: Matrix<'a>,
    rows: Range<usize>,
    depths: Range<usize>,
    left: &'a mut [f32],
    steps: &'a mut [u32],
    kept: &'a mut [usize],
    /// Nothing is packed: A is read in place, as far as whole strips go.
    in_place: bool,
}

/// A packed panel of B.
struct Panel<'a> {
    columns: Range<usize>,
    packed: &'a [f32],
    finite: bool,
}

impl<T: Target> Part<'_, T> {
    #[inline(always)]
    pub(super) fn blocked<S: Simd, const ROWS: usize>(self, simd: S) {
        let Part { a, b, rows, columns, mut target, blocks } = self;
        // With a single panel each element of A is read once: packing it would cost more than the reading.
        let in_place = columns.len() <= S::F32_LANES * WIDTH && Left::<ROWS>::in_place(&a, 0, 0).is_some();
        let depth = if T::KEEPS_SUMS { even(a.columns, DEPTH, 1) } else { a.columns };
        let band = BAND.min(RIGHT_FLOATS / a.columns).max(MOST_LANES * WIDTH);
        let band = even(columns.len(), band, MOST_LANES * WIDTH);
        blocks.make_room(depth, a.columns, a.columns.div_ceil(depth) * band.div_ceil(S::F32_LANES));
        let Blocks { left, steps, kept, right, finite } = blocks;
        let most_rows = (MOST_LANES * left.len() / depth).min(SUMS_FLOATS / band);
        let height = if in_place { rows.len() } else { even(rows.len(), most_rows, ROW_UNIT) };
        let (left, right) = (bytemuck::cast_slice_mut(left), bytemuck::cast_slice_mut(right));
        for band in ranges(columns.clone(), band) {
            let packed_width = band.len().next_multiple_of(S::F32_LANES);
            let start = |depths: &Range<usize>, panel: &Range<usize>| {
                depths.start * packed_width + (panel.start - band.start) * depths.len()
            };
            let mut flags = finite.iter_mut();
            for depths in ranges(0..a.columns, depth) {
                for (columns, finite) in panels::<S>(band.clone()).zip(&mut flags) {
                    let vectors = columns.len().div_ceil(S::F32_LANES);
                    let packed = &mut right[start(&depths, &columns)..][..depths.len() * vectors * S::F32_LANES];
                    match vectors {
                        1 => pack::panel::<S, 1>(simd, &b, depths.clone(), columns, packed),
                        2 => pack::panel::<S, 2>(simd, &b, depths.clone(), columns, packed),
                        _ => pack::panel::<S, 3>(simd, &b, depths.clone(), columns, packed),
                    }
                    *finite = pack::finite(packed);
                }
            }
            for rows in ranges(rows.clone(), height) {
                let mut flags = finite.iter();
                for depths in ranges(0..a.columns, depth) {
                    let mut strips =
                        Strips { a, rows: rows.clone(), depths: depths.clone(), left, steps, kept, in_place };
                    if !in_place {
                        strips.pack::<ROWS>();
                    }
                    // Sums that are kept wait in cache, so that a panel may meet all strips. Those that are used to
                    // change other matrices come in the order in which these lie in memory.
                    let group = if T::KEEPS_SUMS { rows.len() } else { ROWS };
                    let of_depths = flags.clone();
                    for rows in ranges(rows.clone(), group) {
                        flags = of_depths.clone();
                        for (columns, &finite) in panels::<S>(band.clone()).zip(&mut flags) {
                            let packed = &right[start(&depths, &columns)..];
                            let vectors = columns.len().div_ceil(S::F32_LANES);
                            let (panel, rows) = (Panel { columns, packed, finite }, rows.clone());
                            match vectors {
                                1 => strips.times::<S, T, ROWS, 1>(simd, rows, panel, &mut target),
                                2 => strips.times::<S, T, ROWS, 2>(simd, rows, panel, &mut target),
                                _ => strips.times::<S, T, ROWS, 3>(simd, rows, panel, &mut target),
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Strips<'_> {
    /// Packs all strips.
    #[inline(always)]
    fn pack<const ROWS: usize>(&mut self) {
        if self.a.row_stride == 1 {
            let (values, _) = self.left.as_chunks_mut::<ROWS>();
            let kept = &mut self.kept[..self.rows.len().div_ceil(ROWS)];
            let (rows, depths) = (self.rows.clone(), self.depths.clone());
            pack::strips_side_by_side(&self.a, rows, depths, values, self.steps, kept);
            return;
        }
        for (place, rows) in ranges(self.rows.clone(), ROWS).enumerate() {
            self.pack_one::<ROWS>(place, rows);
        }
    }

    /// Packs a strip into a place.
    #[inline(always)]
    fn pack_one<const ROWS: usize>(&mut self, place: usize, rows: Range<usize>) {
        let depth = self.depths.len();
        let (values, _) = self.left.as_chunks_mut::<ROWS>();
        let values = &mut values[place * depth..][..depth];
        let steps = &mut self.steps[place * depth..][..depth];
        self.kept[place] = pack::strip(&self.a, rows, self.depths.clone(), values, steps);
    }

    /// Multiplies all strips by a panel.
    #[inline(always)]
    fn times<S: Simd, T: Target, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        rows: Range<usize>,
        panel: Panel<'_>,
        target: &mut T,
    ) {
        let Panel { columns, packed, finite } = panel;
        let depth = self.depths.len();
        let width = VECTORS * S::F32_LANES;
        let packed = &packed[..depth * width];
        let (right, _) = S::as_simd_f32s(packed);
        let (right, _) = right.as_chunks::<VECTORS>();
        let (fresh, last) = (self.depths.start == 0, self.depths.end == self.a.columns);
        let mut scratch = [[Line([0.0; MOST_LANES]); VECTORS]; ROWS];
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch.as_flattened_mut());
        let first = (rows.start - self.rows.start) / ROWS;
        for (place, rows) in ranges(rows, ROWS).enumerate() {
            let place = first + place;
            let whole = rows.len() == ROWS;
            let place = if self.in_place { 0 } else { place };
            if self.in_place && !whole {
                self.pack_one::<ROWS>(0, rows.clone());
            }
            let mut left_out: Option<&[u32]> = None;
            let left = match Left::in_place(&self.a, rows.start, self.depths.start) {
                Some(left) if self.in_place && whole => left,
                _ => {
                    let (values, _) = self.left.as_chunks::<ROWS>();
                    let kept = self.kept[place];
                    let steps = &self.steps[place * depth..][..kept];
                    left_out = (kept < depth && !finite).then_some(steps);
                    Left::Packed(&values[place * depth..][..kept], steps)
                }
            };
            if !(fresh && T::KEEPS_SUMS) {
                target.prefetch(rows.clone(), &columns);
            }
            if whole
                && columns.len() == width
                && let Some(mut tile) = target.tile::<ROWS>(rows.start, &columns)
            {
                accumulate::<S, ROWS, VECTORS>(simd, &mut tile, fresh, left, right);
                if let Some(kept) = left_out {
                    past_zeros(&mut tile, ROWS, kept, packed, width);
                }
                if last {
                    target.finish(simd, rows, &columns);
                }
                continue;
            }
            // A tile of which a part only lies in C, or of a product that keeps no C.
            if !fresh {
                for (line, row) in scratch.chunks_exact_mut(width).zip(rows.clone()) {
                    target.load(row, &columns, &mut line[..columns.len()]);
                }
            }
            if let Some(mut tile) = Tile::<ROWS>::over(scratch, width) {
                accumulate::<S, ROWS, VECTORS>(simd, &mut tile, fresh, left, right);
                if let Some(kept) = left_out {
                    past_zeros(&mut tile, rows.len(), kept, packed, width);
                }
            }
            for (line, row) in scratch.chunks_exact_mut(width).zip(rows.clone()) {
                target.store(simd, row, &columns, &mut line[..columns.len()]);
            }
            if last {
                target.finish(simd, rows, &columns);
            }
        }
    }
}

/// Adds the steps that a strip left out to its tile: zero times a number that is not finite is not a number.
#[cold]
fn past_zeros<const ROWS: usize>(tile: &mut Tile<'_, ROWS>, rows: usize, kept: &[u32], packed: &[f32], width: usize) {
    let mut kept = kept.iter().peekable();
    for (step, line) in packed.chunks(width).enumerate() {
        if kept.next_if(|&&kept| kept as usize == step).is_none() {
            for row in 0..rows {
                tile.row(row).iter_mut().zip(line).for_each(|(sum, b)| *sum += 0.0 * b);
            }
        }
    }
}

/// Divides a length into blocks of at most `most`, as even as multiples of `unit` allow.
fn even(length: usize, most: usize, unit: usize) -> usize {
    let most = (most - most % unit).max(unit);
    let blocks = length.div_ceil(most).max(1);
    length.div_ceil(blocks).next_multiple_of(unit).max(1)
}

/// The panels of a band: as wide as they can be, but without a last panel of one vector, which would be slow.
fn panels<S: Simd>(band: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut next = band.start;
    core::iter::from_fn(move || {
        let vectors = (band.end - next).div_ceil(S::F32_LANES);
        let width = if vectors == WIDTH + 1 { WIDTH - 1 } else { vectors.min(WIDTH) };
        let panel = next..band.end.min(next + width * S::F32_LANES);
        next = panel.end;
        (!panel.is_empty()).then_some(panel)
    })
}

fn ranges(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(length.max(1)).map(move |start| start..range.end.min(start + length))
}
