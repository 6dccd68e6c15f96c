//! How many invocations share a row, in the operations that reduce over rows.

use crate::kernels::WORKGROUP;
use crate::shader::Header;

/// One invocation a row up to 32 columns, then more, up to a whole workgroup. Shape alone decides.
pub fn for_columns(columns: usize) -> usize {
    if columns <= 32 { 1 } else { (columns / 16).next_power_of_two().min(WORKGROUP) }
}

/// The constants that `shaders/parts/lanes.wgsl` wants.
pub(crate) fn header(header: &mut Header, workgroup: usize, lanes: usize) {
    header.number("WORKGROUP", workgroup).number("LANES", lanes);
}

/// Workgroups for `rows` rows, padded to blocks of four.
pub(crate) fn workgroups(rows: usize, columns: usize) -> usize {
    (crate::kernels::padded(rows) * for_columns(columns)).div_ceil(WORKGROUP)
}
