//! Transposing small squares and strips in registers.

use pulp::Simd;

use super::ROWS;

/// Rows and columns of a square.
pub(super) const SIDE: usize = 8;

/// A square, row by row.
pub(super) type Square = [[f32; SIDE]; SIDE];

/// The square with rows and columns exchanged.
#[inline(always)]
pub(super) fn transposed<S: Simd>(simd: S, square: Square) -> Square {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx) = avx(simd) {
        return by_shuffles(avx, square);
    }
    core::array::from_fn(|column| core::array::from_fn(|row| square[row][column]))
}

/// As much of a strip of A, row by row.
pub(super) type Ribbon = [[f32; SIDE]; ROWS];

/// The ribbon with rows and columns exchanged.
#[inline(always)]
pub(super) fn upright<S: Simd>(simd: S, ribbon: Ribbon) -> [[f32; ROWS]; SIDE] {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx) = avx(simd) {
        return upright_by_shuffles(avx, ribbon);
    }
    core::array::from_fn(|column| core::array::from_fn(|row| ribbon[row][column]))
}

/// AVX's shuffles, where these instructions have them: known when this is compiled for an instruction set.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn avx<S: Simd>(simd: S) -> Option<pulp::core_arch::x86::Avx> {
    let simd = &simd as &dyn core::any::Any;
    let v3 = simd.downcast_ref::<pulp::x86::V3>().map(|v3| v3.avx);
    v3.or_else(|| simd.downcast_ref::<pulp::x86::V4>().map(|v4| v4.avx))
}

/// The first two rounds of the square's: a register then holds one column in each half.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn upright_by_shuffles(avx: pulp::core_arch::x86::Avx, ribbon: Ribbon) -> [[f32; ROWS]; SIDE] {
    use core::arch::x86_64::__m256;

    let [a, b, c, d]: [__m256; ROWS] = pulp::cast(ribbon);
    let (ab, cd) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpacklo_ps(c, d));
    let (zeroth, first) = (avx._mm256_shuffle_ps::<FIRST>(ab, cd), avx._mm256_shuffle_ps::<LAST>(ab, cd));
    let (ab, cd) = (avx._mm256_unpackhi_ps(a, b), avx._mm256_unpackhi_ps(c, d));
    let (second, third) = (avx._mm256_shuffle_ps::<FIRST>(ab, cd), avx._mm256_shuffle_ps::<LAST>(ab, cd));
    let halves: [[[f32; ROWS]; 2]; ROWS] = pulp::cast([zeroth, first, second, third]);
    let [[a, e], [b, f], [c, g], [d, h]] = halves;
    [a, b, c, d, e, f, g, h]
}

/// The first two of a, then the first two of b, in each half.
#[cfg(target_arch = "x86_64")]
const FIRST: i32 = 0b01_00_01_00;
/// The last two of each likewise.
#[cfg(target_arch = "x86_64")]
const LAST: i32 = 0b11_10_11_10;

/// In three rounds, each of which exchanges ever larger parts of pairs of rows: numbers, pairs, and halves.
///
/// Written out, since a closure would be compiled without the instructions that its caller may use.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn by_shuffles(avx: pulp::core_arch::x86::Avx, square: Square) -> Square {
    use core::arch::x86_64::__m256;

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
    use pulp::{Simd, WithSimd};

    use super::{ROWS, Ribbon, SIDE, Square, transposed, upright};
    use crate::cpu::machine::Instructions;

    struct Turn(Square, Ribbon);

    impl WithSimd for Turn {
        type Output = (Square, [[f32; ROWS]; SIDE]);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            (transposed(simd, self.0), upright(simd, self.1))
        }
    }

    #[test]
    fn rows_become_columns() {
        let square: Square = core::array::from_fn(|row| core::array::from_fn(|column| (10 * row + column) as f32));
        let ribbon: Ribbon = core::array::from_fn(|row| core::array::from_fn(|column| (10 * row + column) as f32));
        for instructions in Instructions::available() {
            let (turned, stood) = instructions.dispatch(Turn(square, ribbon));
            for column in 0..SIDE {
                assert!((0..SIDE).all(|row| turned[column][row] == square[row][column]));
                assert!((0..ROWS).all(|row| stood[column][row] == ribbon[row][column]));
            }
        }
    }
}
