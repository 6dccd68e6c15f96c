//! rmsprop_update with all of its options. A large ε shows where it stands; a small one, that it counts at all.
//!
//! Bound: as for every update, see `harness/updates.rs`. In the centred form v − a² loses digits, at most tenfold here:
//! the gradients of successive steps are independent, and in the first step a² is a tenth of v.

use wgrad::kernels::rmsprop::Rmsprop;
use wgrad::kernels::rmsprop_update::RmspropUpdate;

use crate::harness::updates::{Slots, Update};
use crate::harness::{Array, Trials};

const STEPS: usize = 5;

/// What can be set: momentum, ε, centred, clip by value.
type Settings = (f32, f32, bool, f32);

pub fn cases(trials: &mut Trials) {
    let all: [(&str, Settings); 7] = [
        ("plain", (0.0, 1e-7, false, 0.0)),
        ("large_epsilon", (0.0, 0.1, false, 0.0)),
        ("momentum", (0.9, 1e-7, false, 0.0)),
        ("centered", (0.0, 1e-7, true, 0.0)),
        ("centered_large_epsilon", (0.0, 0.1, true, 0.0)),
        ("centered_momentum", (0.9, 1e-3, true, 0.0)),
        ("clip_value", (0.9, 1e-3, true, 0.25)),
    ];
    for (name, settings) in all {
        trials.add(name, move |device| update(settings).check(device, STEPS));
    }
    for clip in [0.0, 0.25] {
        trials.add(&format!("nan_clip_{clip}"), move |device| {
            let spoil = |_, gradients: &mut Array| gradients.set(70, f32::NAN);
            update((0.9, 1e-7, true, clip)).steps(device, 2, spoil)
        });
    }
}

fn update((momentum, epsilon, centered, clip): Settings) -> Update {
    let slots: Slots = match (centered, momentum > 0.0) {
        (false, false) => &[Some(0.0), None, None],
        (true, false) => &[Some(0.0), Some(0.0), None],
        (false, true) => &[Some(0.0), None, Some(0.0)],
        (true, true) => &[Some(0.0), Some(0.0), Some(0.0)],
    };
    let kernel = |common| RmspropUpdate { common, rule: Rmsprop { rho: 0.9, momentum, epsilon, centered } }.into();
    Update::new(kernel, clip, slots)
}
