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
use super::{Matrix, Part, ROWS, pack};
use crate::cpu::buffer::{Line, lines};
use crate::cpu::machine::Cache;

/// Steps of k in a block at most: a panel of six vectors of sixteen then takes 75 KiB, and stays in the second-level cache
/// while strips of A pass it.
const DEPTH: usize = 200;
/// Columns in a band of B at most.
const BAND: usize = 4096;
/// Floats in a packed band of B: eight megabytes, of which narrow and shallow products touch little.
const RIGHT_FLOATS: usize = 2 * 1024 * 1024;
/// Vectors in a panel of B at most, where there are registers for them.
const WIDEST: usize = 6;
/// A product of no more vectors of columns reads A in place: packing it would cost more than the reading.
const NARROW: usize = 3;
/// Steps of k by which strips of A lie further apart than they are long: without, the places where one step of many strips
/// is written would share few sets of a cache.
const APART: usize = ROWS;
/// Floats in a widest vector.
pub(super) const MOST_LANES: usize = 16;

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
    /// Floats in a block of C, which waits in the second-level cache for its next steps of k.
    sums: usize,
}

impl Blocks {
    pub(super) fn new(Cache(bytes): Cache) -> Blocks {
        // Half of the second-level cache for a packed block of A; the block of C may be as large as all of it, since of C
        // little is in use at once.
        let (left, sums) = (bytes / 2 / size_of::<f32>(), bytes / size_of::<f32>());
        Blocks {
            left: lines(left / MOST_LANES),
            steps: vec![0; left / ROWS],
            kept: vec![0; left / ROWS],
            right: lines(RIGHT_FLOATS / MOST_LANES),
            finite: Vec::new(),
            sums,
        }
    }

    /// Grows the buffers until a strip and a panel of this depth fit, and the flags of so many panels.
    fn make_room(&mut self, strip_depth: usize, panel_depth: usize, panels: usize) {
        let grow = |lines: &mut Vec<Line>, floats: usize| {
            let length = floats.div_ceil(MOST_LANES).max(lines.len());
            lines.resize(length, Line::ZERO);
        };
        grow(&mut self.left, ROWS * (strip_depth + APART));
        grow(&mut self.right, MOST_LANES * WIDEST * panel_depth);
        self.steps.resize(self.steps.len().max(strip_depth + APART), 0);
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

/// A band of B, and where its panels are packed.
struct Band<'a> {
    b: Matrix<'a>,
    columns: Range<usize>,
    /// Steps of k in a block; the last may have fewer.
    depth: usize,
    /// All steps of k are packed, block behind block. Else each block takes the place of the one before it, and so stays in
    /// the second-level cache.
    whole: bool,
    packed: &'a mut [f32],
    /// Whether all numbers of a panel are finite.
    finite: &'a mut [bool],
}

/// A packed panel of B.
struct Panel<'a> {
    columns: Range<usize>,
    packed: &'a [f32],
    finite: bool,
}

impl<T: Target> Part<'_, T> {
    /// `WIDTH` is how many vectors a tile has at most.
    #[inline(always)]
    pub(super) fn blocked<S: Simd, const WIDTH: usize>(self, simd: S) {
        let Part { a, b, rows, columns, mut target, blocks } = self;
        let in_place = columns.len() <= S::F32_LANES * NARROW.min(WIDTH) && Left::<ROWS>::in_place(&a, 0, 0).is_some();
        let depth = if T::KEEPS_SUMS { even(a.columns, DEPTH, 1) } else { a.columns };
        let width = BAND.min(RIGHT_FLOATS / a.columns).max(MOST_LANES * WIDTH);
        let width = even(columns.len(), width, MOST_LANES * WIDTH);
        blocks.make_room(depth, a.columns, a.columns.div_ceil(depth) * width.div_ceil(S::F32_LANES));
        let Blocks { left, steps, kept, right, finite, sums } = blocks;
        let most_rows = (MOST_LANES * left.len() / (depth + APART)).min(*sums / width);
        let height = if in_place { rows.len() } else { even(rows.len(), most_rows, ROWS) };
        let (left, right) = (bytemuck::cast_slice_mut(left), bytemuck::cast_slice_mut(right));
        // Where sums are that are not in a matrix.
        let mut scratch = [[Line::ZERO; WIDEST]; ROWS];
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch.as_flattened_mut());
        for columns in ranges(columns, width) {
            let mut band = Band { b, columns, depth, whole: rows.len() > height, packed: right, finite };
            if band.whole {
                for depths in ranges(0..a.columns, depth) {
                    band.pack::<S, WIDTH>(simd, &depths);
                }
            }
            for rows in ranges(rows.clone(), height) {
                for depths in ranges(0..a.columns, depth) {
                    if !band.whole {
                        band.pack::<S, WIDTH>(simd, &depths);
                    }
                    let rows = rows.clone();
                    let mut strips = Strips { a, rows, depths, left, steps, kept, in_place };
                    strips.pack(simd);
                    strips.times_band::<S, T, WIDTH>(simd, &band, &mut target, scratch);
                }
            }
        }
    }
}

impl Band<'_> {
    /// Steps of k that are packed before these.
    fn before(&self, depths: &Range<usize>) -> usize {
        if self.whole { depths.start } else { 0 }
    }

    /// The place of a panel's flag; a block has no more panels than vectors of columns.
    fn flag<S: Simd>(&self, depths: &Range<usize>, index: usize) -> usize {
        self.before(depths) / self.depth * self.columns.len().div_ceil(S::F32_LANES) + index
    }

    /// Where a panel starts among the packed ones.
    fn start<S: Simd>(&self, depths: &Range<usize>, panel: &Range<usize>) -> usize {
        let width = self.columns.len().next_multiple_of(S::F32_LANES);
        self.before(depths) * width + (panel.start - self.columns.start) * depths.len()
    }

    /// Packs all panels for some steps of k.
    #[inline(always)]
    fn pack<S: Simd, const WIDTH: usize>(&mut self, simd: S, depths: &Range<usize>) {
        for (index, columns) in panels::<S, WIDTH>(self.columns.clone()).enumerate() {
            let (start, flag) = (self.start::<S>(depths, &columns), self.flag::<S>(depths, index));
            let vectors = columns.len().div_ceil(S::F32_LANES);
            let packed = &mut self.packed[start..][..depths.len() * vectors * S::F32_LANES];
            let (b, depths) = (&self.b, depths.clone());
            match vectors {
                1 => pack::panel::<S, 1>(simd, b, depths, columns, packed),
                2 if WIDTH > 2 => pack::panel::<S, 2>(simd, b, depths, columns, packed),
                3 if WIDTH > 3 => pack::panel::<S, 3>(simd, b, depths, columns, packed),
                4 if WIDTH > 3 => pack::panel::<S, 4>(simd, b, depths, columns, packed),
                5 if WIDTH > 3 => pack::panel::<S, 5>(simd, b, depths, columns, packed),
                _ => pack::panel::<S, WIDTH>(simd, b, depths, columns, packed),
            }
            self.finite[flag] = pack::finite(packed);
        }
    }
}

impl Strips<'_> {
    /// From one strip's place to the next's, in steps of k.
    fn pitch(&self) -> usize {
        self.depths.len() + APART
    }

    /// Packs all strips, unless A is read in place.
    #[inline(always)]
    fn pack<S: Simd>(&mut self, simd: S) {
        if self.in_place {
            return;
        }
        let pitch = self.pitch();
        if self.a.row_stride == 1 {
            let (values, _) = self.left.as_chunks_mut::<ROWS>();
            let kept = &mut self.kept[..self.rows.len().div_ceil(ROWS)];
            let (rows, depths) = (self.rows.clone(), self.depths.clone());
            pack::strips_side_by_side(&self.a, rows, depths, pitch, values, self.steps, kept);
            return;
        }
        for (place, rows) in ranges(self.rows.clone(), ROWS).enumerate() {
            self.pack_one(simd, place, rows);
        }
    }

    /// Packs a strip into a place.
    #[inline(always)]
    fn pack_one<S: Simd>(&mut self, simd: S, place: usize, rows: Range<usize>) {
        let (start, depth) = (place * self.pitch(), self.depths.len());
        let (values, _) = self.left.as_chunks_mut::<ROWS>();
        let (values, steps) = (&mut values[start..][..depth], &mut self.steps[start..][..depth]);
        self.kept[place] = pack::strip(simd, &self.a, rows, self.depths.clone(), values, steps);
    }

    /// Multiplies all strips by all panels.
    #[inline(always)]
    fn times_band<S: Simd, T: Target, const WIDTH: usize>(
        &mut self,
        simd: S,
        band: &Band<'_>,
        target: &mut T,
        scratch: &mut [f32],
    ) {
        // Sums that are kept wait in cache, so that a panel may meet all strips. Those that are used to change other
        // matrices come in the order in which these lie in memory.
        let group = if T::KEEPS_SUMS { self.rows.len() } else { ROWS };
        for rows in ranges(self.rows.clone(), group) {
            for (index, columns) in panels::<S, WIDTH>(band.columns.clone()).enumerate() {
                let packed = &band.packed[band.start::<S>(&self.depths, &columns)..];
                let finite = band.finite[band.flag::<S>(&self.depths, index)];
                let vectors = columns.len().div_ceil(S::F32_LANES);
                let (panel, rows) = (Panel { columns, packed, finite }, rows.clone());
                match vectors {
                    1 => self.times::<S, T, 1>(simd, rows, panel, target, scratch),
                    2 if WIDTH > 2 => self.times::<S, T, 2>(simd, rows, panel, target, scratch),
                    3 if WIDTH > 3 => self.times::<S, T, 3>(simd, rows, panel, target, scratch),
                    4 if WIDTH > 3 => self.times::<S, T, 4>(simd, rows, panel, target, scratch),
                    5 if WIDTH > 3 => self.times::<S, T, 5>(simd, rows, panel, target, scratch),
                    _ => self.times::<S, T, WIDTH>(simd, rows, panel, target, scratch),
                }
            }
        }
    }

    /// Where a strip's numbers are read, and which steps of k they have if some were left out.
    #[inline(always)]
    fn left<S: Simd>(&mut self, simd: S, rows: &Range<usize>) -> (Left<'_, ROWS>, Option<&[u32]>) {
        let mut place = (rows.start - self.rows.start) / ROWS;
        if self.in_place {
            match Left::in_place(&self.a, rows.start, self.depths.start) {
                Some(left) if rows.len() == ROWS => return (left, None),
                // What does not fill a strip is packed all the same, for want of rows to read.
                _ => place = 0,
            }
            self.pack_one(simd, place, rows.clone());
        }
        let (start, kept) = (place * self.pitch(), self.kept[place]);
        let (values, _) = self.left.as_chunks::<ROWS>();
        let steps = &self.steps[start..][..kept];
        (Left::Packed(&values[start..][..kept], steps), (kept < self.depths.len()).then_some(steps))
    }

    /// Multiplies strips by a panel.
    #[inline(always)]
    fn times<S: Simd, T: Target, const VECTORS: usize>(
        &mut self,
        simd: S,
        rows: Range<usize>,
        panel: Panel<'_>,
        target: &mut T,
        scratch: &mut [f32],
    ) {
        let Panel { columns, packed, finite } = panel;
        let width = VECTORS * S::F32_LANES;
        let packed = &packed[..self.depths.len() * width];
        let (right, _) = S::as_simd_f32s(packed);
        let (right, _) = right.as_chunks::<VECTORS>();
        let (fresh, last) = (self.depths.start == 0, self.depths.end == self.a.columns);
        let scratch = &mut scratch[..ROWS * width];
        for rows in ranges(rows, ROWS) {
            if !(fresh && T::KEEPS_SUMS) {
                target.prefetch(rows.clone(), &columns);
            }
            let (left, steps) = self.left(simd, &rows);
            let add_to = |tile: &mut Tile<'_, ROWS>| {
                accumulate::<S, ROWS, VECTORS>(simd, tile, fresh, left, right);
                if let Some(steps) = steps.filter(|_| !finite) {
                    past_zeros(tile, rows.len(), steps, packed, width);
                }
            };
            let whole = rows.len() == ROWS && columns.len() == width;
            match target.tile::<ROWS>(rows.start, &columns).filter(|_| whole) {
                Some(mut tile) => add_to(&mut tile),
                // A tile of which a part only lies in C, or of a product that keeps no C.
                None => {
                    if !fresh {
                        target.load(rows.clone(), &columns, scratch, width);
                    }
                    Tile::over(scratch, width).iter_mut().for_each(add_to);
                    target.store(rows.clone(), &columns, scratch, width);
                }
            }
            if last {
                target.finish(rows, &columns, scratch, width);
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

/// The panels of a band: as few as can be, and as even, since a narrow one has few sums to hide the latency of adding.
fn panels<S: Simd, const WIDTH: usize>(band: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut next = band.start;
    core::iter::from_fn(move || {
        let vectors = (band.end - next).div_ceil(S::F32_LANES);
        let width = vectors.div_ceil(vectors.div_ceil(WIDTH).max(1));
        let panel = next..band.end.min(next + width * S::F32_LANES);
        next = panel.end;
        (!panel.is_empty()).then_some(panel)
    })
}

pub(super) fn ranges(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(length.max(1)).map(move |start| start..range.end.min(start + length))
}
