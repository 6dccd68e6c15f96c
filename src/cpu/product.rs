//! The f32 matrix product of the CPU device: C = A·B, with strided factors, so that a transpose costs nothing.
//!
//! This module owns how C is divided among threads and into cache blocks; `pack` copies blocks of the factors into
//! the order of the inner loop, `tile` is that loop, `few_rows` serves products with very few rows. What happens to a
//! finished piece of C (bias, activation, derivative) belongs to the caller, who passes it as the epilogue.
//!
//! A sum over k is never divided among threads, and every element of C is the same chain of multiply-adds in
//! ascending k on every path: the bits depend on the operands and the instruction set alone.

use core::ops::Range;

use bytemuck::{Pod, Zeroable};
use pulp::{Arch, Simd, WithSimd};

use super::pool::Pool;

use blocks::Blocks;
use output::{Output, Piece};

mod blocks;
mod few_rows;
mod output;
mod pack;
mod sums;
#[cfg(test)]
mod tests;
mod tile;

pub(crate) use sums::column_sums;

/// Products of fewer multiply-adds than this stay on the caller's thread: waking another costs as much.
const WORTH_SHARING: usize = 1 << 16;
/// C is divided among threads at multiples of this many rows: the tallest tile.
const ROW_UNIT: usize = 8;
/// C is divided among threads at multiples of this many columns: the widest vector.
const COLUMN_UNIT: usize = 16;

/// A matrix seen through strides, in elements; element (row, column) is `data[row * row_stride + column * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows start `stride` elements apart.
    pub(crate) fn row_major(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        Matrix { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Matrix<'a> {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Whether every element lies inside the data.
    fn fits(&self) -> bool {
        if self.rows == 0 || self.columns == 0 {
            return true;
        }
        let last_row = (self.rows - 1).checked_mul(self.row_stride);
        let last_column = (self.columns - 1).checked_mul(self.column_stride);
        let last = last_row.zip(last_column).and_then(|(row, column)| row.checked_add(column));
        last.is_some_and(|last| last < self.data.len())
    }
}

/// The packing buffers of a product, one set per thread. Their size does not depend on the products.
pub(crate) struct Workspace {
    blocks: Vec<Blocks>,
    /// The instructions products use; the best this machine has, except in tests.
    arch: Arch,
}

impl Workspace {
    /// Buffers for products on a pool of this many threads.
    pub(crate) fn new(threads: usize) -> Workspace {
        Workspace { blocks: (0..threads.max(1)).map(|_| Blocks::new()).collect(), arch: Arch::new() }
    }
}

/// One cache line of floats: buffers of these start on a line, so that no vector load straddles two.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Computes C = A·B into the row-major `c`, whose rows start `c_stride` elements apart.
///
/// `epilogue(row, first_column, segment)` is called exactly once for every finished segment of a row of C, on
/// whichever thread finished it, while the segment is in cache; it may change the segment.
///
/// Operands that do not match or do not lie inside their slices are a caller's mistake: nothing is computed then.
pub(crate) fn product<E>(
    pool: &Pool,
    workspace: &mut Workspace,
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
    epilogue: E,
) where
    E: Fn(usize, usize, &mut [f32]) + Sync,
{
    let valid = a.columns == b.rows && a.fits() && b.fits();
    debug_assert!(valid, "the factors do not match or do not fit");
    let output = Output::new(c, a.rows, b.columns, c_stride);
    debug_assert!(output.is_some(), "C does not fit");
    let Some(output) = output.filter(|_| valid) else { return };

    let split = Split::of(a.rows, b.columns, a.columns, workspace.blocks.len().min(pool.threads()));
    let (tasks, arch) = (split.tasks(), workspace.arch);
    pool.for_each(&mut workspace.blocks[..tasks], |task, blocks| {
        let (rows, columns) = split.part(task, a.rows, b.columns);
        // SAFETY: parts of different tasks share no element, and each task is run once.
        let piece = unsafe { output.piece(rows, columns) };
        arch.dispatch(Part { a, b, piece, epilogue: &epilogue, blocks });
    });
}

/// How C is divided among threads. It depends on the shape and the number of threads, and changes no bit of C.
#[derive(Clone, Copy)]
enum Split {
    Rows(usize),
    Columns(usize),
}

impl Split {
    /// Each thread packs what it reads: divided by rows, all of B is packed on each, divided by columns, all of A.
    fn of(rows: usize, columns: usize, depth: usize, threads: usize) -> Split {
        let work = rows.saturating_mul(columns).saturating_mul(depth);
        let threads = if work < WORTH_SHARING { 1 } else { threads.max(1) };
        if columns >= rows && columns >= 2 * COLUMN_UNIT {
            Split::Columns(threads.min(columns.div_ceil(COLUMN_UNIT)))
        } else {
            Split::Rows(threads.min(rows.div_ceil(ROW_UNIT)).max(1))
        }
    }

    fn tasks(self) -> usize {
        match self {
            Split::Rows(tasks) | Split::Columns(tasks) => tasks,
        }
    }

    /// The rows and columns of C that one task computes; parts of different tasks share no element.
    fn part(self, task: usize, rows: usize, columns: usize) -> (Range<usize>, Range<usize>) {
        match self {
            Split::Rows(tasks) => (share(rows, ROW_UNIT, tasks, task), 0..columns),
            Split::Columns(tasks) => (0..rows, share(columns, COLUMN_UNIT, tasks, task)),
        }
    }
}

/// The share of one task in `0..length`, in whole units except at the end.
fn share(length: usize, unit: usize, tasks: usize, task: usize) -> Range<usize> {
    let units = length.div_ceil(unit);
    let edge = |task: usize| (units * task / tasks * unit).min(length);
    edge(task)..edge(task + 1)
}

/// One task's part of a product.
struct Part<'a, E> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    piece: Piece<'a>,
    epilogue: &'a E,
    blocks: &'a mut Blocks,
}

impl<E: Fn(usize, usize, &mut [f32]) + Sync> WithSimd for Part<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.a.columns == 0 {
            self.zeros();
        } else if self.a.rows < ROW_UNIT / 2 && self.b.column_stride == 1 {
            self.few_rows(simd);
        } else if S::REGISTER_COUNT >= 32 {
            // Three vectors by eight rows of sums, three of B and one of A: 28 registers.
            self.blocked::<S, 8>(simd);
        } else {
            // Three vectors by four rows: all sixteen registers.
            self.blocked::<S, 4>(simd);
        }
    }
}

impl<E: Fn(usize, usize, &mut [f32]) + Sync> Part<'_, E> {
    /// A sum of nothing.
    fn zeros(mut self) {
        let columns = self.piece.columns.clone();
        for row in self.piece.rows.clone() {
            let segment = self.piece.segment(row, &columns);
            segment.fill(0.0);
            (self.epilogue)(row, columns.start, segment);
        }
    }
}
