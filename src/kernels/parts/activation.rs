//! The formulas of the activations, f and f′, one number at a time: the mirror of `shaders/parts/activation.wgsl`.

pub(crate) mod erf;

use crate::kernels::Real;
use crate::net::activation::Activation;
use crate::shader::Header;

const GELU_SCALE: f64 = 0.797_884_560_802_865_4; // √(2/π)
const GELU_CUBIC: f64 = 0.044_715;
const ROOT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
const NORMAL_PEAK: f64 = 0.398_942_280_401_432_7; // 1/√(2π)

// Klambauer et al. 2017.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

impl Activation {
    /// Whether f′ is computed from z; elsewhere it is computed from y = f(z).
    pub fn keeps_input(self) -> bool {
        match self {
            Activation::Silu | Activation::Gelu | Activation::GeluExact | Activation::Softplus => true,
            Activation::HardSilu | Activation::Mish => true,
            // With another threshold numbers from either side of it may come out alike; a limit that half precision does not
            // hold comes out below itself.
            Activation::ReluWith { max_value, threshold, .. } => {
                threshold != 0.0 || max_value.is_some_and(|max| !is_half(max))
            }
            _ => false,
        }
    }

    /// f(z), element by element; softmax, which is not, passes z on.
    #[inline(always)]
    pub fn activate<F: Real>(self, z: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        match self {
            Activation::Linear | Activation::Softmax => z,
            // A NaN is not below zero and stays one.
            Activation::Relu => {
                if z < zero {
                    zero
                } else {
                    z
                }
            }
            Activation::LeakyRelu(slope) => {
                if z < zero {
                    F::of(slope) * z
                } else {
                    z
                }
            }
            Activation::Elu(alpha) => {
                if z < zero {
                    F::of(alpha) * z.exp_m1()
                } else {
                    z
                }
            }
            Activation::Sigmoid => one / (one + (-z).exp()),
            Activation::Tanh => z.tanh(),
            Activation::Silu => z / (one + (-z).exp()),
            Activation::Gelu => F::of(0.5) * z * (one + gelu_inner(z).tanh()),
            Activation::Softplus => {
                if z.is_nan() {
                    z
                } else {
                    z.max(zero) + (-z.abs()).exp().ln_1p()
                }
            }
            Activation::GeluExact => F::of(0.5) * z * (-z * F::near(ROOT_HALF)).erfc(),
            Activation::ReluWith { negative_slope, max_value, threshold } => {
                let (threshold, limit) = (F::of(threshold), F::of(limit(max_value)));
                if z >= threshold || z.is_nan() {
                    cut(z, z, limit, limit)
                } else if negative_slope == 0.0 {
                    zero // Not 0·(−∞), which is a NaN.
                } else {
                    F::of(negative_slope) * (z - threshold)
                }
            }
            Activation::Selu => {
                let negative = if z < zero { F::near(SELU_ALPHA) * z.exp_m1() } else { z };
                F::near(SELU_SCALE) * negative
            }
            Activation::Celu(alpha) => {
                if z < zero {
                    F::of(alpha) * (z / F::of(alpha)).exp_m1()
                } else {
                    z
                }
            }
            Activation::Softsign => z / (one + z.abs()),
            Activation::HardSigmoid => cut(z, hard_line(z), F::of(3.0), one),
            Activation::HardTanh => {
                if z <= -one {
                    -one
                } else {
                    cut(z, z, one, one)
                }
            }
            Activation::HardSilu => cut(z, z * hard_line(z), F::of(3.0), z),
            Activation::Mish => z * tanh_of_softplus(z),
            Activation::Exponential => z.exp(),
        }
    }

    /// f′ from what the forward pass kept; see [`Activation::keeps_input`].
    #[inline(always)]
    pub fn derivative<F: Real>(self, kept: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        match self {
            Activation::Linear | Activation::Softmax => one,
            Activation::Relu => {
                if kept > zero {
                    one
                } else {
                    zero
                }
            }
            Activation::LeakyRelu(slope) => {
                if kept > zero {
                    one
                } else {
                    F::of(slope)
                }
            }
            Activation::Elu(alpha) => {
                if kept > zero {
                    one
                } else {
                    kept + F::of(alpha)
                }
            }
            Activation::Sigmoid => kept * (one - kept),
            Activation::Tanh => one - kept * kept,
            Activation::Silu => {
                let s = one / (one + (-kept).exp());
                s * (one + kept * (one - s))
            }
            Activation::Gelu => {
                let t = gelu_inner(kept).tanh();
                let half = F::of(0.5);
                let slope = F::near(GELU_SCALE) * (one + F::near(3.0 * GELU_CUBIC) * kept * kept);
                half * (one + t) + half * kept * (one - t * t) * slope
            }
            Activation::Softplus => one / (one + (-kept).exp()),
            Activation::GeluExact => {
                let density = F::near(NORMAL_PEAK) * (-F::of(0.5) * kept * kept).exp();
                F::of(0.5) * (-kept * F::near(ROOT_HALF)).erfc() + kept * density
            }
            Activation::ReluWith { negative_slope, max_value, threshold } => {
                if kept >= F::of(limit(max_value)) {
                    zero
                } else if kept > F::of(threshold) {
                    one
                } else {
                    F::of(negative_slope)
                }
            }
            Activation::Selu => {
                if kept > zero {
                    F::near(SELU_SCALE)
                } else {
                    kept + F::near(SELU_SCALE * SELU_ALPHA)
                }
            }
            Activation::Celu(alpha) => {
                if kept > zero {
                    one
                } else {
                    one + kept / F::of(alpha)
                }
            }
            Activation::Softsign => (one - kept.abs()) * (one - kept.abs()),
            Activation::HardSigmoid => {
                if kept > zero && kept < one {
                    F::near(1.0 / 6.0)
                } else {
                    zero
                }
            }
            Activation::HardTanh => {
                if kept.abs() < one {
                    one
                } else {
                    zero
                }
            }
            Activation::HardSilu => {
                if kept <= F::of(-3.0) {
                    zero
                } else {
                    cut(kept, kept / F::of(3.0) + F::of(0.5), F::of(3.0), one)
                }
            }
            Activation::Mish => {
                let t = tanh_of_softplus(kept);
                t + kept * (one - t * t) / (one + (-kept).exp())
            }
            Activation::Exponential => kept,
        }
    }

    /// f over a row's sums, in place. The branch is outside the loop, so that each loop is one the compiler can turn into
    /// vector instructions.
    #[inline(always)]
    pub(crate) fn activate_all(self, values: &mut [f32]) {
        match self {
            Activation::Linear | Activation::Softmax => {}
            Activation::Relu => values.iter_mut().for_each(|z| *z = Activation::Relu.activate(*z)),
            other => values.iter_mut().for_each(|z| *z = other.activate(*z)),
        }
    }

    /// Multiplies gradients by f′ of what the forward pass kept, in place.
    #[inline(always)]
    pub(crate) fn differentiate_all(self, kept: &[f32], gradients: &mut [f32]) {
        let pairs = gradients.iter_mut().zip(kept);
        match self {
            Activation::Linear | Activation::Softmax => {}
            Activation::Relu => pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 }),
            other => pairs.for_each(|(g, &kept)| *g *= other.derivative(kept)),
        }
    }

    /// Adds the constants that `shaders/parts/activation.wgsl` wants.
    pub(crate) fn header(self, header: &mut Header) {
        let (number, alpha) = match self {
            Activation::Linear | Activation::Softmax => (0, 0.0),
            Activation::Relu => (1, 0.0),
            Activation::LeakyRelu(slope) => (2, slope),
            Activation::Elu(alpha) => (3, alpha),
            Activation::Sigmoid => (4, 0.0),
            Activation::Tanh => (5, 0.0),
            Activation::Silu => (6, 0.0),
            Activation::Gelu => (7, 0.0),
            Activation::Softplus => (8, 0.0),
            Activation::GeluExact => (9, 0.0),
            Activation::ReluWith { negative_slope, .. } => (10, negative_slope),
            Activation::Selu => (11, 0.0),
            Activation::Celu(alpha) => (12, alpha),
            Activation::Softsign => (13, 0.0),
            Activation::HardSigmoid => (14, 0.0),
            Activation::HardTanh => (15, 0.0),
            Activation::HardSilu => (16, 0.0),
            Activation::Mish => (17, 0.0),
            Activation::Exponential => (18, 0.0),
        };
        let (threshold, limit) = match self {
            Activation::ReluWith { max_value, threshold, .. } => (threshold, limit(max_value)),
            _ => (0.0, 0.0),
        };
        header.number("ACTIVATION", number).float("ALPHA", alpha);
        header.float("ACTIVATION_THRESHOLD", threshold).float("ACTIVATION_LIMIT", limit);
    }
}

#[inline(always)]
fn gelu_inner<F: Real>(z: F) -> F {
    F::near(GELU_SCALE) * (z + F::near(GELU_CUBIC) * z * z * z)
}

/// `f` below where it is cut, `cut` from there on; a NaN stays one.
#[inline(always)]
fn cut<F: Real>(z: F, f: F, from: F, cut: F) -> F {
    if z >= from { cut } else { f }
}

/// z/6 + 1/2 where that is above zero, else zero.
#[inline(always)]
fn hard_line<F: Real>(z: F) -> F {
    if z <= F::of(-3.0) { F::zero() } else { z * F::near(1.0 / 6.0) + F::of(0.5) }
}

/// tanh(softplus(z)): with e = exp(z) it is (e² + 2e) / (e² + 2e + 2), here by exp(−|z|), which never overflows.
#[inline(always)]
fn tanh_of_softplus<F: Real>(z: F) -> F {
    let (one, two, u) = (F::one(), F::of(2.0), (-z.abs()).exp());
    if z < F::zero() {
        let above = u * (u + two);
        above / (above + two)
    } else {
        let above = one + two * u;
        above / (above + two * u * u)
    }
}

/// The most that comes out of a ReLU, that there is always one.
fn limit(max_value: Option<f32>) -> f32 {
    max_value.unwrap_or(f32::MAX)
}

/// Whether half precision holds a number that is not negative: its 11 bits, from its smallest normal number to its largest.
fn is_half(number: f32) -> bool {
    number == 0.0 || (number.to_bits().trailing_zeros() >= 13 && (6.103_515_6e-5..=65_504.0).contains(&number))
}
