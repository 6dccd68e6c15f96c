//! constrain: norms of columns and of vectors within bounds, and numbers that are not negative.
//!
//! Bound: the norm is off by sum_error of its length, half of that after the root, and a few roundings; numbers are up to 1,
//! and no factor is above 8.

use wgrad::kernels::constrain::{Bounds, Constrain};
use wgrad::kernels::padded;

use crate::harness::{Array, Case, Output, Random, Trials, UNIT, step_of, sum_error};

const NORMS: [(&str, Bounds); 4] = [
    ("max_norm", Bounds::Norm { low: 0.0, high: 0.9, rate: 1.0 }),
    ("unit_norm", Bounds::Norm { low: 1.0, high: 1.0, rate: 1.0 }),
    ("min_max_norm", Bounds::Norm { low: 0.7, high: 2.0, rate: 0.4 }),
    ("not_negative", Bounds::NotNegative),
];

/// Rows and columns: every remainder of four, one less and one more than a workgroup's invocations.
const SHAPES: [(usize, usize); 7] = [(1, 1), (3, 5), (4, 8), (63, 3), (64, 10), (65, 7), (300, 33)];

pub fn cases(trials: &mut Trials) {
    for (name, bounds) in NORMS {
        trials.add(name, move |device| {
            SHAPES.into_iter().try_for_each(|(rows, columns)| {
                case(rows, columns, false, bounds).check(device)?;
                case(1, rows * columns, true, bounds).check(device)
            })
        });
        trials.add(&format!("{name}_nan"), move |device| {
            let mut case = case(9, 6, false, bounds);
            case.outputs[0].before[padded(6) + 2] = f32::NAN.to_bits();
            case.check(device)
        });
    }
    // A column without a norm stays so.
    trials.add("zeros", |device| {
        let mut case = case(5, 4, false, Bounds::Norm { low: 1.0, high: 1.0, rate: 1.0 });
        case.outputs[0].before.iter_mut().step_by(4).for_each(|word| *word = 0);
        case.check(device)
    });
}

fn case(rows: usize, columns: usize, is_vector: bool, bounds: Bounds) -> Case {
    let mut random = Random::new(rows * columns);
    let matrix = Array::matrix(rows, columns, rows, |_, _| random.uniform(-1.0, 1.0));
    let output = match is_vector {
        true => Output::list(columns, padded(columns), padded(columns)),
        false => Output::matrix(rows, columns, rows),
    };
    let words: Vec<u32> = (0..output.places.len()).map(|at| matrix.at(at).to_bits()).collect();
    let error = sum_error(if is_vector { columns } else { rows }) + 8.0 * UNIT;
    Case {
        kernel: Constrain { rows, columns, is_vector, bounds }.into(),
        step: step_of(1),
        capacity: 1,
        inputs: Vec::new(),
        outputs: vec![output.from(words).within(move |_, _| 8.0 * error)],
    }
}
