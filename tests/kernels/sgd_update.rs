//! sgd_update with all of its options.
//!
//! Bound: as for every update, see `harness/updates.rs`.

use wgrad::kernels::sgd::Sgd;
use wgrad::kernels::sgd_update::SgdUpdate;
use wgrad::kernels::update::{Common, TENSOR_ALIGNMENT};

use crate::harness::updates::{Slots, Update};
use crate::harness::{Array, Case, Output, Random, Trials, UNIT, alone, step_of, tensor_entry};

const STEPS: usize = 5;

pub fn cases(trials: &mut Trials) {
    add(trials, "plain", 0.0, false, 0.0);
    add(trials, "nesterov_without_momentum", 0.0, true, 0.0);
    add(trials, "momentum", 0.9, false, 0.0);
    add(trials, "nesterov", 0.9, true, 0.0);
    add(trials, "clip_value", 0.0, false, 0.25);
    add(trials, "nesterov_clip_value", 0.9, true, 0.25);
    for clip in [0.0, 0.25] {
        trials.add(&format!("nan_clip_{clip}"), move |device| {
            let spoil = |_, gradients: &mut Array| gradients.set(70, f32::NAN);
            update(0.9, true, clip).steps(device, 2, spoil)
        });
    }
    trials.add("folded_grid", |device| {
        let _alone = alone();
        many().check(device)
    });
}

fn add(trials: &mut Trials, name: &str, momentum: f32, nesterov: bool, clip: f32) {
    trials.add(name, move |device| update(momentum, nesterov, clip).check(device, STEPS));
}

fn update(momentum: f32, nesterov: bool, clip: f32) -> Update {
    let slots: Slots = if momentum > 0.0 { &[Some(0.0)] } else { &[None] };
    Update::new(|common| SgdUpdate { common, rule: Sgd { momentum, nesterov } }.into(), clip, slots)
}

/// More than 65,535 workgroups of 64 blocks of four: a net of 16.8 million parameters.
fn many() -> Case {
    let length = 65_536 * 256 + TENSOR_ALIGNMENT;
    let mut random = Random::new(length);
    let parameters = random.list(length, -1.0, 1.0);
    let gradients = Array::floats(&random.list(length, -1.0, 1.0));
    let tensor_of = Array::words(vec![0; length / TENSOR_ALIGNMENT]);
    let common = Common::all(length, 0.0);
    // Two roundings of numbers up to 1.1.
    let output = Output::list(length, length, length).within(|_, _| 4.0 * UNIT);
    Case {
        kernel: SgdUpdate { common, rule: Sgd { momentum: 0.0, nesterov: false } }.into(),
        step: step_of(1),
        capacity: 1,
        inputs: vec![gradients, Array::floats(&tensor_entry([0.0, 0.0, 1.0, 1.0, 0.0])), tensor_of],
        outputs: vec![output.from(parameters.iter().map(|value| value.to_bits()).collect()), Output::dummy()],
    }
}
