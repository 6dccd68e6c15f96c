//! layer_norm_backward, dx = s·(g − mean g − x̂·mean(g·x̂)) with g = γ ⊙ dy.
//!
//! Bound: both means are off by sum_error(C) and a quotient, relative to the mean size of their terms; each of the three
//! terms of dx takes its errors and a few roundings along.

use wgrad::kernels::layer_norm_backward::LayerNormBackward;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use crate::harness::norms::{AFFINES, Numbers, affine, gamma_of, weights};
use crate::harness::{Array, COLUMNS, Case, Output, POISON, Random, Trials, UNIT, batches, half, step_of, sum_error};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| {
                let case = || case(columns, affine(columns, true, true), size);
                case().check_half(device)?;
                // As the last layer has it: its gradient may come in single precision.
                case().check_half_but(&["dy"], half::scale(), device)
            })
        });
    }
    trials.in_half("saturated", |device| {
        let mut case = case(5, affine(5, false, false), (1, 1));
        case.inputs[0].set(1, 65_504.0);
        case.inputs[3] = Array::floats(&[0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        case.outputs = vec![Output::matrix(1, 5, 1).within(|_, dx| 1e-5 * dx.abs() + 1.0)];
        case.check_half(device)
    });
    trials.add("after_larger", |device| case(8, affine(8, true, true), (5, 7)).check_after_larger(device));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, affine(columns, true, true), size).check(device))
        });
    }
    for (name, gamma, beta) in AFFINES {
        trials.add(name, move |device| {
            [5, 70].into_iter().try_for_each(|columns| case(columns, affine(columns, gamma, beta), (7, 9)).check(device))
        });
    }
    trials.add("wide", |device| case(70_000, affine(70_000, true, true), (3, 3)).check(device));
    trials.add("nan", |device| {
        let mut case = case(5, affine(5, true, false), (5, 5));
        case.inputs[0].set(2 * padded(5) + 3, f32::NAN);
        case.check(device)
    });
}

/// A mean and a 1/√(variance + ε) for each row; zeros up to a whole block, and nothing to be read behind it.
pub fn moments(rows: usize, capacity: usize, random: &mut Random) -> Array {
    let mut words = vec![POISON; 2 * padded(capacity.max(rows))];
    words[..2 * padded(rows)].fill(0);
    for row in 0..rows {
        words[2 * row] = random.uniform(-0.5, 0.5).to_bits();
        words[2 * row + 1] = random.uniform(0.5, 2.0).to_bits();
    }
    Array::words(words)
}

fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let dy = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let weights = weights(affine, columns, &mut random);
    let moments = moments(rows, capacity, &mut random);
    let (dys, xs, stride) = (Numbers::of(&dy, columns), Numbers::of(&x, columns), padded(columns));
    let (of_rows, held) = (moments.clone(), weights.clone());
    let inverse = move |row: usize| f64::from(of_rows.at(2 * row + 1));
    let of_rows = moments.clone();
    let sizes = move |row: usize, column: usize| {
        let g = (dys.at(row, column) * gamma_of(affine, &held, column)).abs();
        let normalized = ((xs.at(row, column) - f64::from(of_rows.at(2 * row))) * inverse(row)).abs();
        (g, normalized, inverse(row))
    };
    let mean = |row: usize, size: &dyn Fn(usize, usize) -> f64| {
        (0..columns).map(|column| size(row, column)).sum::<f64>() / columns as f64
    };
    let means: Vec<_> = (0..rows)
        .map(|row| (mean(row, &|r, c| sizes(r, c).0), mean(row, &|r, c| sizes(r, c).0 * sizes(r, c).1)))
        .collect();
    let bound = move |at: usize, _: f64| {
        let (row, (g, normalized, inverse)) = (at / stride, sizes(at / stride, at % stride));
        let (mean_g, mean_product) = means[row];
        inverse * (sum_error(columns) + 12.0 * UNIT) * (g + mean_g + normalized * mean_product)
    };
    Case {
        kernel: LayerNormBackward { columns, affine }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![dy, x, weights, moments],
        outputs: vec![Output::matrix(rows, columns, capacity).within(bound)],
    }
}
