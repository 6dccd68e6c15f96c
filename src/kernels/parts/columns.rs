//! Sums over the rows of a batch, column by column: the mirror of `shaders/parts/columns.wgsl`, and how the CPU device's
//! threads share the columns.

use crate::cpu::Cpu;
use crate::cpu::shares::COLUMN_UNIT;
use crate::kernels::blocks;
use crate::shader::Header;

/// Invocations of a workgroup.
const WORKGROUP: usize = 256;

/// Blocks of columns that a workgroup has, at most. Four are 64 bytes of each row, two of the pieces in which memory is
/// read; with more a layer would have too few workgroups to keep a GPU busy.
const WIDEST: usize = 4;

/// Blocks of columns of a workgroup; a power of two. Shape alone decides.
fn tile(columns: usize) -> usize {
    blocks(columns).next_power_of_two().min(WIDEST)
}

/// The constants that `shaders/parts/columns.wgsl` wants, and the number of columns.
pub(crate) fn header(header: &mut Header, columns: usize) {
    header
        .number("WORKGROUP", WORKGROUP)
        .number("TILE", tile(columns))
        .number("COLUMNS", columns)
        .number("COLUMN_BLOCKS", blocks(columns));
}

/// Workgroups for so many columns.
pub(crate) fn workgroups(columns: usize) -> usize {
    blocks(columns).div_ceil(tile(columns))
}

/// Calls `work` with parts of `sums`, a number a column in each, and the first column of the part. Whatever `work` adds up
/// for a column depends on that column alone, so the number of threads shows in no bit. It should be one that is always
/// inlined.
pub(crate) fn shared<const N: usize>(
    cpu: &Cpu,
    rows: usize,
    sums: [&mut [f32]; N],
    work: impl Fn(usize, [&mut [f32]; N]) + Sync,
) {
    let (columns, instructions) = (sums.first().map_or(0, |first| first.len()), cpu.instructions());
    // Inlined, or it would not be compiled for the instructions that are chosen here.
    let part = |first: usize, sums: [&mut [f32]; N]| {
        instructions.dispatch(
            #[inline(always)]
            || work(first, sums),
        );
    };
    cpu.pool.for_parts(sums, COLUMN_UNIT, rows * columns, part);
}

/// Two rows of zeros in scratch memory, which grows at a size's first step if at all.
pub(crate) fn zeroed(scratch: &mut Vec<f32>, length: usize) -> [&mut [f32]; 2] {
    scratch.resize(scratch.len().max(2 * length), 0.0);
    let (first, second) = scratch[..2 * length].split_at_mut(length);
    first.fill(0.0);
    second.fill(0.0);
    [first, second]
}
