//! gradient_scales: CLIP / max(‖g‖, CLIP), tensor by tensor or over all.
//!
//! Bound, relative: half of sum_error of the number of chunks (the root halves it), and the root's and the quotient's few
//! units.

use wgrad::kernels::gradient_scales::GradientScales;
use wgrad::kernels::update::TENSOR_ENTRY;

use crate::harness::{Array, Case, Output, Random, Trials, UNIT, step_of, sum_error, tensor_entry};

/// Chunks of each tensor.
const CHUNKS: [usize; 7] = [1, 2, 63, 64, 65, 700, 5];

pub fn cases(trials: &mut Trials) {
    for (name, global) in [("each", false), ("global", true)] {
        for clip in [0.5, 6.0, 1000.0] {
            trials.add(&format!("{name}_{clip}"), move |device| case(&CHUNKS, clip, global).check(device));
        }
        trials.add(&format!("{name}_one_tensor"), move |device| case(&[3], 1.0, global).check(device));
        trials.add(&format!("{name}_many_tensors"), move |device| case(&[2; 130], 1.0, global).check(device));
        trials.add(&format!("{name}_nan"), move |device| {
            let mut case = case(&CHUNKS, 0.5, global);
            case.inputs[0].set(4, f32::NAN);
            case.check(device)
        });
    }
}

fn case(chunks: &[usize], clip: f32, global: bool) -> Case {
    let mut random = Random::new(chunks.len());
    let (mut ranges, mut first) = (Vec::new(), 0);
    for &count in chunks {
        ranges.extend([first, first + count as u32]);
        first += count as u32;
    }
    let sums = random.list(first as usize, 0.0, 1.0);
    let tensors: Vec<_> = chunks.iter().flat_map(|_| tensor_entry([0.1, 0.2, 1.0, f32::NAN, 0.3, 1.0])).collect();
    let error = sum_error(first as usize) + 12.0 * UNIT;
    // The settings beside the factor are not the operation's to change.
    let output = Output::list(tensors.len(), tensors.len(), tensors.len()).within(move |at, factor| match at % TENSOR_ENTRY {
        3 => error * factor,
        _ => 0.0,
    });
    Case {
        kernel: GradientScales { tensors: chunks.len(), clip, global }.into(),
        step: step_of(3),
        capacity: 3,
        inputs: vec![Array::floats(&sums), Array::words(ranges)],
        outputs: vec![output.from(bytemuck::cast_slice(&tensors).to_vec())],
    }
}
