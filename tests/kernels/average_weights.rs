//! average_weights: step by step, with weights overwritten or not; a tensor that is not trained is left alone.
//!
//! Bound: three roundings of numbers up to 1 in each step.

use wgrad::StepBlock;
use wgrad::kernels::average_weights::AverageWeights;
use wgrad::kernels::update::TENSOR_ALIGNMENT;

use crate::harness::arrays::Place;
use crate::harness::{Array, Case, Output, Random, Trials, UNIT, tensor_entry};

pub fn cases(trials: &mut Trials) {
    for (name, overwrite) in [("kept", 0), ("overwritten", 3), ("overwritten_always", 1)] {
        trials.add(name, move |device| {
            (0..6).try_for_each(|iteration| case(iteration, overwrite, f32::to_bits(0.5)).check(device))
        });
    }
    // Until after the first update averages are not looked at.
    trials.add("from_poison", |device| case(0, 0, f32::NAN.to_bits()).check(device));
    trials.add("nan", |device| case(4, 2, f32::NAN.to_bits()).check(device));
}

/// `first` is the first number of the averages.
fn case(iteration: u32, overwrite: u32, first: u32) -> Case {
    let mut random = Random::new(iteration as usize + 17);
    let tensor_of: Vec<u32> = vec![0, 1, 1, 2, 0];
    let length = TENSOR_ALIGNMENT * tensor_of.len();
    let entry = |trained| tensor_entry([0.1, 0.2, trained, 0.5, 0.3, 0.4]);
    let tensors = [entry(1.0), entry(0.0), entry(1.0)];
    let frozen = |at: usize| tensor_of[at / TENSOR_ALIGNMENT] == 1;
    let mut output = || {
        let words = random.list(length, -1.0, 1.0).iter().map(|value| value.to_bits()).collect();
        let places = (0..length).map(|at| if frozen(at) { Place::Kept } else { Place::Written }).collect();
        Output { before: words, places, bound: Box::new(|_, _| 3.0 * UNIT) }
    };
    let (parameters, mut averages) = (output(), output());
    averages.before[0] = first;
    Case {
        kernel: AverageWeights { length, momentum: 0.9, overwrite }.into(),
        step: StepBlock { iteration, ..StepBlock::default() },
        capacity: 1,
        inputs: vec![Array::floats(tensors.as_flattened()), Array::words(tensor_of.clone())],
        outputs: vec![parameters, averages],
    }
}
