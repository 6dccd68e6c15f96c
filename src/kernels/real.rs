//! What references compute in, and how rows are padded.

/// A floating-point type that references compute in: f32 for the CPU device, f64 for the oracle.
pub trait Real: num_traits::Float + std::ops::AddAssign + std::fmt::Debug + Send + Sync + 'static {
    /// The value of an f32, exactly.
    fn of(value: f32) -> Self;
    /// The value as f64, exactly.
    fn wide(self) -> f64;
    /// The nearest value to an f64.
    fn near(value: f64) -> Self;
    /// 1 − erf: of an f64 to 10⁻¹⁴, of an f32 as the shaders have it, to 4·10⁻⁷ (`parts/activation/erf.rs`).
    fn erfc(self) -> Self;
}

impl Real for f32 {
    fn of(value: f32) -> Self {
        value
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn near(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn erfc(self) -> Self {
        super::parts::activation::erf::by_polynomial(self)
    }
}

impl Real for f64 {
    fn of(value: f32) -> Self {
        f64::from(value)
    }
    fn wide(self) -> f64 {
        self
    }
    fn near(value: f64) -> Self {
        value
    }
    fn erfc(self) -> Self {
        super::parts::activation::erf::exact(self)
    }
}

/// Numbers in blocks of four: rows of matrices are padded to them.
pub const fn blocks(count: usize) -> usize {
    count.div_ceil(4)
}

/// `count` rounded up to whole blocks of four.
pub const fn padded(count: usize) -> usize {
    4 * blocks(count)
}

/// Invocations in a workgroup of the operations that work element by element.
pub(crate) const WORKGROUP: usize = 64;
