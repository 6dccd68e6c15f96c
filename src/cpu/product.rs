//! The f32 matrix product of the CPU device: C = A·B, with strided factors, so that a transpose costs nothing.
//!
//! This module owns how C is divided among threads and into cache blocks; `pack` copies blocks of the factors into
//! the order of the inner loop, `tile` is that loop, `few_rows` serves products with very few rows. What happens to a
//! finished piece of C (bias, activation, derivative) belongs to the caller, who passes it as the epilogue.
//!
//! A sum over k is never divided among threads, and every element of C is the same chain of multiply-adds in
//! ascending k on every path: the bits depend on the operands and the instruction set alone.

use core::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::pool::Pool;

use blocks::Blocks;
use output::Output;
use target::{Applied, Epilogue, Target, Written};

mod blocks;
mod few_rows;
mod output;
mod pack;
mod sums;
mod target;
#[cfg(test)]
mod tests;
mod tile;
mod transpose;

pub(crate) use sums::column_sums;
pub(crate) use target::Finished;

/// Products of fewer multiply-adds than this stay on the caller's thread: waking another costs as much.
const WORTH_SHARING: usize = 1 << 16;
/// Rows of a tile of C, and of a strip of A.
const ROWS: usize = 4;
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

/// The buffers of products: one set per thread for packing.
pub(crate) struct Workspace {
    blocks: Vec<Blocks>,
    /// Where the sums of a product that is not kept wait for their last steps; as large as the largest of those.
    waiting: Vec<f32>,
    /// The instructions products use; the best this machine has, except in tests.
    arch: Arch,
}

impl Workspace {
    /// Buffers for products on a pool of this many threads.
    pub(crate) fn new(threads: usize) -> Workspace {
        let blocks = (0..threads.max(1)).map(|_| Blocks::new()).collect();
        Workspace { blocks, waiting: Vec::new(), arch: Arch::new() }
    }
}

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
    let output = Output::new(c, a.rows, b.columns, c_stride);
    debug_assert!(output.is_some(), "C does not fit");
    let Some(output) = output else { return };
    share(pool, workspace, a, b, |rows, columns| {
        // SAFETY: parts of different tasks share no element, and each task is run once.
        Written { piece: unsafe { output.piece(rows, columns) }, then: Epilogue(&epilogue) }
    });
}

/// How many matrices the sums of a product may change: a layer's parameters and an optimizer's slots.
pub(crate) const CHANGED: usize = 4;

/// The longest sums that are made in one go, which spares a matrix that they wait in: a panel of B is then a fifth of a
/// second-level cache of one megabyte.
const LONGEST_IN_REGISTERS: usize = 512;

/// What is done with the sums of a product that are not kept.
pub(crate) trait Apply: Sync {
    /// Takes finished sums, and changes the same segments of the matrices to be changed.
    fn apply<S: Simd>(&self, simd: S, finished: &mut Finished<'_, '_>);
}

/// Computes A·B without keeping it: `apply` is called exactly once for every segment of a row, with the same segments of
/// the matrices to be changed. They have the product's shape, and rows `stride` elements apart; of those that are empty the
/// segments are, too.
///
/// The sums have the bits of [`product`]'s. Operands that do not match or do not lie inside their slices are a caller's
/// mistake: nothing is computed then.
pub(crate) fn product_applied(
    pool: &Pool,
    workspace: &mut Workspace,
    a: Matrix<'_>,
    b: Matrix<'_>,
    changed: [&mut [f32]; CHANGED],
    stride: usize,
    apply: &impl Apply,
) {
    let outputs = changed.map(|changed| match changed {
        [] => Some(Output::default()),
        changed => Output::new(changed, a.rows, b.columns, stride),
    });
    let [Some(first), Some(second), Some(third), Some(fourth)] = outputs else {
        debug_assert!(false, "a matrix to be changed does not fit");
        return;
    };
    let outputs = [first, second, third, fourth];
    let applied = |rows: &Range<usize>, columns: &Range<usize>| {
        // SAFETY: parts of different tasks share no element, and each task is run once.
        let pieces = outputs.each_ref().map(|output| unsafe { output.piece(rows.clone(), columns.clone()) });
        Applied { pieces, apply }
    };
    if a.columns <= LONGEST_IN_REGISTERS {
        share(pool, workspace, a, b, |rows, columns| applied(&rows, &columns));
        return;
    }
    let mut waiting = core::mem::take(&mut workspace.waiting);
    waiting.resize(waiting.len().max(a.rows.saturating_mul(b.columns)), 0.0);
    if let Some(sums) = Output::new(&mut waiting, a.rows, b.columns, b.columns) {
        share(pool, workspace, a, b, |rows, columns| {
            let then = applied(&rows, &columns);
            // SAFETY: as above.
            Written { piece: unsafe { sums.piece(rows, columns) }, then }
        });
    }
    workspace.waiting = waiting;
}

/// Shares a product out among the threads; `target(rows, columns)` takes a part's sums.
fn share<T: Target>(
    pool: &Pool,
    workspace: &mut Workspace,
    a: Matrix<'_>,
    b: Matrix<'_>,
    target: impl Fn(Range<usize>, Range<usize>) -> T + Sync,
) {
    let valid = a.columns == b.rows && a.fits() && b.fits();
    debug_assert!(valid, "the factors do not match or do not fit");
    if !valid {
        return;
    }
    let split = Split::of(a.rows, b.columns, a.columns, workspace.blocks.len().min(pool.threads()));
    let (tasks, arch) = (split.tasks(), workspace.arch);
    pool.for_each(&mut workspace.blocks[..tasks], |task, blocks| {
        let (rows, columns) = split.part(task, a.rows, b.columns);
        let target = target(rows.clone(), columns.clone());
        arch.dispatch(Part { a, b, rows, columns, target, blocks });
    });
}

/// How C is divided among threads. It depends on the shape and the number of threads, and changes no bit of C.
#[derive(Clone, Copy)]
enum Split {
    Rows(usize),
    Columns(usize),
}

impl Split {
    /// Each thread packs what it reads: divided by rows, its share of A and all of B, divided by columns, all of A and
    /// its share of B. Whole rows where that is the same, since a thread then writes memory that lies together.
    fn of(rows: usize, columns: usize, depth: usize, threads: usize) -> Split {
        let work = rows.saturating_mul(columns).saturating_mul(depth);
        let threads = if work < WORTH_SHARING { 1 } else { threads.max(1) };
        if rows + columns / threads < rows / threads + columns && columns >= 2 * COLUMN_UNIT {
            Split::Columns(threads.min(columns.div_ceil(COLUMN_UNIT)))
        } else {
            Split::Rows(threads.min(rows.div_ceil(ROWS)).max(1))
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
            Split::Rows(tasks) => (share_of(rows, ROWS, tasks, task), 0..columns),
            Split::Columns(tasks) => (0..rows, share_of(columns, COLUMN_UNIT, tasks, task)),
        }
    }
}

/// The share of one task in `0..length`, in whole units except at the end.
fn share_of(length: usize, unit: usize, tasks: usize, task: usize) -> Range<usize> {
    let units = length.div_ceil(unit);
    let edge = |task: usize| (units * task / tasks * unit).min(length);
    edge(task)..edge(task + 1)
}

/// One task's part of a product.
struct Part<'a, T> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    target: T,
    blocks: &'a mut Blocks,
}

impl<T: Target> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.rows.is_empty() || self.columns.is_empty() {
        } else if self.a.columns == 0 {
            self.zeros(simd);
        } else if T::KEEPS_SUMS && self.a.rows < ROWS && self.b.column_stride == 1 {
            self.few_rows(simd);
        } else if S::REGISTER_COUNT >= 32 {
            // Six vectors by four rows of sums, six of B and one of A: 31 registers.
            self.blocked::<S, 6>(simd);
        } else {
            // Three vectors by four rows: all sixteen registers.
            self.blocked::<S, 3>(simd);
        }
    }
}

impl<T: Target> Part<'_, T> {
    /// A sum of nothing.
    fn zeros<S: Simd>(mut self, simd: S) {
        let mut sums = [0.0; 64];
        for row in self.rows.clone() {
            for start in self.columns.clone().step_by(sums.len()) {
                let columns = start..self.columns.end.min(start + sums.len());
                sums.fill(0.0);
                self.target.store(row..row + 1, &columns, &sums, columns.len());
                self.target.finish(simd, row..row + 1, &columns, &mut sums, columns.len());
            }
        }
    }
}
