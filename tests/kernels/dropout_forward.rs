//! dropout_forward, y = x / (1 − rate) where a number is kept, else 0.
//!
//! Bound: the product's one rounding; a number that is kept or dropped by mistake is a whole number off.

use wgrad::StepBlock;
use wgrad::kernels::dropout_forward::DropoutForward;
use wgrad::kernels::hash::Draws;
use wgrad::kernels::padded;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, step_of};

/// All are kept, most, a half, few, none.
pub const RATES: [f32; 5] = [0.0, 0.2, 0.5, 0.99, 1.0];

/// A seed of more than 32 bits, and a layer.
pub const DRAWS: Draws = Draws { seed: 0x1234_5678_9abc_def0, layer: 3 };

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(forward(columns, 0.3), size).check_half(device))
        });
    }
    trials.add("after_larger", |device| case(forward(8, 0.3), (5, 7)).check_after_larger(device));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(forward(columns, 0.3), size).check(device))
        });
    }
    for rate in RATES {
        trials.add(&format!("rate_{rate}"), move |device| case(forward(10, rate), (129, 129)).check(device));
    }
    // Other batches of the training, other layers, other seeds: each has a mask of its own.
    trials.add("draws", |device| {
        let mut masks = Vec::new();
        for (seed, layer, batch) in [(0, 0, 0), (0, 0, 1), (0, 0, u32::MAX), (0, 1, 0), (1, 0, 0), (1 << 32, 0, 0)] {
            let draws = Draws { seed, layer };
            let mut case = case(DropoutForward { columns: 33, rate: 0.5, draws }, (7, 7));
            case.step = StepBlock { batch, ..case.step };
            case.check(device)?;
            let [_, outputs] = case.launched(device)?;
            masks.push(outputs[0].iter().map(|&word| word == 0).collect::<Vec<_>>());
        }
        let same = (1..masks.len()).find(|&at| masks[..at].contains(&masks[at]));
        same.map_or(Ok(()), |at| Err(format!("mask {at} is that of another batch, layer or seed")))
    });
    trials.add("share", |device| {
        let (rows, columns) = (128, 784);
        for rate in RATES {
            let [_, outputs] = case(forward(columns, rate), (rows, rows)).launched(device)?;
            let count = (rows * columns) as f64;
            let dropped = outputs[0].iter().filter(|&&word| word == 0).count() as f64;
            // Six standard deviations of a count of independent draws; none at all where the rate leaves no choice.
            let spread = 6.0 * (count * f64::from(rate) * (1.0 - f64::from(rate))).sqrt();
            if (dropped - count * f64::from(rate)).abs() > spread {
                return Err(format!("{dropped} of {count} are dropped with a rate of {rate}"));
            }
        }
        Ok(())
    });
    trials.add("nan", |device| {
        let mut case = case(forward(10, 0.5), (64, 64));
        for row in 0..64 {
            case.inputs[0].set(row * padded(10) + 3, if row < 32 { f32::NAN } else { f32::INFINITY });
        }
        case.check(device)
    });
}

fn forward(columns: usize, rate: f32) -> DropoutForward {
    DropoutForward { columns, rate, draws: DRAWS }
}

fn case(kernel: DropoutForward, (rows, capacity): (usize, usize)) -> Case {
    let (mut random, columns) = (Random::new(kernel.columns * rows), kernel.columns);
    // Away from zero, which a mask does not change.
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(0.5, 2.0));
    Case {
        kernel: kernel.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x],
        outputs: vec![Output::matrix(rows, columns, capacity).within(|_, y| UNIT * y.abs())],
    }
}
