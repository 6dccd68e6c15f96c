//! What an optimizer's rule is written in: one formula for the references and the CPU device.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

use crate::cpu::vector::Vector;
use crate::kernels::{Binding, Real};
use crate::shader::{Header, Part};
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
    /// The other number where that is larger, else this; not-a-number stays what it is.
    fn or_larger(self, other: Self) -> Self;
    /// The other number where the divisor is zero.
    fn unless_zero(self, divisor: Self, other: Self) -> Self;
    /// The number to this power, of numbers that are not negative.
    fn raised(self, power: F) -> Self;
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
    fn or_larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    fn unless_zero(self, divisor: Self, other: Self) -> Self {
        if divisor == F::zero() { other } else { self }
    }
    fn raised(self, power: F) -> Self {
        self.powf(power)
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
    #[inline(always)]
    fn or_larger(self, other: Self) -> Self {
        Vector::or_larger(self, other)
    }
    #[inline(always)]
    fn unless_zero(self, divisor: Self, other: Self) -> Self {
        Vector::unless_zero(self, divisor, other)
    }
    #[inline(always)]
    fn raised(self, power: f32) -> Self {
        Vector::raised(self, power)
    }
}

/// How a parameter and its slots follow from a gradient.
pub(crate) trait Formula: Clone + Sync {
    /// The bindings of all its slots.
    const SLOTS: &'static [Binding];

    /// How many of the slots are used where the formula is plain; they are the first ones.
    const PLAIN_SLOTS: usize;

    /// How many of the slots are bound: all, unless some are for a setting that is off.
    fn slots(&self) -> usize {
        Self::SLOTS.len()
    }

    /// The parts that are its shader.
    fn parts(&self) -> Vec<Part>;

    /// Its settings.
    fn header(&self, header: &mut Header);

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

/// 1 − β of β as it is written: 1 − 0.999 is 0.001, as Keras has it. The f32 nearest to 0.999 is 1.3·10⁻⁸ more, and what it
/// leaves of 1 off by 1.3·10⁻⁵ of itself, which a training shows.
#[inline(always)]
pub(crate) fn rest(beta: f32) -> f32 {
    let written = (f64::from(beta) * 1e7).round() / 1e7;
    if written as f32 == beta { (1.0 - written) as f32 } else { 1.0 - beta }
}
