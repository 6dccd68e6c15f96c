//! adagrad_update. A large ε shows that it stands inside the root.
//!
//! Bound: as for every update, see `harness/updates.rs`.

use wgrad::kernels::adagrad::Adagrad;
use wgrad::kernels::adagrad_update::AdagradUpdate;

use crate::harness::updates::{Slots, Update};
use crate::harness::{Array, Trials};

const STEPS: usize = 5;

pub fn cases(trials: &mut Trials) {
    for (name, epsilon, clip) in [("plain", 1e-7, 0.0), ("large_epsilon", 0.1, 0.0), ("clip_value", 1e-7, 0.25)] {
        trials.add(name, move |device| update(epsilon, clip, &[Some(0.1)]).check(device, STEPS));
    }
    trials.add("from_zero", |device| update(1e-7, 0.0, &[Some(0.0)]).check(device, STEPS));
    for clip in [0.0, 0.25] {
        trials.add(&format!("nan_clip_{clip}"), move |device| {
            let spoil = |_, gradients: &mut Array| gradients.set(70, f32::NAN);
            update(1e-7, clip, &[Some(0.1)]).steps(device, 2, spoil)
        });
    }
}

fn update(epsilon: f32, clip: f32, slots: Slots) -> Update {
    Update::new(|common| AdagradUpdate { common, rule: Adagrad { epsilon } }.into(), clip, slots)
}
