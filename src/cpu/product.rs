//! The f32 matrix product of the CPU device: C = A·B, with strided factors, so that a transpose costs nothing.
//!
//! This module owns how C is divided among threads and into cache blocks; `pack` copies blocks of the factors into
//! the order of the inner loop, `tile` is that loop, `few_rows` serves products with very few rows. What happens to a
//! finished piece of C (bias, activation, derivative) belongs to the caller, who passes it as the epilogue.
//!
//! A sum over k is never divided among threads, and every element of C is the same chain of multiply-adds in
//! ascending k on every path: the bits depend on the operands and the instruction set alone.

use core::ops::Range;

use pulp::{NullaryFnOnce, Simd, WithSimd};

use super::machine::Processor;
use super::pool::Pool;
use super::shares::{COLUMN_UNIT, padded, share_of};

use blocks::{Blocks, MOST_LANES};
use output::Output;
use target::{Epilogue, Goal, Kept, Passed, Target};

mod blocks;
mod few_rows;
mod few_steps;
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

/// Products of less work than this stay on the caller's thread: some five microseconds', of which another thread would save
/// less than it costs to tell it, and to have what it made brought over from its caches.
const WORTH_SHARING: usize = 1 << 18;
/// What it takes to fetch, finish and store an element of C, in multiply-adds.
const FINISHING: usize = 16;
/// Numbers that are only added up are worth another thread sooner.
const WORTH_ADDING: usize = 1 << 16;
/// Rows of a tile of C, and of a strip of A.
const ROWS: usize = 4;

/// A matrix seen through strides, in elements; element (row, column) is `data[row * row_stride + column * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
    /// From one copy to the next, of which each thread reads its own; 0 if all read the same.
    copy: usize,
    /// Shares that the columns lie in, one behind the other; the right factor of a product alone may have more than one.
    shares: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows start `stride` elements apart.
    pub(crate) fn row_major(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        Matrix { data, rows, columns, row_stride: stride, column_stride: 1, copy: 0, shares: 1 }
    }

    /// The data is so many copies of the matrix.
    pub(crate) fn in_copies(self, copies: usize) -> Matrix<'a> {
        Matrix { copy: if copies > 1 { self.data.len() / copies } else { 0 }, ..self }
    }

    /// The columns lie in so many shares, as [`Shares`](super::shares::Shares) has them.
    pub(crate) fn in_shares(self, shares: usize) -> Matrix<'a> {
        Matrix { shares: shares.max(1), ..self }
    }

    /// What the thread of one task reads, if this is a left factor: its copy, or the first where there are more tasks.
    fn copy_of(self, task: usize) -> Matrix<'a> {
        let own = self.data.get(self.copy * task..).filter(|own| own.len() >= self.copy);
        Matrix { data: own.unwrap_or(self.data), ..self }
    }

    /// What the thread of one task reads, if this is a right factor: its share, as if the others stood before it.
    fn share_of(self, columns: &Range<usize>) -> Matrix<'a> {
        if self.shares == 1 {
            return self;
        }
        let (shift, stride) = (shift(self.rows, columns), share_stride(columns, self.columns));
        Matrix { data: self.data.get(shift..).unwrap_or_default(), row_stride: stride, ..self }
    }

    /// The same elements with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Matrix<'a> {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Whether every element lies inside the data.
    fn fits(&self) -> bool {
        if self.rows == 0 || self.columns == 0 {
            return true;
        }
        if self.shares > 1 {
            return self.column_stride == 1 && padded(self.rows) * padded(self.columns) <= self.data.len();
        }
        let last_row = (self.rows - 1).checked_mul(self.row_stride);
        let last_column = (self.columns - 1).checked_mul(self.column_stride);
        let last = last_row.zip(last_column).and_then(|(row, column)| row.checked_add(column));
        last.is_some_and(|last| last < self.data.len())
    }
}

/// How far behind the start of all shares a plain matrix with a share's stride would start, to have that share where it is:
/// element (row, column) of the share is at `shift + row · stride + column`.
fn shift(rows: usize, columns: &Range<usize>) -> usize {
    columns.start * (padded(rows).max(1) - 1)
}

/// From one row of a share to the next; the last share has the padding too.
fn share_stride(columns: &Range<usize>, all: usize) -> usize {
    if columns.end == all { padded(all) - columns.start } else { columns.len() }
}

/// How the matrix lies that a product is written to.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    /// Elements from the start of a row to the next, unless the columns lie in shares.
    pub(crate) stride: usize,
    /// Shares that the columns lie in.
    pub(crate) shares: usize,
}

impl Destination {
    /// A row-major matrix.
    pub(crate) fn plain(stride: usize) -> Destination {
        Destination { stride, shares: 1 }
    }
}

/// The buffers of products: one set per thread for packing.
pub(crate) struct Workspace {
    blocks: Vec<Blocks>,
    /// Where the sums of a product that is not kept wait for their last steps; as large as the largest of those.
    waiting: Vec<f32>,
    /// What products compute with.
    pub(super) processor: Processor,
}

impl Workspace {
    /// Buffers for products on a pool of this many threads.
    pub(crate) fn new(threads: usize, processor: Processor) -> Workspace {
        let blocks = (0..threads.max(1)).map(|_| Blocks::new(processor.cache)).collect();
        Workspace { blocks, waiting: Vec::new(), processor }
    }
}

/// Computes C = A·B into `c`. B or C may lie in shares of columns, or both in as many; then each share is one task.
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
    to: Destination,
    epilogue: E,
) where
    E: Fn(usize, usize, &mut [f32]) + Sync,
{
    let output = Output::new(c, a.rows, b.columns, to);
    debug_assert!(output.is_some(), "C does not fit");
    let Some(output) = output else { return };
    share(pool, workspace, a, b, to.shares, |rows, columns| {
        // SAFETY: parts of different tasks share no element, and each task is run once.
        Kept { piece: unsafe { output.piece(rows, columns) }, then: Epilogue(&epilogue) }
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
/// the matrices to be changed. They have the product's shape and lie as `to` says; of those that are empty the
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
    to: Destination,
    apply: &impl Apply,
) {
    let outputs = changed.map(|changed| match changed {
        [] => Some(Output::default()),
        changed => Output::new(changed, a.rows, b.columns, to),
    });
    let [Some(first), Some(second), Some(third), Some(fourth)] = outputs else {
        debug_assert!(false, "a matrix to be changed does not fit");
        return;
    };
    let outputs = [first, second, third, fourth];
    let applied = |rows: &Range<usize>, columns: &Range<usize>| {
        // SAFETY: parts of different tasks share no element, and each task is run once.
        let pieces = outputs.each_ref().map(|output| unsafe { output.piece(rows.clone(), columns.clone()) });
        Passed { pieces, apply }
    };
    if a.columns <= LONGEST_IN_REGISTERS {
        share(pool, workspace, a, b, to.shares, |rows, columns| applied(&rows, &columns));
        return;
    }
    let mut waiting = core::mem::take(&mut workspace.waiting);
    waiting.resize(waiting.len().max(a.rows.saturating_mul(b.columns)), 0.0);
    if let Some(sums) = Output::new(&mut waiting, a.rows, b.columns, Destination::plain(b.columns)) {
        share(pool, workspace, a, b, to.shares, |rows, columns| {
            let then = applied(&rows, &columns);
            // SAFETY: as above.
            Kept { piece: unsafe { sums.piece(rows, columns) }, then }
        });
    }
    workspace.waiting = waiting;
}

/// Shares a product out among the threads; `goal(rows, columns)` says where a part's sums go.
fn share<G: Goal>(
    pool: &Pool,
    workspace: &mut Workspace,
    a: Matrix<'_>,
    b: Matrix<'_>,
    shares: usize,
    goal: impl Fn(Range<usize>, Range<usize>) -> G + Sync,
) {
    let valid = a.columns == b.rows && a.fits() && b.fits();
    debug_assert!(valid, "the factors do not match or do not fit");
    if !valid {
        return;
    }
    let split = match shares.max(b.shares) {
        1 => Split::of(a.rows, b.columns, a.columns, workspace.blocks.len().min(pool.threads())),
        shares => Split::Columns(shares),
    };
    let (tasks, instructions) = (split.tasks(), workspace.processor.instructions);
    // The system may have granted fewer threads than were asked for, and than there are shares.
    let cache = workspace.processor.cache;
    workspace.blocks.resize_with(tasks.max(workspace.blocks.len()), || Blocks::new(cache));
    let work = |task: usize, blocks: &mut Blocks| {
        let (rows, columns) = split.part(task, a.rows, b.columns);
        let goal = goal(rows.clone(), columns.clone());
        let (a, b) = (a.copy_of(task), b.share_of(&columns));
        instructions.dispatch(Task { part: Part { a, b, rows, columns, target: (), blocks }, goal });
    };
    if is_worth_sharing(a.rows, b.columns, a.columns) {
        pool.for_each(&mut workspace.blocks[..tasks], work);
    } else {
        // Shares are more than one task even where the work is not worth another thread.
        workspace.blocks[..tasks].iter_mut().enumerate().for_each(|(task, blocks)| work(task, blocks));
    }
}

/// Counts the multiply-adds of whole vectors, since a product with few columns fills them in part only.
fn is_worth_sharing(rows: usize, columns: usize, depth: usize) -> bool {
    let columns = columns.next_multiple_of(MOST_LANES);
    rows.saturating_mul(columns).saturating_mul(depth.saturating_add(FINISHING)) >= WORTH_SHARING
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
        let threads = if is_worth_sharing(rows, columns, depth) { threads.max(1) } else { 1 };
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

/// One task's part of a product, and where its sums go.
struct Task<'a, G> {
    part: Part<'a, ()>,
    goal: G,
}

impl<G: Goal> WithSimd for Task<'_, G> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.goal.reach(simd, self.part);
    }
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

impl<'a> Part<'a, ()> {
    /// Computes the part. A function of its own, so that there is one for all that may become of the sums.
    #[inline(always)]
    fn into_target<S: Simd, T: Target>(self, simd: S, target: T) {
        let Part { a, b, rows, columns, blocks, target: () } = self;
        simd.vectorize(Multiply { simd, part: Part { a, b, rows, columns, target, blocks } });
    }
}

struct Multiply<'a, S, T> {
    simd: S,
    part: Part<'a, T>,
}

impl<S: Simd, T: Target> NullaryFnOnce for Multiply<'_, S, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.part.multiply(self.simd);
    }
}

impl<T: Target> Part<'_, T> {
    #[inline(always)]
    fn multiply<S: Simd>(self, simd: S) {
        if self.rows.is_empty() || self.columns.is_empty() {
        } else if self.a.columns == 0 {
            self.zeros();
        } else if T::KEEPS_SUMS && self.a.rows <= ROWS && self.b.column_stride == 1 {
            self.few_rows(simd);
        } else if self.has_few_steps() {
            self.few_steps(simd);
        } else if S::REGISTER_COUNT >= 32 {
            // Six vectors by four rows of sums, six of B and one of A: 31 registers.
            self.blocked::<S, 6>(simd);
        } else {
            // Two by four: eight sums, which is what hides the latency of adding, two vectors of B and one of A. A third
            // vector would leave the compiler no register, and one of the sums would be on the stack.
            self.blocked::<S, 2>(simd);
        }
    }

    /// A sum of nothing.
    fn zeros(mut self) {
        let mut sums = [0.0; 64];
        for row in self.rows.clone() {
            for start in self.columns.clone().step_by(sums.len()) {
                let columns = start..self.columns.end.min(start + sums.len());
                sums.fill(0.0);
                self.target.store(row..row + 1, &columns, &sums, columns.len());
                self.target.finish(row..row + 1, &columns, &mut sums, columns.len());
            }
        }
    }
}
