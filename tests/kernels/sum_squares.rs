//! sum_squares: Σ (g + 2·l2·w + l1·sign w)² or Σ l2·w² + l1·|w|, chunk by chunk.
//!
//! Bound: sum_error of the chunk's length, and a few roundings of each term, relative to Σ (|g| + 2·l2·|w| + l1)²: where
//! g and the penalty's slope nearly cancel, the roundings of both stay.

use wgrad::kernels::sum_squares::{CHUNK, SumSquares};

use crate::harness::{Array, Case, Output, Random, Trials, UNIT, step_of, sum_error, tensor_entry};

/// Blocks of four in each chunk.
const LENGTHS: [usize; 10] = [1, 2, 15, 16, 63, 64, 65, 257, CHUNK / 4 - 1, CHUNK / 4];

pub fn cases(trials: &mut Trials) {
    for (name, of_gradients) in [("gradients", true), ("penalty", false)] {
        trials.add(name, move |device| case(&LENGTHS, of_gradients).check(device));
        trials.add(&format!("{name}_one_chunk"), move |device| case(&[17], of_gradients).check(device));
        // More chunks than the 65,535 workgroups of one dimension; the folded grid has workgroups to spare.
        trials.add(&format!("{name}_folded_grid"), move |device| case(&[1; 65_537], of_gradients).check(device));
        trials.add(&format!("{name}_nan"), move |device| {
            let mut case = case(&LENGTHS, of_gradients);
            let array = if of_gradients { 0 } else { 1 };
            case.inputs[array].set(4 * (1 + 2 + 15) + 1, f32::NAN);
            case.check(device)
        });
    }
}

fn case(lengths: &[usize], of_gradients: bool) -> Case {
    let mut random = Random::new(lengths.len());
    let blocks: usize = lengths.iter().sum();
    let tensors = [(0.0, 0.0), (0.01, 0.3), (0.5, 0.0), (0.0, 0.2)];
    let tensors = tensors.map(|(l2, l1)| tensor_entry([l2, 0.25, 1.0, 0.75, l1, 2.0]));
    let mut chunks = Vec::new();
    let mut start = 0;
    for (index, &length) in lengths.iter().enumerate() {
        chunks.extend([start as u32, length as u32, (index % tensors.len()) as u32, 0]);
        start += length;
    }
    let gradients = Array::floats(&random.list(4 * blocks, -1.0, 1.0));
    let parameters = Array::floats(&random.list(4 * blocks, -1.0, 1.0));
    let kernel = SumSquares { chunks: lengths.len(), of_gradients };
    let mut case = Case {
        kernel: kernel.clone().into(),
        step: step_of(3),
        capacity: 3,
        inputs: vec![gradients, parameters, Array::floats(tensors.as_flattened()), Array::words(chunks)],
        outputs: vec![Output::list(lengths.len(), lengths.len(), lengths.len() + 3)],
    };
    let magnitude = case.magnitude(&kernel.into());
    let lengths = lengths.to_vec();
    let output = case.outputs.swap_remove(0);
    case.outputs.push(output.within(move |at, _| (sum_error(4 * lengths[at]) + 8.0 * UNIT) * magnitude[at]));
    case
}
