//! The losses that see a whole row of outputs: the mirrors of the parts that give `row_loss` and `output_gradient`.

use super::Row;
use crate::kernels::Real;

pub(super) fn softmax_cross_entropy<F: Real>(row: Row<'_, F, impl Fn(usize) -> F>, gradient: &mut [F]) -> F {
    let Row { outputs, target, weight, count } = row;
    let largest = outputs.iter().fold(F::neg_infinity(), |a, &b| a.max(b));
    let (mut exponentials, mut all, mut agreement) = (F::zero(), F::zero(), F::zero());
    for (column, &logit) in outputs.iter().enumerate() {
        let t = target(column);
        exponentials += (logit - largest).exp();
        all += t;
        // A target of zero asks nothing, not even of a logit of −∞.
        agreement += if t == F::zero() { t } else { t * (logit - largest) };
    }
    for (column, slope) in gradient.iter_mut().enumerate() {
        let p = (outputs[column] - largest).exp() / exponentials;
        *slope = weight / count * (p * all - target(column));
    }
    weight * (all * exponentials.ln() - agreement)
}

pub(super) fn focal<F: Real>(alpha: f32, gamma: f32, row: Row<'_, F, impl Fn(usize) -> F>, gradient: &mut [F]) -> F {
    let Row { outputs, target, weight, count } = row;
    let (alpha, gamma, one) = (F::of(alpha), F::of(gamma), F::one());
    let largest = outputs.iter().fold(F::neg_infinity(), |a, &b| a.max(b));
    let mut exponentials = F::zero();
    outputs.iter().for_each(|&logit| exponentials += (logit - largest).exp());
    // One class's loss, and its pull g; see the shader.
    let class = |column: usize| {
        let t = target(column);
        if t == F::zero() {
            return (t, t);
        }
        let shifted = outputs[column] - largest;
        let (p, log_p) = (shifted.exp() / exponentials, shifted - exponentials.ln());
        let q = (one - p).max(F::of(1e-7));
        let factor = alpha * t * q.powf(gamma);
        (-factor * log_p, -factor * (one - gamma * p / q * log_p))
    };
    let (mut loss, mut pulls) = (F::zero(), F::zero());
    for column in 0..outputs.len() {
        let (own, pull) = class(column);
        loss += own;
        pulls += pull;
    }
    for (column, slope) in gradient.iter_mut().enumerate() {
        let p = (outputs[column] - largest).exp() / exponentials;
        *slope = weight / count * (class(column).1 - p * pulls);
    }
    weight * loss
}

pub(super) fn hinge<F: Real>(row: Row<'_, F, impl Fn(usize) -> F>, gradient: &mut [F]) -> F {
    let Row { outputs, target, weight, count } = row;
    let against = |column: usize| (F::one() - target(column)) * outputs[column];
    let rival = (0..outputs.len()).map(against).fold(F::neg_infinity(), F::max);
    let (mut agreement, mut rivals) = (F::zero(), F::zero());
    for (column, &y) in outputs.iter().enumerate() {
        agreement += target(column) * y;
        rivals += if against(column) == rival { F::one() } else { F::zero() };
    }
    let margin = rival - agreement + F::one();
    for (column, slope) in gradient.iter_mut().enumerate() {
        let t = target(column);
        let pull = if against(column) == rival { (F::one() - t) / rivals } else { F::zero() };
        *slope = if margin > F::zero() { weight / count * (pull - t) } else { F::zero() };
    }
    weight * if margin < F::zero() { F::zero() } else { margin }
}

pub(super) fn cosine_similarity<F: Real>(row: Row<'_, F, impl Fn(usize) -> F>, gradient: &mut [F]) -> F {
    let Row { outputs, target, weight, count } = row;
    let least = F::of(1e-7);
    let norm = |number: &dyn Fn(usize) -> F| {
        let largest = (0..outputs.len()).map(|column| number(column).abs()).fold(F::zero(), F::max);
        let unit = if largest == F::zero() { F::one() } else { largest };
        let mut squares = F::zero();
        (0..outputs.len()).for_each(|column| squares += (number(column) / unit).powi(2));
        let norm = unit * squares.sqrt();
        if norm < least { least } else { norm }
    };
    let (output_norm, target_norm) = (norm(&|column| outputs[column]), norm(&target));
    let mut similarity = F::zero();
    for (column, &y) in outputs.iter().enumerate() {
        similarity += y / output_norm * (target(column) / target_norm);
    }
    for (column, slope) in gradient.iter_mut().enumerate() {
        let along = if output_norm <= least { F::zero() } else { outputs[column] / output_norm * similarity };
        *slope = weight / count * ((along - target(column) / target_norm) / output_norm);
    }
    -weight * similarity
}
