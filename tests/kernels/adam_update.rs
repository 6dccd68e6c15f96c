//! adam_update, and AdamW through the tensors' weight decay. A large ε shows that it stands outside the root.
//!
//! Bound: as for every update, see `harness/updates.rs`.

use wgrad::kernels::adam::Adam;
use wgrad::kernels::adam_update::AdamUpdate;

use crate::harness::updates::Update;
use crate::harness::{Array, Trials};

const STEPS: usize = 5;

pub fn cases(trials: &mut Trials) {
    for (name, epsilon, clip) in [("plain", 1e-7, 0.0), ("large_epsilon", 0.1, 0.0), ("clip_value", 1e-7, 0.25)] {
        trials.add(name, move |device| update(epsilon, clip).check(device, STEPS));
    }
    for clip in [0.0, 0.25] {
        trials.add(&format!("nan_clip_{clip}"), move |device| {
            let spoil = |_, gradients: &mut Array| gradients.set(70, f32::NAN);
            update(1e-7, clip).steps(device, 2, spoil)
        });
    }
}

fn update(epsilon: f32, clip: f32) -> Update {
    let kernel = |common| AdamUpdate { common, rule: Adam { beta_1: 0.9, beta_2: 0.999, epsilon } }.into();
    Update::new(kernel, clip, &[Some(0.0), Some(0.0)])
}
