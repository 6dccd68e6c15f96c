//! advance_step: the step's statistics, and the step block moved on.
//!
//! Bounds: sum_error of the rows' and the penalties' numbers, times the sums of absolute values; the block is compared to
//! the last bit, since the host moves its own copy on by the same arithmetic.

use wgrad::{Betas, StepBlock};
use wgrad::kernels::advance_step::{AdvanceStep, WORKGROUP};
use wgrad::kernels::padded;
use wgrad::kernels::scale::LossScale;

use crate::harness::{Array, BATCHES, Case, Output, Random, Trials, sum_error};

/// With a warm-up, which most optimizers do not have.
const BETAS: Betas = Betas { beta_1: 0.9, beta_2: 0.999, warmup_decay: 0.96 };

pub fn cases(trials: &mut Trials) {
    // The loss scale's block, from a step without saturation, one with, and before and at the end of a row of good ones.
    for (name, steps, saturated) in [("good", 7, 0), ("saturated", 7, 1), ("almost", 1998, 0), ("growing", 1999, 0)] {
        trials.in_half(name, move |device| {
            [1.0 / 16_777_216.0, 0.25, 1.0, 32_768.0, 16_777_216.0].iter().try_for_each(|&scale| {
                let scale = LossScale { scale, inverse: 1.0 / scale, steps, saturated };
                case(7, 9, 1, 3).check_half_but(&[], scale, device)
            })
        });
    }
    trials.add("batches", |device| {
        BATCHES.iter().chain(&[255, 256, 257, 65_536]).try_for_each(|&rows| case(rows, rows, 5, 3).check(device))
    });
    trials.add("penalties", |device| {
        [0, 1, 2, 255, 256, 257, 1000].iter().try_for_each(|&penalties| case(7, 9, penalties, 3).check(device))
    });
    for workgroup in [8, 32, 64, 128] {
        trials.on_gpu(&format!("workgroup_{workgroup}"), move |device| {
            BATCHES.iter().try_for_each(|&rows| {
                let step = StepBlock { slot: 5, ..block() }.start(3 * rows as u32 + 1, rows as u32);
                with(workgroup, step, rows, 131, 3).check(device)
            })
        });
    }
    for slots in [1, 3, 1024] {
        trials.add(&format!("slots_{slots}"), move |device| case(7, 7, 1, slots).check(device));
    }
    trials.add("slots_with_room_for_sums", |device| {
        [8, 44].iter().try_for_each(|&slot| sized(slot, WORKGROUP, start(7), 7, 1, 3).check(device))
    });
    trials.add("last_batch_is_smaller", |device| {
        let start = StepBlock { iteration: u32::MAX, slot: 6, ..block() }.start(10, 4);
        let mut step = start;
        while step.rows > 0 {
            at(step, 4, 1, 4).check(device)?;
            step = step.advance(BETAS);
        }
        // What happens after the last batch: nothing is added, and there are still no rows.
        at(step, 4, 1, 4).check(device)
    });
    trials.add("accumulated", |device| {
        let mut step = StepBlock { accumulate: 3, iteration: 6, ..block() }.start(10, 2);
        for _ in 0..5 {
            at(step, 2, 1, 4).check(device)?;
            step = step.advance(BETAS);
        }
        Ok(())
    });
    trials.add("nan", |device| {
        let mut case = case(7, 7, 1, 3);
        case.inputs[0].set(4, f32::NAN);
        case.check(device)
    });
}

fn block() -> StepBlock {
    StepBlock { learning_rate: 0.1, beta_1_power: 0.9, beta_2_power: 0.999, warmup: 0.9, ..StepBlock::default() }
}

fn case(rows: usize, capacity: usize, penalties: usize, slots: usize) -> Case {
    at(start(rows), capacity, penalties, slots)
}

fn start(rows: usize) -> StepBlock {
    StepBlock { iteration: 41, slot: 1024 + 2, ..block() }.start(3 * rows as u32 + 1, rows as u32)
}

fn at(step: StepBlock, capacity: usize, penalties: usize, slots: usize) -> Case {
    with(WORKGROUP, step, capacity, penalties, slots)
}

fn with(workgroup: usize, step: StepBlock, capacity: usize, penalties: usize, slots: usize) -> Case {
    sized(4, workgroup, step, capacity, penalties, slots)
}

/// With slots of so many numbers, of which these four are the first.
fn sized(words: usize, workgroup: usize, step: StepBlock, capacity: usize, penalties: usize, slots: usize) -> Case {
    let (rows, slot) = (step.rows as usize, step.slot as usize % slots);
    let mut random = Random::new(rows + penalties);
    // Behind the batch stand the rows of a larger one.
    let mut losses = vec![f32::NAN; 2 * padded(capacity)];
    losses[..2 * rows].iter_mut().enumerate().for_each(|(index, value)| match index % 2 {
        0 => *value = random.uniform(-0.5, 3.0),
        _ => *value = random.below(2) as f32,
    });
    let penalties_in = random.list(penalties.max(4), 0.0, 1.0);
    let (sum, penalty) = (sum_error(rows) * 3.0 * rows as f64, sum_error(penalties) * penalties as f64);
    let statistics = Output::list(0, 0, words * slot)
        .then(words * slot, Output::list(4, 4, words * (slots - slot)))
        // Counts of whole answers are exact in f32 up to 2²⁴.
        .within(move |at, _| [sum, 0.0, penalty, 0.0][at % words]);
    Case {
        kernel: AdvanceStep { penalties, slots, slot: words, betas: BETAS, workgroup }.into(),
        step,
        capacity,
        inputs: vec![Array::floats(&losses), Array::floats(&penalties_in)],
        outputs: vec![
            Output::list(StepBlock::WORDS, 0, StepBlock::WORDS),
            statistics,
        ],
    }
}
