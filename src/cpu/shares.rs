//! How the threads of the CPU device share out a layer's memory, where that pays. A line of memory that one core writes
//! and another has read travels between their caches, which is slow where they have none in common; so a kernel that is
//! divided by columns, in the forward pass as in the update, lies in as many **shares**, each a whole matrix of its own
//! that one thread alone reads and writes, and the batch that all of them read is **copied** for each. Nothing of it changes
//! a bit of any result: every sum is the same chain. On a GPU there is one share and one copy.

use std::ops::Range;

/// Rows and columns of a kernel are padded to blocks of four.
pub(super) const fn padded(count: usize) -> usize {
    count.next_multiple_of(4)
}

/// Columns of a share start at multiples of this many: the widest vector.
pub(crate) const COLUMN_UNIT: usize = 16;

/// A share is at least this wide. Every thread packs all of the batch for its own share, which would outweigh the rest where
/// shares are narrow.
const WORTH_A_SHARE: usize = 128;

/// Batches of more bytes than this are not copied: a copy is there to stay in a second-level cache.
const LARGEST_COPY: usize = 1 << 20;

/// How a layer's kernel and its batch lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shares {
    /// Shares of columns of the kernel; 1 for a plain matrix.
    pub kernel: usize,
    /// Copies of the layer's input, one behind the other.
    pub input: usize,
}

impl Default for Shares {
    fn default() -> Self {
        Shares { kernel: 1, input: 1 }
    }
}

impl Shares {
    /// The shares that a kernel for so many outputs has on so many threads.
    pub(crate) fn of_kernel(outputs: usize, threads: usize) -> usize {
        if outputs / threads.max(1) >= WORTH_A_SHARE { threads.max(1) } else { 1 }
    }

    /// The copies of a batch of so many rows for a kernel in `kernel` shares.
    pub(crate) fn of_input(kernel: usize, rows: usize, features: usize) -> usize {
        if 4 * padded(rows) * padded(features) <= LARGEST_COPY { kernel } else { 1 }
    }

    /// Where a number of the kernel is, rows and columns being padded.
    pub(crate) fn place(self, inputs: usize, outputs: usize, row: usize, column: usize) -> usize {
        place(self.kernel, inputs, outputs, row, column)
    }
}

/// Where a number of a kernel in so many shares is.
pub(crate) fn place(shares: usize, inputs: usize, outputs: usize, row: usize, column: usize) -> usize {
    let (rows, columns) = (padded(inputs), padded(outputs));
    let mut all = (0..shares).map(|index| share_of(columns, COLUMN_UNIT, shares, index));
    let share = all.find(|share| share.contains(&column)).unwrap_or(0..columns);
    rows * share.start + row * share.len() + column - share.start
}

/// The share of one task in `0..length`, in whole units except at the end.
pub(crate) fn share_of(length: usize, unit: usize, tasks: usize, task: usize) -> Range<usize> {
    let units = length.div_ceil(unit);
    let edge = |task: usize| (units * task / tasks * unit).min(length);
    edge(task)..edge(task + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        for (inputs, outputs, shares) in [(3, 2, 1), (5, 33, 2), (8, 300, 2), (6, 515, 3), (4, 512, 4)] {
            let mut taken = vec![false; padded(inputs) * padded(outputs)];
            for row in 0..padded(inputs) {
                for column in 0..padded(outputs) {
                    let place = place(shares, inputs, outputs, row, column);
                    assert!(!std::mem::replace(&mut taken[place], true), "({row}, {column}) of {shares} shares");
                }
            }
        }
        // One share is a plain matrix; of two, each is one.
        assert_eq!(place(1, 8, 512, 3, 300), 3 * 512 + 300);
        assert_eq!(place(2, 8, 512, 3, 300), 8 * 256 + 3 * 256 + 44);
    }

    #[test]
    fn narrow_kernels_stay_whole_and_large_batches_are_not_copied() {
        assert_eq!([1, 2, 4, 5].map(|threads| Shares::of_kernel(512, threads)), [1, 2, 4, 1]);
        assert_eq!(Shares::of_kernel(10, 1), 1);
        assert_eq!([128, 4096].map(|rows| Shares::of_input(2, rows, 784)), [2, 1]);
    }
}
