//! How far off the losses of one output may be. With u half the distance from 1 to the next f32, d = y − t is off by
//! δ = 4·u·(|y| + |t|), smoothing's roundings included; a quotient, a product and the like by a few u of themselves. `exp`,
//! `log` and `pow` are off by what WGSL allows them: EXPONENTIAL, LOGARITHM, and `power` below.

use wgrad::Loss;

use crate::harness::{EXPONENTIAL, LOGARITHM, UNIT};

/// What rounding can do to one output's part in a loss.
pub struct Errors {
    /// To the loss.
    pub loss: f64,
    /// To its slope.
    pub slope: f64,
    /// How large the terms are that are added up.
    pub size: f64,
}

pub fn errors(loss: Loss, y: f64, t: f64) -> Errors {
    let d = (y - t).abs();
    let delta = 4.0 * UNIT * (y.abs() + t.abs());
    match loss {
        Loss::BinaryCrossentropy => Errors {
            loss: crossentropy_error(y, t),
            slope: EXPONENTIAL + 8.0 * UNIT * (1.0 + t.abs()),
            size: (y.max(0.0) - y * t).abs() + 1.0,
        },
        Loss::BinaryFocalCrossentropy { alpha, gamma } => focal(alpha.map(f64::from), gamma.into(), y, t),
        Loss::MeanSquaredError => {
            Errors { loss: 2.0 * d * delta, slope: 2.0 * (delta + 12.0 * UNIT * d), size: d * d }
        }
        Loss::MeanAbsoluteError => absolute(1.0, d, delta),
        Loss::MeanAbsolutePercentageError => absolute(100.0 / t.abs().max(1e-7), d, delta),
        Loss::MeanSquaredLogarithmicError => squared_logarithmic(y, t),
        Loss::Huber { delta: bend } => {
            let size = d.min(bend.into());
            Errors { loss: size * (delta + 12.0 * UNIT * d), slope: delta + 12.0 * UNIT * size, size: size * d }
        }
        Loss::LogCosh => log_cosh(d, delta),
        Loss::Poisson => {
            let logarithm = (y + 1e-7).ln().abs();
            let error = t.abs() * (LOGARITHM + 8.0 * UNIT * (1.0 + logarithm));
            let slope = 12.0 * UNIT * (1.0 + t.abs() / (y + 1e-7));
            Errors { loss: error + 4.0 * UNIT * y.abs(), slope, size: y.abs() + t.abs() * logarithm }
        }
        Loss::KlDivergence => {
            let (p, q) = (t.clamp(1e-7, 1.0), y.clamp(1e-7, 1.0));
            let logarithm = (p / q).ln().abs();
            let error = p * (LOGARITHM + 12.0 * UNIT * (1.0 + logarithm));
            Errors { loss: error, slope: 16.0 * UNIT * p / q, size: p * logarithm }
        }
        Loss::Hinge => {
            let (short, error) = shortfall(y, t);
            let near = (1.0 - sign(t) * y).abs() <= error && short != 0.0;
            let slope = if near { sign(t).abs() } else { 12.0 * UNIT * sign(t).abs() };
            Errors { loss: error, slope, size: short }
        }
        Loss::SquaredHinge => {
            let (short, error) = shortfall(y, t);
            let slope = 2.0 * sign(t).abs() * (error + 16.0 * UNIT * short);
            Errors { loss: 2.0 * short * error + error * error, slope, size: short * short }
        }
        other => panic!("{other} is no loss of single outputs"),
    }
}

/// max(z, 0) − z·t + log(1 + exp(−|z|)).
fn crossentropy_error(z: f64, t: f64) -> f64 {
    EXPONENTIAL + LOGARITHM + 8.0 * UNIT * z.abs() * (1.0 + t.abs())
}

/// steepness·|d|. Where d may have either sign, its slope may too.
fn absolute(steepness: f64, d: f64, delta: f64) -> Errors {
    let slope = if d <= delta && d != 0.0 { 2.0 } else { 12.0 * UNIT };
    Errors { loss: steepness * (delta + 12.0 * UNIT * d), slope: steepness * slope, size: steepness * d }
}

fn squared_logarithmic(y: f64, t: f64) -> Errors {
    let (a, b) = (y.max(1e-7).ln_1p(), t.max(1e-7).ln_1p());
    let (d, error) = ((a - b).abs(), 2.0 * LOGARITHM + 8.0 * UNIT * (1.0 + a + b));
    let slope = if y < 1e-7 { 0.0 } else { (2.0 * error + 24.0 * UNIT * d) / (1.0 + y) };
    Errors { loss: 2.0 * d * error + error * error, slope, size: d * d }
}

/// Below 0.1 series serve, whose next terms are below u of the result.
fn log_cosh(d: f64, delta: f64) -> Errors {
    let value = d + (-2.0 * d).exp().ln_1p() - std::f64::consts::LN_2;
    let (loss, slope) = match d < 0.1 - delta {
        true => (16.0 * UNIT * value, 16.0 * UNIT * d),
        false => (EXPONENTIAL + LOGARITHM + 8.0 * UNIT * (1.0 + d), 2.0 * EXPONENTIAL + 16.0 * UNIT),
    };
    Errors { loss: d.tanh() * delta + delta * delta + loss, slope: delta + slope, size: value }
}

/// −1 or 1; 0 is −1.
fn sign(t: f64) -> f64 {
    if t == 0.0 { -1.0 } else { t }
}

/// max(1 − s·y, 0), and by how much that is off.
fn shortfall(y: f64, t: f64) -> (f64, f64) {
    ((1.0 - sign(t) * y).max(0.0), 4.0 * UNIT * (1.0 + (sign(t) * y).abs()))
}

/// The relative error of pow(x, γ) of an x that is itself off by so much, relative: WGSL has it as exp2(γ·log2 x).
pub fn power(x: f64, gamma: f64, off: f64) -> f64 {
    let logarithm = x.log2().abs();
    gamma * (off + LOGARITHM * (1.0 + logarithm)) + (8.0 + 8.0 * gamma * logarithm) * UNIT
}

fn focal(alpha: Option<f64>, gamma: f64, z: f64, t: f64) -> Errors {
    // p and q = 1 − p of exp(−|z|), whose relative error is 3 + 2·|z| units in the last place.
    let (p, q) = (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp()));
    let own = (18.0 + 4.0 * z.abs()) * UNIT;
    let u = (t * q + (1.0 - t) * p).max(1e-30);
    // 1 − t is off by 4·u, which may be much of it.
    let u_error = own + 4.0 * UNIT + 4.0 * UNIT * p / u;
    let balance = alpha.map_or(1.0, |alpha| t * alpha + (1.0 - t) * (1.0 - alpha));
    let factor = balance * u.powf(gamma);
    let factor_error = power(u, gamma, u_error) + if alpha.is_some() { 24.0 * UNIT / balance } else { 0.0 };
    let (h, h_error) = (z.max(0.0) - z * t + (-z.abs()).exp().ln_1p(), crossentropy_error(z, t));
    let (turn, ratio) = ((1.0 - 2.0 * t).abs(), p * q / u);
    let third = gamma * turn * ratio * h;
    let third_error = gamma
        * ratio
        * (turn * (h * (2.0 * own + u_error + 16.0 * UNIT) + h_error) + 8.0 * UNIT * h);
    let bracket = (p - t).abs() + third;
    let bracket_error = EXPONENTIAL + 12.0 * UNIT * (1.0 + t.abs()) + third_error;
    Errors {
        loss: factor * (h * (factor_error + 12.0 * UNIT) + h_error),
        slope: factor * (bracket * (factor_error + 12.0 * UNIT) + bracket_error),
        size: factor * h.abs(),
    }
}
