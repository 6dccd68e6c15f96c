//! How far off the losses of a whole row may be: one bound for the loss of each row, and one for each element of the gradient.

use super::elements::power;
use crate::harness::losses::LossCase;
use crate::harness::{LOGARITHM, UNIT, sum_error};

/// p = softmax(z) is off by as much as in `softmax_cross_entropy`, log p by a logarithm's error and the roundings of z − m and
/// of the sum; q = 1 − p by p's error. The rest follows the formula, term by term.
pub fn focal(alpha: f64, gamma: f64, case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let columns = case.layout.columns;
    let sum = sum_error(columns);
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let largest = case.row(row).fold(f64::NEG_INFINITY, f64::max);
        let exponentials: f64 = case.row(row).map(|z| (z - largest).exp()).sum();
        let (mut loss, mut pulls, mut pulls_error) = (0.0, 0.0, 0.0);
        let mut classes = Vec::new();
        for (column, z) in case.row(row).enumerate() {
            let t = case.target(row, column).abs();
            let p = (z - largest).exp() / exponentials;
            let p_error = p * (2.0 * sum + 24.0 * UNIT) + 5.0 * UNIT * if p > 0.0 { (largest - z) * p } else { 0.0 };
            let log_p = (largest - z) + exponentials.ln();
            let log_error = LOGARITHM + 16.0 * UNIT + sum + 8.0 * UNIT * log_p;
            let (q, q_error) = ((1.0 - p).max(1e-7), p_error + 2.0 * UNIT);
            // q may be off by much of itself.
            let spread = (q + q_error).powf(gamma) - (q - q_error).max(1e-7).powf(gamma);
            let factor = alpha * t * q.powf(gamma);
            let factor_error = alpha * t * spread + factor * (power(q, gamma, 0.0) + 8.0 * UNIT);
            let bend = gamma * p / q * log_p;
            let least = (q - q_error).max(1e-7);
            let bend_error = gamma * (log_p * (p_error / least + p * q_error / (least * least)) + p / least * log_error);
            let pull = factor * (1.0 + bend);
            let pull_error = factor_error * (1.0 + bend) + factor * bend_error + 16.0 * UNIT * pull;
            if t != 0.0 {
                let own = factor_error * log_p + factor * log_error + 8.0 * UNIT * factor * log_p;
                loss += own + sum * factor * log_p;
                pulls += pull;
                pulls_error += pull_error + sum * pull;
            }
            classes.push((p, p_error, if t == 0.0 { (0.0, 0.0) } else { (pull, pull_error) }));
        }
        losses.push(case.weight(row) * loss + 1e-37);
        for (p, p_error, (pull, pull_error)) in classes {
            let error = pull_error + p * pulls_error + p_error * pulls + 12.0 * UNIT * (pull + p * pulls);
            gradients.push(case.weight(row) / case.rows as f64 * error + 1e-37);
        }
    }
    (losses, gradients)
}

/// Sums and products of t and y; products with 0 and 1 are exact, and so is then which rivals are equal.
pub fn hinge(case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let pairs: Vec<_> = case.row(row).enumerate().map(|(column, y)| (y, case.target(row, column))).collect();
        let exact = pairs.iter().all(|&(_, t)| t == 0.0 || t == 1.0);
        let against: Vec<_> = pairs.iter().map(|(y, t)| (1.0 - t) * y).collect();
        let rival = against.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let agreement: f64 = pairs.iter().map(|(y, t)| y * t).sum();
        let sizes: f64 = pairs.iter().map(|(y, t)| (y * t).abs()).sum();
        let error = (sum_error(pairs.len()) + 8.0 * UNIT) * (sizes + 1.0) + 16.0 * UNIT * rival.abs();
        let margin = rival - agreement + 1.0;
        losses.push(case.weight(row) * (error + 4.0 * UNIT * margin.abs()));
        let near = |value: f64| (value - rival).abs() <= 16.0 * UNIT * (value.abs() + rival.abs());
        let rivals = against.iter().filter(|&&value| near(value)).count();
        for (&(_, t), &value) in pairs.iter().zip(&against) {
            let open = margin.abs() <= error || (!exact && rivals > 1 && near(value));
            let slope = if open { 2.0 } else { 16.0 * UNIT * (1.0 + t.abs()) };
            gradients.push(case.weight(row) / case.rows as f64 * slope);
        }
    }
    (losses, gradients)
}

/// A norm is off by half of sum_error(C) and some roundings, relative; the similarity, of which the terms' sizes add up to 1
/// at most, by twice that and its own sum's.
pub fn cosine_similarity(case: &LossCase) -> (Vec<f64>, Vec<f64>) {
    let columns = case.layout.columns;
    let norm_error = sum_error(columns) / 2.0 + 12.0 * UNIT;
    let similarity_error = 2.0 * norm_error + sum_error(columns) + 12.0 * UNIT;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for row in 0..case.rows {
        let targets: Vec<_> = (0..columns).map(|column| case.target(row, column)).collect();
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt().max(1e-7);
        let (y_norm, t_norm) = (norm(&mut case.row(row)), norm(&mut targets.iter().copied()));
        losses.push(case.weight(row) * similarity_error);
        for (y, t) in case.row(row).zip(&targets) {
            let (along, wanted) = (y.abs() / y_norm, t.abs() / t_norm);
            let error = along * (similarity_error + norm_error) + wanted * norm_error;
            let turned = (error + (along + wanted) * (norm_error + 12.0 * UNIT)) / y_norm;
            gradients.push(case.weight(row) / case.rows as f64 * turned);
        }
    }
    (losses, gradients)
}
