//! gather_batch: a batch from the data set by index.
//!
//! Bound: none. Floats are copied, and a byte times the scale is rounded once, as IEEE 754 and WGSL both have it.

use wgrad::StepBlock;
use wgrad::kernels::gather_batch::{GatherBatch, INPUT_SLOTS};
use wgrad::kernels::padded;

use crate::harness::{Array, COLUMNS, Case, Output, Random, Trials, alone, batches, step_of};

/// Samples in the data set.
const SAMPLES: usize = 97;

pub fn cases(trials: &mut Trials) {
    for (name, byte_scale) in [("bytes", Some(1.0 / 255.0)), ("floats", None)] {
        trials.in_half(name, move |device| {
            [1, 6, 33, 784].iter().try_for_each(|&features| {
                let kernel = GatherBatch { features, byte_scale, target_words: 1, weighted: true, copies: 1 };
                batches().map(|size| case(&kernel, size, 3)).try_for_each(|case| case.check_half(device))
            })
        });
    }
    for features in COLUMNS {
        for (name, byte_scale) in [("bytes", Some(1.0 / 255.0)), ("floats", None)] {
            trials.add(&format!("{name}_{features}"), move |device| {
                let kernel = GatherBatch { features, byte_scale, target_words: 1, weighted: features % 2 == 0, copies: 1 };
                batches().map(|size| case(&kernel, size, 3)).try_for_each(|case| case.check(device))
            });
        }
    }
    for (target_words, weighted) in [(0, false), (0, true), (3, false), (10, true)] {
        let name = format!("targets_{target_words}{}", if weighted { "_weighted" } else { "" });
        trials.add(&name, move |device| {
            let kernel = GatherBatch { features: 6, byte_scale: None, target_words, weighted, copies: 1 };
            batches().map(|size| case(&kernel, size, 0)).try_for_each(|case| case.check(device))
        });
    }
    for copies in [2, 3] {
        trials.on_cpu(&format!("copies_{copies}"), move |device| {
            let kernel = |byte_scale| GatherBatch { features: 33, byte_scale, target_words: 1, weighted: true, copies };
            let kernels = [kernel(None), kernel(Some(0.25))];
            batches().try_for_each(|size| kernels.iter().try_for_each(|kernel| case(kernel, size, 3).check(device)))
        });
    }
    trials.add("nan", |device| {
        let kernel = GatherBatch { features: 6, byte_scale: None, target_words: 1, weighted: true, copies: 1 };
        let mut case = case(&kernel, (5, 5), 0);
        let sample = case.inputs[3].words[2] as usize;
        case.inputs[0].set(sample * padded(6) + 1, f32::NAN);
        case.check(device)
    });
    // 64 invocations a row, one row a workgroup: more than the 65,535 workgroups of one dimension.
    trials.add("folded_grid", |device| {
        let _alone = alone();
        let kernel = GatherBatch { features: 247, byte_scale: Some(0.5), target_words: 1, weighted: true, copies: 1 };
        case(&kernel, (65_537, 65_537), 11).check(device)
    });
}

fn case(kernel: &GatherBatch, (rows, capacity): (usize, usize), position: usize) -> Case {
    let mut random = Random::new(rows * kernel.features);
    let order: Vec<_> = (0..position + rows).map(|_| random.below(SAMPLES) as u32).collect();
    let width = kernel.target_words;
    let targets: Vec<_> = (0..(SAMPLES * width).max(4)).map(|_| random.bits()).collect();
    let weights = random.list(if kernel.weighted { SAMPLES } else { 4 }, 0.1, 2.0);
    let space = padded(capacity.max(rows));
    Case {
        kernel: kernel.clone().into(),
        step: StepBlock { position: position as u32, slot: 3 * INPUT_SLOTS as u32 + 17, ..step_of(rows) },
        capacity,
        inputs: vec![
            samples(kernel, &mut random),
            Array::words(targets),
            Array::floats(&weights),
            Array::words(order),
            Array::floats(&random.list(INPUT_SLOTS, 0.0, 1.0)),
        ],
        outputs: vec![
            copies(kernel.copies, || Output::matrix(rows, kernel.features, capacity)),
            Output::list(rows * (width + 1), padded(rows) * (width + 1), space * (width + 1)),
            Output::list(StepBlock::WORDS, 0, StepBlock::WORDS),
        ],
    }
}

/// Copies of an output, one behind the other.
fn copies(count: usize, output: impl Fn() -> Output) -> Output {
    (1..count).fold(output(), |all, _| {
        let end = all.before.len();
        all.then(end, output())
    })
}

/// The data set as it lies on a device: rows padded to four features with zeros.
fn samples(kernel: &GatherBatch, random: &mut Random) -> Array {
    let features = kernel.features;
    if kernel.byte_scale.is_none() {
        let matrix = Array::matrix(SAMPLES, features, SAMPLES, |_, _| random.uniform(-3.0, 3.0));
        return Array::words(matrix.words);
    }
    let mut bytes = vec![0_u8; SAMPLES * 4 * kernel.words_per_row()];
    for row in bytes.chunks_exact_mut(4 * kernel.words_per_row()) {
        row[..features].iter_mut().for_each(|byte| *byte = random.bits() as u8);
    }
    Array::words(bytemuck::pod_collect_to_vec(&bytes))
}
