//! A vector of the machine's width as a number: what is written once for one number then works on many.

use core::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

/// As many f32s as a register holds.
#[derive(Clone, Copy)]
pub(crate) struct Vector<S: Simd> {
    simd: S,
    numbers: S::f32s,
}

impl<S: Simd> Vector<S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, numbers: S::f32s) -> Self {
        Vector { simd, numbers }
    }

    #[inline(always)]
    pub(crate) fn numbers(self) -> S::f32s {
        self.numbers
    }

    /// The same number throughout.
    #[inline(always)]
    pub(crate) fn splat(self, number: f32) -> Self {
        Vector::new(self.simd, self.simd.splat_f32s(number))
    }

    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        Vector::new(self.simd, self.simd.sqrt_f32s(self.numbers))
    }

    /// 1/√x.
    #[inline(always)]
    pub(crate) fn inverse_root(self) -> Self {
        #[cfg(target_arch = "x86_64")]
        // Known when this is compiled for an instruction set: no question is left in the loop.
        if let Some(v4) = (&self.simd as &dyn core::any::Any).downcast_ref::<pulp::x86::V4>() {
            let numbers = bytemuck::cast::<_, [f32; 16]>(self.numbers);
            return Vector::new(self.simd, bytemuck::cast(refined(v4.avx512f, numbers)));
        }
        self.splat(1.0) / self.sqrt()
    }

    /// Zero in place of numbers that are smaller than this.
    #[inline(always)]
    pub(crate) fn zero_below(self, limit: f32) -> Self {
        let small = self.simd.less_than_f32s(self.simd.abs_f32s(self.numbers), self.splat(limit).numbers);
        let numbers = self.simd.select_f32s(small, self.splat(0.0).numbers, self.numbers);
        Vector::new(self.simd, numbers)
    }

    /// 1 or −1 as the number is above or below zero; zero and not-a-number stay what they are.
    #[inline(always)]
    pub(crate) fn sign(self) -> Self {
        let zero = self.splat(0.0).numbers;
        let above = self.simd.less_than_f32s(zero, self.numbers);
        let below = self.simd.less_than_f32s(self.numbers, zero);
        let numbers = self.simd.select_f32s(above, self.splat(1.0).numbers, self.numbers);
        Vector::new(self.simd, self.simd.select_f32s(below, self.splat(-1.0).numbers, numbers))
    }

    /// The other's numbers where they are larger; not-a-number stays what it is.
    #[inline(always)]
    pub(crate) fn or_larger(self, other: Self) -> Self {
        let larger = self.simd.less_than_f32s(self.numbers, other.numbers);
        Vector::new(self.simd, self.simd.select_f32s(larger, other.numbers, self.numbers))
    }

    /// The other's numbers where the divisor's are zero.
    #[inline(always)]
    pub(crate) fn unless_zero(self, divisor: Self, other: Self) -> Self {
        let zero = self.simd.equal_f32s(divisor.numbers, self.splat(0.0).numbers);
        Vector::new(self.simd, self.simd.select_f32s(zero, other.numbers, self.numbers))
    }

    /// The numbers to this power, one by one: there is no instruction for it.
    #[inline(always)]
    pub(crate) fn raised(self, power: f32) -> Self {
        let mut numbers = self.numbers;
        let lanes: &mut [f32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut numbers));
        lanes.iter_mut().for_each(|number| *number = number.powf(power));
        Vector::new(self.simd, numbers)
    }

    /// ±limit in place of numbers that are larger; not-a-number stays what it is.
    #[inline(always)]
    pub(crate) fn limited(self, limit: f32) -> Self {
        let (low, high) = (self.splat(-limit).numbers, self.splat(limit).numbers);
        let numbers = self.simd.select_f32s(self.simd.less_than_f32s(high, self.numbers), high, self.numbers);
        let numbers = self.simd.select_f32s(self.simd.less_than_f32s(numbers, low), low, numbers);
        Vector::new(self.simd, numbers)
    }
}

/// The machine's estimate of 1/√x, good to 14 bits, and one of Newton's steps, which doubles them: y + y·(½ − ½x·y²).
/// That takes a sixth of the time of a root and a division, and is off by two units in the last place at most.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn refined(avx: pulp::core_arch::x86::Avx512f, x: [f32; 16]) -> [f32; 16] {
    use core::arch::x86_64::_CMP_UNORD_Q;

    let x = pulp::cast(x);
    let (half, estimate) = (avx._mm512_set1_ps(0.5), avx._mm512_rsqrt14_ps(x));
    let half_root = avx._mm512_mul_ps(avx._mm512_mul_ps(half, x), estimate);
    let correction = avx._mm512_fnmadd_ps(half_root, estimate, half);
    let result = avx._mm512_fmadd_ps(estimate, correction, estimate);
    // Of zero and of infinity the estimate is exact, and the step is ∞ · 0.
    let lost = avx._mm512_cmp_ps_mask::<_CMP_UNORD_Q>(result, result);
    pulp::cast(avx._mm512_mask_mov_ps(result, lost, estimate))
}

macro_rules! operator {
    ($operator:ident, $method:ident, $vectors:ident) => {
        impl<S: Simd> $operator for Vector<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Vector::new(self.simd, self.simd.$vectors(self.numbers, other.numbers))
            }
        }
    };
}

operator!(Add, add, add_f32s);
operator!(Sub, sub, sub_f32s);
operator!(Mul, mul, mul_f32s);
operator!(Div, div, div_f32s);

#[cfg(test)]
mod tests {
    use pulp::{Simd, WithSimd};

    use super::Vector;
    use crate::cpu::machine::Instructions;

    /// The functions under test, by a number, since a generic one cannot be passed.
    struct Apply<'a>(&'a mut [f32], u32);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Apply(numbers, which) = self;
            for run in numbers.chunks_mut(S::F32_LANES) {
                let x = Vector::new(simd, simd.partial_load_f32s(run));
                let y = match which {
                    0 => x.inverse_root(),
                    1 => x.zero_below(1e-3),
                    3 => x.sign(),
                    _ => x.limited(2.0),
                };
                simd.partial_store_f32s(run, y.numbers());
            }
        }
    }

    fn check(which: u32, numbers: &[f32], close: impl Fn(f32, f32) -> bool) {
        for instructions in Instructions::available() {
            let mut results = numbers.to_vec();
            instructions.dispatch(Apply(&mut results, which));
            for (&x, &result) in numbers.iter().zip(&results) {
                assert!(close(x, result), "function {which} of {x:e} came out as {result:e}");
            }
        }
    }

    #[test]
    fn inverse_roots_are_two_units_in_the_last_place_off_at_most() {
        let numbers: Vec<f32> = (0..4000).map(|index| f32::MIN_POSITIVE * 1.044f32.powi(index)).collect();
        let finite: Vec<f32> = numbers.into_iter().filter(|x| x.is_finite()).collect();
        check(0, &finite, |x, result| {
            let exact = 1.0 / f64::from(x).sqrt();
            (f64::from(result) - exact).abs() <= 2.0 * f64::from(f32::EPSILON) * exact
        });
    }

    #[test]
    fn special_numbers_keep_their_meaning() {
        check(0, &[0.0], |_, result| result == f32::INFINITY);
        check(0, &[f32::INFINITY], |_, result| result == 0.0);
        check(0, &[-1.0, f32::NAN], |_, result| result.is_nan());
        let numbers = [0.0, -0.0, 1e-4, -1e-4, 1e-3, -5.0, f32::NAN, f32::INFINITY, 1.5, 2.5];
        let expected = |x: f32| if x.abs() < 1e-3 { 0.0 } else { x };
        check(1, &numbers, |x, result| result == expected(x) || (x.is_nan() && result.is_nan()));
        let expected = |x: f32| if x.is_nan() { x } else { x.clamp(-2.0, 2.0) };
        check(2, &numbers, |x, result| result == expected(x) || (x.is_nan() && result.is_nan()));
        let expected = |x: f32| if x == 0.0 || x.is_nan() { x } else { x.signum() };
        check(3, &numbers, |x, result| result == expected(x) || (x.is_nan() && result.is_nan()));
    }
}
