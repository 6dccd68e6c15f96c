//! The losses that see one output y and its target t, each with its slope ∂/∂y: the mirrors of the parts that give
//! `element_loss` and `element_slope`. They are written so that a NaN stays one.

use crate::kernels::Real;

/// A loss of one output, and its slope.
pub(super) trait Element<F>: Copy {
    fn loss(self, y: F, t: F) -> F;
    fn slope(self, y: F, t: F) -> F;
}

impl<F, L: Fn(F, F) -> F + Copy, S: Fn(F, F) -> F + Copy> Element<F> for (L, S) {
    #[inline(always)]
    fn loss(self, y: F, t: F) -> F {
        self.0(y, t)
    }
    #[inline(always)]
    fn slope(self, y: F, t: F) -> F {
        self.1(y, t)
    }
}

/// Keras's `epsilon()`.
const EPSILON: f32 = 1e-7;

/// `size` with the sign of `of`; 0 and NaN as they are.
fn signed<F: Real>(size: F, of: F) -> F {
    if of > F::zero() {
        size
    } else if of < F::zero() {
        -size
    } else {
        of
    }
}

/// What a probability of `p` costs where t is wanted, from the logit of p.
fn crossentropy<F: Real>(logit: F, t: F) -> F {
    let positive = if logit < F::zero() { F::zero() } else { logit };
    positive - logit * t + (-logit.abs()).exp().ln_1p()
}

pub(super) fn binary_crossentropy<F: Real>() -> impl Element<F> {
    (crossentropy::<F>, |logit: F, t: F| F::one() / (F::one() + (-logit).exp()) - t)
}

pub(super) fn binary_focal_crossentropy<F: Real>(alpha: Option<f32>, gamma: f32) -> impl Element<F> {
    let (one, gamma) = (F::one(), F::of(gamma));
    // p, q = 1 − p, u and what cross-entropy is multiplied by.
    let focus = move |logit: F, t: F| {
        let e = (-logit.abs()).exp();
        let (near, far) = (one / (one + e), e / (one + e));
        let (p, q) = if logit < F::zero() { (far, near) } else { (near, far) };
        let u = (t * q + (one - t) * p).max(F::of(1e-30));
        let balance = alpha.map_or(one, |alpha| t * F::of(alpha) + (one - t) * (one - F::of(alpha)));
        (p, q, u, balance * u.powf(gamma))
    };
    let slope = move |logit: F, t: F| {
        let (p, q, u, factor) = focus(logit, t);
        factor * (p - t + gamma * (one - (t + t)) * (p * q / u) * crossentropy(logit, t))
    };
    (move |logit: F, t: F| focus(logit, t).3 * crossentropy(logit, t), slope)
}

pub(super) fn squared_error<F: Real>() -> impl Element<F> {
    (|y: F, t: F| (y - t) * (y - t), |y: F, t: F| F::of(2.0) * (y - t))
}

pub(super) fn absolute_error<F: Real>() -> impl Element<F> {
    (|y: F, t: F| (y - t).abs(), |y: F, t: F| signed(F::one(), y - t))
}

pub(super) fn absolute_percentage_error<F: Real>() -> impl Element<F> {
    let whole = |t: F| t.abs().max(F::of(EPSILON));
    let loss = move |y: F, t: F| F::of(100.0) * (y - t).abs() / whole(t);
    (loss, move |y: F, t: F| signed(F::of(100.0) / whole(t), y - t))
}

pub(super) fn squared_logarithmic_error<F: Real>() -> impl Element<F> {
    let logarithm = |y: F| (if y < F::of(EPSILON) { F::of(EPSILON) } else { y }).ln_1p();
    let difference = move |y: F, t: F| logarithm(y) - logarithm(t);
    let slope = move |y: F, t: F| match y < F::of(EPSILON) {
        true => F::zero(),
        false => F::of(2.0) * difference(y, t) / (F::one() + y),
    };
    (move |y: F, t: F| difference(y, t) * difference(y, t), slope)
}

pub(super) fn huber<F: Real>(delta: f32) -> impl Element<F> {
    let (delta, half) = (F::of(delta), F::of(0.5));
    let loss = move |y: F, t: F| {
        let size = (y - t).abs();
        if size <= delta { half * size * size } else { delta * (size - half * delta) }
    };
    let slope = move |y: F, t: F| {
        let difference = y - t;
        if difference.abs() > delta { signed(delta, difference) } else { difference }
    };
    (loss, slope)
}

pub(super) fn log_cosh<F: Real>() -> impl Element<F> {
    let loss = |y: F, t: F| {
        let size = (y - t).abs();
        size + ((F::of(-2.0) * size).exp().ln_1p() - F::near(std::f64::consts::LN_2))
    };
    (loss, |y: F, t: F| (y - t).tanh())
}

pub(super) fn poisson<F: Real>() -> impl Element<F> {
    let epsilon = F::of(EPSILON);
    (move |y: F, t: F| y - t * (y + epsilon).ln(), move |y: F, t: F| F::one() - t / (y + epsilon))
}

pub(super) fn kl_divergence<F: Real>() -> impl Element<F> {
    let (epsilon, one) = (F::of(EPSILON), F::one());
    let within = move |y: F| {
        if y < epsilon {
            epsilon
        } else if y > one {
            one
        } else {
            y
        }
    };
    let slope = move |y: F, t: F| if y < epsilon || y > one { F::zero() } else { -within(t) / y };
    (move |y: F, t: F| within(t) * (within(t) / within(y)).ln(), slope)
}

/// −1 or 1; a target of 0 counts as −1.
fn sign<F: Real>(t: F) -> F {
    if t == F::zero() { -F::one() } else { t }
}

/// By how much an output is short of what its sign asks for, or 0.
fn shortfall<F: Real>(y: F, t: F) -> F {
    let margin = F::one() - sign(t) * y;
    if margin < F::zero() { F::zero() } else { margin }
}

pub(super) fn hinge<F: Real>() -> impl Element<F> {
    (shortfall::<F>, |y: F, t: F| if shortfall(y, t) == F::zero() { F::zero() } else { -sign(t) })
}

pub(super) fn squared_hinge<F: Real>() -> impl Element<F> {
    let loss = |y: F, t: F| shortfall(y, t) * shortfall(y, t);
    (loss, |y: F, t: F| F::of(-2.0) * sign(t) * shortfall(y, t))
}
