//! layer_norm_forward, y = γ ⊙ (x − mean) / √(variance + ε) + β, row by row.
//!
//! Bound: [`Moments`] says how far off a mean and a deviation may be, and what is made of both.

use wgrad::kernels::layer_norm_forward::LayerNormForward;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::padded;

use crate::harness::norms::{AFFINES, Moments, Numbers, affine, beta_of, gamma_of, weights};
use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, batches, step_of};

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
    trials.add("wide", |device| case(70_000, affine(70_000, true, true), (3, 3), 1.0).check(device));
    // A variance by the mean of squares would have nothing left of it here.
    trials.add("far_from_zero", |device| {
        [10, 127].into_iter().try_for_each(|columns| {
            case(columns, affine(columns, true, true), (5, 5), 30_000.0).check(device)
        })
    });
    // Rows without variance become β, and no NaN.
    trials.add("constant", |device| {
        let mut random = Random::new(3);
        let x = Array::matrix(3, 10, 3, |row, _| if row == 1 { 0.5 } else { random.uniform(-2.0, 2.0) });
        case_of(x, 10, affine(10, true, true), (3, 3)).check(device)
    });
    for columns in [5, 70] {
        trials.add(&format!("nan_{columns}"), move |device| {
            let mut case = case(columns, affine(columns, true, true), (5, 5), 1.0);
            case.inputs[0].set(2 * padded(columns) + 3, f32::NAN);
            case.check(device)
        });
    }
}

fn case(columns: usize, affine: Affine, (rows, capacity): (usize, usize), middle: f32) -> Case {
    let mut random = Random::new(columns * rows);
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(middle - 2.0, middle + 2.0));
    case_of(x, columns, affine, (rows, capacity))
}

fn case_of(x: Array, columns: usize, affine: Affine, (rows, capacity): (usize, usize)) -> Case {
    let (mut random, epsilon) = (Random::new(columns * rows + 1), 1e-3);
    let weights = weights(affine, columns, &mut random);
    let (numbers, held, stride) = (Numbers::of(&x, columns), weights.clone(), padded(columns));
    let of_row = |row: usize| Moments::of((0..columns).map(|column| numbers.at(row, column)), epsilon);
    let moments: Vec<_> = (0..rows).map(of_row).collect();
    let (of_rows, numbers) = (moments.clone(), numbers.clone());
    let y_bound = move |at: usize, _: f64| {
        let (row, column) = (at / stride, at % stride);
        let (gamma, beta) = (gamma_of(affine, &held, column), beta_of(affine, &held, column));
        of_rows[row].normalized_error(numbers.at(row, column), gamma, beta)
    };
    let moments_bound = move |at: usize, _: f64| match at % 2 {
        0 => moments[at / 2].mean_error,
        _ => moments[at / 2].inverse_error * moments[at / 2].inverse,
    };
    Case {
        kernel: LayerNormForward { columns, epsilon, affine }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x, weights],
        outputs: vec![
            Output::matrix(rows, columns, capacity).within(y_bound),
            Output::list(2 * rows, 2 * padded(rows), 2 * padded(capacity)).within(moments_bound),
        ],
    }
}
