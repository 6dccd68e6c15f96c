//! The formulas of the activations, f and f′, one number at a time: the mirror of `shaders/parts/activation.wgsl`.

use crate::kernels::Real;
use crate::net::activation::Activation;
use crate::shader::Header;

const GELU_SCALE: f64 = 0.797_884_560_802_865_4; // √(2/π)
const GELU_CUBIC: f64 = 0.044_715;

impl Activation {
    /// Whether f′ is computed from z; elsewhere it is computed from y = f(z).
    pub fn keeps_input(self) -> bool {
        matches!(self, Activation::Silu | Activation::Gelu | Activation::Softplus)
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
        };
        header.number("ACTIVATION", number).float("ALPHA", alpha);
    }
}

#[inline(always)]
fn gelu_inner<F: Real>(z: F) -> F {
    F::near(GELU_SCALE) * (z + F::near(GELU_CUBIC) * z * z * z)
}
