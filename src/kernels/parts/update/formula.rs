//! What an optimizer's rule is written in: one formula for the references and the CPU device.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

use crate::cpu::vector::Vector;
use crate::kernels::Real;
use crate::step::StepBlock;

/// A number, or as many as a vector holds: what rules are written in, once for the references and the CPU device.
pub(crate) trait Number<F>:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// A constant, as this kind of number.
    fn like(self, constant: F) -> Self;
    /// √x.
    fn root(self) -> Self;
    /// 1/√x.
    fn inverse_root(self) -> Self;
    /// The number, or zero where it is too small to be held to full precision: many processors take a hundred times as
    /// long with such numbers, and averages that decay would be among them for good. GPUs may flush them as well.
    fn flushed(self) -> Self;
    /// Cut to ±limit; not-a-number stays what it is.
    fn limited(self, limit: F) -> Self;
    /// 1 or −1; zero and not-a-number stay what they are.
    fn sign(self) -> Self;
}

impl<F: Real> Number<F> for F {
    fn like(self, constant: F) -> Self {
        constant
    }
    fn root(self) -> Self {
        self.sqrt()
    }
    fn inverse_root(self) -> Self {
        self.sqrt().recip()
    }
    fn flushed(self) -> Self {
        if self.abs() < F::min_positive_value() { F::zero() } else { self }
    }
    fn limited(self, limit: F) -> Self {
        if self.abs() > limit { limit * self.signum() } else { self }
    }
    fn sign(self) -> Self {
        if self == F::zero() { self } else { self.signum() }
    }
}

impl<S: Simd> Number<f32> for Vector<S> {
    #[inline(always)]
    fn like(self, constant: f32) -> Self {
        self.splat(constant)
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn inverse_root(self) -> Self {
        Vector::inverse_root(self)
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        self.zero_below(f32::MIN_POSITIVE)
    }
    #[inline(always)]
    fn limited(self, limit: f32) -> Self {
        Vector::limited(self, limit)
    }
    #[inline(always)]
    fn sign(self) -> Self {
        Vector::sign(self)
    }
}

/// How a parameter and its slots follow from a gradient.
pub(crate) trait Formula: Sync {
    /// How many of the slots are used where the formula is plain; they are the first ones.
    const PLAIN_SLOTS: usize;

    /// Whether everything that can be left out of the formula is.
    fn is_plain(&self) -> bool;

    /// The parameter and the slots after a step; slots that are not used come back as they are. `PLAIN` says when the code
    /// is compiled that the formula is plain, so that the loop over a tile has neither questions nor slots to spare.
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        slots: [T; 3],
    ) -> (T, [T; 3]);
}
