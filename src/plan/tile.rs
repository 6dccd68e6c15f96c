//! Tilings: how each product of a plan is computed, by its shape and the device, or by what was measured. Those that may
//! share a dispatch get workgroups of one size.

use super::dispatches::Room;
use super::graph::Graph;
use super::lower::common;
use super::{Launch, PlanKey};
use crate::kernels::dense_backward_update::DenseBackwardUpdate;
use crate::kernels::product::{Choices, Tiling};
use crate::kernels::storage::Precision;
use crate::kernels::{Kernel, Workgroup};

pub(super) fn tile(graph: &mut Graph<'_>) {
    let room = if graph.key.fused { graph.key.room } else { Room::default() };
    for launch in &mut graph.launches {
        choose(launch, graph.recipe.choices, &graph.key);
    }
    bring_to_one_size(&mut graph.launches, graph.key.capacity, room);
    for end in 1..graph.launches.len() {
        fit(&mut graph.launches[..=end], room);
    }
}

/// Gives a product the tiling that suits it: the fastest one where that was measured, else by its size.
fn choose(launch: &mut Launch, choices: &Choices, key: &PlanKey) {
    let Some(product) = launch.kernel.product(key.capacity, key.precision) else { return };
    let chosen = choices.choose(product, key.device);
    if let Some(tiling) = tiling(&mut launch.kernel) {
        *tiling = chosen;
    }
}

fn tiling(kernel: &mut Kernel) -> Option<&mut Tiling> {
    match kernel {
        Kernel::DenseForward(kernel) => Some(&mut kernel.tiling),
        Kernel::DenseBackwardInput(kernel) => Some(&mut kernel.tiling),
        Kernel::DenseBackwardWeights(kernel) => Some(&mut kernel.tiling),
        Kernel::DenseBackwardUpdate(kernel) => Some(&mut kernel.gradients.tiling),
        _ => None,
    }
}

/// Gives the updates that ride in products workgroups as large as those of the largest of them, where they can share its
/// dispatch then.
fn bring_to_one_size(launches: &mut [Launch], capacity: usize, room: Room) {
    let size = |launch: &Launch| launch.kernel.product(capacity, Precision::F32).map(|product| product.size);
    let mut updates: Vec<_> =
        launches.iter_mut().filter(|launch| matches!(launch.kernel, Kernel::DenseBackwardUpdate(_))).collect();
    let largest = updates.iter().max_by_key(|launch| size(launch).map(|size| size.rows * size.columns));
    let Some(largest) = largest.map(|launch| (**launch).clone()) else { return };
    let Kernel::DenseBackwardUpdate(DenseBackwardUpdate { gradients: most, .. }) = &largest.kernel else { return };
    for launch in &mut updates {
        let mut changed = launch.clone();
        if let (Some(size), Some(own)) = (size(launch), tiling(&mut changed.kernel)) {
            *own = own.beside(most.tiling, size);
        }
        if room.holds(&[largest.clone(), changed.clone()]) {
            **launch = changed;
        }
    }
}

/// Gives the last of these launches workgroups as large as those of the one before, if it can share a dispatch with that: an
/// update of a range, or the step's end.
fn fit(launches: &mut [Launch], room: Room) {
    let [.., before, last] = launches else { return };
    let Some(Workgroup { invocations, .. }) = before.kernel.workgroup() else { return };
    let mut changed = last.clone();
    match workgroup(&mut changed.kernel) {
        Some(own) if invocations.is_power_of_two() => *own = invocations,
        _ => return,
    }
    if room.holds(&[before.clone(), changed.clone()]) {
        *last = changed;
    }
}

/// The size of a kernel's workgroups, where any will do.
fn workgroup(kernel: &mut Kernel) -> Option<&mut usize> {
    match kernel {
        Kernel::AdvanceStep(advance) => Some(&mut advance.workgroup),
        kernel => common(kernel).map(|common| &mut common.workgroup),
    }
}
