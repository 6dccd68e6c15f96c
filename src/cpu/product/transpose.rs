//! Transposing small squares in registers.

/// Rows and columns of a square.
pub(super) const SIDE: usize = 8;

/// A square, row by row.
pub(super) type Square = [[f32; SIDE]; SIDE];

/// The square with rows and columns exchanged.
#[inline(always)]
pub(super) fn transposed(square: Square) -> Square {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        return by_shuffles(v3.avx, square);
    }
    core::array::from_fn(|column| core::array::from_fn(|row| square[row][column]))
}

/// In three rounds, each of which exchanges ever larger parts of pairs of rows: numbers, pairs, and halves.
///
/// Written out, since a closure would be compiled without the instructions that its caller may use.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn by_shuffles(avx: pulp::core_arch::x86::Avx, square: Square) -> Square {
    use core::arch::x86_64::__m256;

    /// The first two of a, then the first two of b, in each half.
    const FIRST: i32 = 0b01_00_01_00;
    /// The last two of each likewise.
    const LAST: i32 = 0b11_10_11_10;
    /// The first half of a, then that of b.
    const LOW: i32 = 0x20;
    /// The last half of each likewise.
    const HIGH: i32 = 0x31;

    let [a, b, c, d, e, f, g, h]: [__m256; SIDE] = pulp::cast(square);
    let (ab, cd) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpacklo_ps(c, d));
    let (ef, gh) = (avx._mm256_unpacklo_ps(e, f), avx._mm256_unpacklo_ps(g, h));
    let (top_0, bottom_0) = (avx._mm256_shuffle_ps::<FIRST>(ab, cd), avx._mm256_shuffle_ps::<FIRST>(ef, gh));
    let (top_1, bottom_1) = (avx._mm256_shuffle_ps::<LAST>(ab, cd), avx._mm256_shuffle_ps::<LAST>(ef, gh));
    let (ab, cd) = (avx._mm256_unpackhi_ps(a, b), avx._mm256_unpackhi_ps(c, d));
    let (ef, gh) = (avx._mm256_unpackhi_ps(e, f), avx._mm256_unpackhi_ps(g, h));
    let (top_2, bottom_2) = (avx._mm256_shuffle_ps::<FIRST>(ab, cd), avx._mm256_shuffle_ps::<FIRST>(ef, gh));
    let (top_3, bottom_3) = (avx._mm256_shuffle_ps::<LAST>(ab, cd), avx._mm256_shuffle_ps::<LAST>(ef, gh));
    pulp::cast([
        avx._mm256_permute2f128_ps::<LOW>(top_0, bottom_0),
        avx._mm256_permute2f128_ps::<LOW>(top_1, bottom_1),
        avx._mm256_permute2f128_ps::<LOW>(top_2, bottom_2),
        avx._mm256_permute2f128_ps::<LOW>(top_3, bottom_3),
        avx._mm256_permute2f128_ps::<HIGH>(top_0, bottom_0),
        avx._mm256_permute2f128_ps::<HIGH>(top_1, bottom_1),
        avx._mm256_permute2f128_ps::<HIGH>(top_2, bottom_2),
        avx._mm256_permute2f128_ps::<HIGH>(top_3, bottom_3),
    ])
}

#[cfg(test)]
mod tests {
    use super::{SIDE, Square, transposed};

    #[test]
    fn rows_become_columns() {
        let square: Square = core::array::from_fn(|row| core::array::from_fn(|column| (10 * row + column) as f32));
        let result = transposed(square);
        for row in 0..SIDE {
            for column in 0..SIDE {
                assert_eq!(result[column][row], square[row][column]);
            }
        }
    }
}
