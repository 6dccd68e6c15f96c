//! gaussian_noise_forward, y = x + deviation·n.
//!
//! Bound: the radius is at most 5.77 and off by 16 units, relative (8 of the logarithm, whose terms nearly cancel at worst to a
//! half, and halved by the root, which is 9 off in WGSL); sine and cosine are off by 3 units. So n is off by
//! 18 + 20·|n| units, and the last product and sum are rounded once each.

use wgrad::StepBlock;
use wgrad::kernels::gaussian_noise_forward::GaussianNoiseForward;
use wgrad::kernels::hash::Draws;
use wgrad::kernels::padded;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, UNIT, batches, step_of};

pub fn cases(trials: &mut Trials) {
    for columns in [1, 3, 10, 70] {
        trials.in_half(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, 0.3, size).check_half(device))
        });
    }
    trials.add("after_larger", |device| case(8, 0.3, (5, 7)).check_after_larger(device));
    for columns in COLUMNS {
        trials.add(&format!("columns_{columns}"), move |device| {
            batches().try_for_each(|size| case(columns, 0.3, size).check(device))
        });
    }
    trials.add("draws", |device| {
        for (seed, layer, batch) in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (u64::MAX, u32::MAX, u32::MAX)] {
            let mut case = case(10, 2.0, (127, 127));
            case.kernel = GaussianNoiseForward { columns: 10, deviation: 2.0, draws: Draws { seed, layer } }.into();
            case.step = StepBlock { batch, ..case.step };
            case.check(device)?;
        }
        Ok(())
    });
    trials.add("none", |device| case(10, 0.0, (5, 5)).check(device));
    trials.add("moments", |device| {
        let [_, outputs] = case(784, 1.0, (128, 128)).launched(device)?;
        let inputs = case(784, 1.0, (128, 128)).inputs;
        let noise = outputs[0].iter().zip(&inputs[0].words);
        let noise: Vec<_> = noise.map(|(y, x)| f64::from(f32::from_bits(*y)) - f64::from(f32::from_bits(*x))).collect();
        let count = noise.len() as f64;
        let mean = noise.iter().sum::<f64>() / count;
        let squares = noise.iter().map(|n| n * n).sum::<f64>() / count;
        // Six of their standard deviations.
        let close = mean.abs() < 6.0 / count.sqrt() && (squares - 1.0).abs() < 6.0 * (2.0 / count).sqrt();
        if close { Ok(()) } else { Err(format!("mean {mean}, mean of squares {squares}")) }
    });
    trials.add("nan", |device| {
        let mut case = case(6, 0.3, (5, 5));
        case.inputs[0].set(2 * padded(6) + 3, f32::NAN);
        case.check(device)
    });
}

fn case(columns: usize, deviation: f32, (rows, capacity): (usize, usize)) -> Case {
    let mut random = Random::new(columns * rows);
    let x = Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0));
    let held = x.clone();
    let bound = move |at: usize, y: f64| {
        let x = f64::from(held.at(at));
        UNIT * (18.0 * f64::from(deviation) + 21.0 * (y - x).abs() + x.abs() + y.abs())
    };
    Case {
        kernel: GaussianNoiseForward { columns, deviation, draws: Draws { seed: 11, layer: 3 } }.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![x],
        outputs: vec![Output::matrix(rows, columns, capacity).within(bound)],
    }
}
