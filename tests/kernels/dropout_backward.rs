//! dropout_backward, dx = dy / (1 − rate) where the forward pass kept the number, else 0.
//!
//! Bound: the product's one rounding; a number that is kept or dropped by mistake is a whole number off.

use wgrad::StepBlock;
use wgrad::kernels::Kernel;
use wgrad::kernels::dropout_backward::DropoutBackward;
use wgrad::kernels::dropout_forward::DropoutForward;

use super::dropout_forward::{DRAWS, RATES};
use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, half, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| {
                case(columns, 0.3, size).check_half(device)?;
                // As the last layer has it: its gradient may come in single precision.
                case(columns, 0.3, size).check_half_but(&["dy"], half::scale(), device)
            })
        });
    }
    trials.in_half("saturated", |device| {
        let mut case = case(10, 0.5, (1, 1));
        (0..10).for_each(|at| case.inputs[0].set(at, 40_000.0));
        case.check_half(device)
    });
    trials.add("after_larger", |device| case(8, 0.3, (5, 7)).check_after_larger(device));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, 0.3, size).check(device))
        });
    }
    for rate in RATES {
        trials.add(&format!("rate_{rate}"), move |device| case(10, rate, (129, 129)).check(device));
    }
    // The mask of the forward pass, batch by batch.
    trials.add("mask", |device| {
        for batch in 0..5 {
            let forward = DropoutForward { columns: 33, rate: 0.5, draws: DRAWS };
            let kernels: [Kernel; 2] = [forward.clone().into(), DropoutBackward { forward }.into()];
            let run = |kernel: Kernel| {
                let ones = Array::matrix(7, 33, 7, |_, _| 1.0);
                let step = StepBlock { batch, ..step_of(7) };
                let outputs = vec![Output::matrix(7, 33, 7)];
                let [_, found] = Case { kernel, step, capacity: 7, inputs: vec![ones], outputs }.launched(device)?;
                Ok::<_, String>(found)
            };
            let [there, back] = kernels.map(run);
            if there? != back? {
                return Err(format!("batch {batch}: the mask is another backward"));
            }
        }
        Ok(())
    });
}

fn case(columns: usize, rate: f32, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let forward = DropoutForward { columns, rate, draws: DRAWS };
    Case {
        kernel: DropoutBackward { forward }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, -0.5))],
        outputs: vec![Output::matrix(rows, columns, capacity).within(|_, dx| UNIT * dx.abs())],
    }
}
