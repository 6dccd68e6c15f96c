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

/// How many sums the CPU device makes side by side of a row's numbers: as many as its widest vector holds.
const CHAINS: usize = 16;

/// The sum over a row of a term that is made of one number of each of some slices of one length. It is made of sixteen sums,
/// on every machine the same ones, so that a vector of the machine's can hold them.
#[inline(always)]
pub(crate) fn sum_of<const N: usize>(row: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let parts = row.map(|numbers| numbers.as_chunks::<CHAINS>());
    let whole = parts.iter().map(|(whole, _)| whole.len()).min().unwrap_or(0);
    let mut sums = [0.0; CHAINS];
    for index in 0..whole {
        let numbers = parts.map(|(whole, _)| &whole[index]);
        sums.iter_mut().enumerate().for_each(|(chain, sum)| *sum += term(numbers.map(|block| block[chain])));
    }
    let rest = parts.iter().map(|(_, rest)| rest.len()).min().unwrap_or(0);
    for (chain, sum) in sums.iter_mut().enumerate().take(rest) {
        *sum += term(parts.map(|(_, rest)| rest[chain]));
    }
    let mut half = CHAINS / 2;
    while half > 0 {
        (0..half).for_each(|chain| sums[chain] += sums[chain + half]);
        half /= 2;
    }
    sums[0]
}
