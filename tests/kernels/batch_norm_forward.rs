//! batch_norm_forward, y = γ ⊙ (x − mean) / √(variance + ε) + β, column by column, and the moving statistics.
//!
//! Bound: [`Moments`] says how far off a mean and a deviation may be, and what is made of both. A moving number is two
//! products and a sum, and has its share of the batch's error.

use wgrad::kernels::batch_norm_forward::BatchNormForward;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use crate::harness::norms::{AFFINES, Moments, Numbers, affine, beta_of, gamma_of, weights};
use crate::harness::{Array, COLUMNS, Case, Output, POISON, Random, Trials, UNIT, batches, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, affine(columns, true, true), size, 1.0).check_half(device))
        });
    }
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
    }
    // Enough for the CPU device's threads to share.
    trials.add("wide", |device| case(70_000, affine(70_000, true, true), (3, 3), 1.0).check(device));
    trials.add("long_batch", |device| case(5, affine(5, true, true), (65_536, 65_536), 1.0).check(device));
    // A variance by the mean of squares would have nothing left of it here.
    trials.add("far_from_zero", |device| case(10, affine(10, true, true), (127, 127), 30_000.0).check(device));
    // Columns without variance become β, and no NaN: also a batch of one row, which all batches() have.
    trials.add("constant", |device| {
        let mut random = Random::new(5);
        let x = Array::matrix(5, 6, 5, |_, column| if column == 2 { 0.5 } else { random.uniform(-2.0, 2.0) });
        case_of(x, 6, affine(6, true, true), (5, 5)).check(device)
    });
    // A step without rows leaves the moving statistics alone.
    trials.add("no_rows", |device| {
        let mut case = case(6, affine(6, true, true), (0, 4), 0.0);
        let kept = Output::list(0, 0, case.outputs[2].before.len()).from(case.outputs[2].before.clone());
        case.outputs[2] = kept;
        case.check(device)
    });
    trials.add("nan", |device| {
        let mut case = case(6, affine(6, true, true), (5, 5), 1.0);
        case.inputs[0].set(2 * padded(6) + 3, f32::NAN);
        case.check(device)
    });
}

/// Moving means, and variances behind them, as a layer has them, padded with zeros.
pub fn moving(columns: usize, variance_offset: usize, random: &mut Random) -> Vec<u32> {
    let mut words = vec![0; padded(columns)];
    words[..columns].fill_with(|| random.uniform(-1.0, 1.0).to_bits());
    words.resize(variance_offset, POISON);
    let value = |column: usize, random: &mut Random| if column < columns { random.uniform(0.1, 2.0) } else { 0.0 };
    words.extend((0..padded(columns)).map(|column| value(column, random).to_bits()));
    words
}

fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize), middle: f32) -> Case {
    let mut random = Random::new(columns * rows);
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(middle - 2.0, middle + 2.0));
    case_of(x, columns, affine, (rows, capacity))
}

fn case_of(x: Array, columns: usize, affine: Affine, (rows, capacity): (usize, usize)) -> Case {
    let (mut random, epsilon, momentum) = (Random::new(columns + rows), 1e-3, 0.9);
    let (stride, variance_offset) = (padded(columns), padded(columns).next_multiple_of(64));
    let (weights, moving) = (weights(affine, columns, &mut random), moving(columns, variance_offset, &mut random));
    let (numbers, held) = (Numbers::of(&x, columns), weights.clone());
    let of_column = |column: usize| Moments::of((0..rows).map(|row| numbers.at(row, column)), epsilon);
    let found: Vec<_> = (0..columns).map(of_column).collect();
    let (of_columns, values) = (found.clone(), numbers.clone());
    let y_bound = move |at: usize, _: f64| {
        let (row, column) = (at / stride, at % stride);
        let (gamma, beta) = (gamma_of(affine, &held, column), beta_of(affine, &held, column));
        of_columns[column].normalized_error(values.at(row, column), gamma, beta)
    };
    let of_columns = found.clone();
    let moments_bound = move |at: usize, _: f64| match at.checked_sub(stride) {
        None => of_columns[at].mean_error,
        Some(column) => of_columns[column].inverse_error * of_columns[column].inverse,
    };
    let before: Vec<_> = moving.iter().map(|&word| f64::from(f32::from_bits(word))).collect();
    let moving_bound = move |at: usize, _: f64| {
        let share = 1.0 - f64::from(momentum);
        let (size, error) = match at.checked_sub(variance_offset) {
            None => (found[at].mean.abs(), found[at].mean_error),
            Some(column) => (found[column].variance, found[column].variance_error),
        };
        share * error + 3.0 * UNIT * (before[at].abs() + share * size)
    };
    let list = || Output::list(columns, stride, stride);
    Case {
        kernel: BatchNormForward { columns, epsilon, momentum, affine, variance_offset }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, weights],
        outputs: vec![
            Output::matrix(rows, columns, capacity).within(y_bound),
            list().then(stride, list()).within(moments_bound),
            list().then(variance_offset, list()).from(moving).within(moving_bound),
        ],
    }
}
