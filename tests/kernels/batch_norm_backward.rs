//! batch_norm_backward, dγ = Σ dy ⊙ x̂, dβ = Σ dy and dx = γ·s·(dy − dβ/B − x̂·dγ/B).
//!
//! Bound: the sums are off by sum_error(B) and their terms' few roundings, relative to the sums of sizes; each of the three
//! terms of dx takes its errors and a few roundings along.

use wgrad::kernels::gradients::Keep;
use wgrad::kernels::batch_norm_backward::BatchNormBackward;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use crate::harness::half::SCALE;
use crate::harness::norms::{AFFINES, Numbers, accumulated, affine, gamma_of, gradients, weights};
use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, half, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| {
                // dy is taken for one that carries the scale.
                let case = || case(columns, affine(columns, true, true), size, f64::from(SCALE));
                case().check_half(device)?;
                // As the last layer has it: its gradient may come in single precision.
                case().check_half_but(&["dy"], half::scale(), device)
            })
        });
    }
    trials.in_half("saturated", |device| {
        let mut case = case(2, affine(2, false, false), (2, 2), 1.0);
        [65_504.0, -65_504.0].iter().zip([0, 4]).for_each(|(&dy, at)| case.inputs[0].set(at, dy));
        let bound = |_: usize, dx: f64| 1e-5 * dx.abs() + 1.0;
        case.outputs[0] = Output::matrix(2, 2, 2).within(bound);
        // Nothing of x̂, and four times as much as comes.
        case.inputs[3] = Array::floats(&[0.0, 0.0, 0.0, 0.0, 4.0, 1.0, 0.0, 0.0]);
        [0, 4].iter().for_each(|&at| case.inputs[1].set(at, 0.0));
        case.check_half(device)
    });
    trials.add("after_larger", |device| case(8, affine(8, true, true), (5, 7), 1.0).check_after_larger(device));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, affine(columns, true, true), size, 1.0).check(device))
        });
    }
    for (name, gamma, beta) in AFFINES {
        trials.add(name, move |device| {
            [5, 70].into_iter().try_for_each(|columns| {
                case(columns, affine(columns, gamma, beta), (7, 9), 1.0).check(device)
            })
        });
        // The layer that reads the data: nobody wants dx.
        trials.add(&format!("{name}_alone"), move |device| {
            let columns = 10;
            let affine = affine(columns, gamma, beta);
            let mut case = case(columns, affine, (7, 9), 1.0);
            case.kernel = BatchNormBackward { columns, affine, input_gradient: false, keep: Keep::Overwrite }.into();
            case.outputs[0] = Output::dummy();
            case.check(device)
        });
    }
    for micro in 0..3 {
        let affine = affine(10, true, true);
        let kernel = BatchNormBackward { columns: 10, affine, input_gradient: true, keep: Keep::Accumulate };
        let case = move |scale| accumulated(case(10, affine, (7, 9), scale), kernel.clone().into(), micro);
        let in_half = case.clone();
        trials.add(&format!("accumulated_{micro}"), move |device| case(1.0).check(device));
        trials.in_half(&format!("accumulated_{micro}"), move |device| in_half(f64::from(SCALE)).check_half(device));
    }
    // Enough for the CPU device's threads to share.
    trials.add("wide", |device| case(70_000, affine(70_000, true, true), (3, 3), 1.0).check(device));
    trials.add("long_batch", |device| case(5, affine(5, true, true), (65_536, 65_536), 1.0).check(device));
    trials.add("nan", |device| {
        let mut case = case(6, affine(6, true, true), (5, 5), 1.0);
        case.inputs[0].set(2 * padded(6) + 3, f32::NAN);
        case.inputs[1].set(3 * padded(6) + 4, f32::NAN);
        case.check(device)
    });
}

/// Means, and 1/√(variance + ε) behind them, padded with zeros.
fn moments(columns: usize, random: &mut Random) -> Array {
    let (stride, mut words) = (padded(columns), vec![0; 2 * padded(columns)]);
    words[..columns].fill_with(|| random.uniform(-0.5, 0.5).to_bits());
    words[stride..stride + columns].fill_with(|| random.uniform(0.5, 2.0).to_bits());
    Array::words(words)
}

/// `scale` is taken off the gradients of γ and β.
fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize), scale: f64) -> Case {
    let (mut random, stride) = (Random::new(columns * rows), padded(columns));
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let (weights, moments) = (weights(affine, columns, &mut random), moments(columns, &mut random));
    let (dys, xs) = (Numbers::of(&dy, columns), Numbers::of(&x, columns));
    let (of_columns, held) = (moments.clone(), weights.clone());
    let normalized = move |row: usize, column: usize| {
        let distance = xs.at(row, column) - f64::from(of_columns.at(column));
        (distance * f64::from(of_columns.at(stride + column))).abs()
    };
    let error = sum_error(rows) + 12.0 * UNIT;
    let product = |row: usize, column: usize| dys.at(row, column).abs() * normalized(row, column);
    let products: Vec<f64> = (0..columns).map(|c| (0..rows).map(|r| product(r, c)).sum()).collect();
    let sums: Vec<f64> = (0..columns).map(|c| (0..rows).map(|r| dys.at(r, c).abs()).sum()).collect();
    let bounds = [&products, &sums].map(|sums| sums.iter().map(|sum| error * sum / scale).collect());
    let inverses = moments.clone();
    let bound = move |at: usize, _: f64| {
        let (row, column) = (at / stride, at % stride);
        let factor = gamma_of(affine, &held, column).abs() * f64::from(inverses.at(stride + column));
        let means = (sums[column] + normalized(row, column) * products[column]) / rows as f64;
        factor * error * (dys.at(row, column).abs() + means)
    };
    Case {
        kernel: BatchNormBackward { columns, affine, input_gradient: true, keep: Keep::Overwrite }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, x, weights, moments],
        outputs: vec![Output::matrix(rows, columns, capacity).within(bound), gradients(affine, columns, bounds)],
    }
}
