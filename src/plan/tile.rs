//! Tilings: how each product of a plan is computed, by its shape and the device, or by what was measured. Those that may
//! share a dispatch get workgroups of one size.

use super::dispatches::Room;
use super::graph::Graph;
use super::{Launch, PlanKey};
use crate::kernels::advance_step::AdvanceStep;
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
    fit_the_end(&mut graph.launches, room);
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

/// Makes the step's end as large as the update beside it, if it can share a dispatch with that.
fn fit_the_end(launches: &mut [Launch], room: Room) {
    let [.., update, end] = launches else { return };
    let (Some(Workgroup { invocations, .. }), Kernel::AdvanceStep(advance)) = (update.kernel.workgroup(), &end.kernel)
    else {
        return;
    };
    let changed = AdvanceStep { workgroup: invocations, ..advance.clone() };
    let changed = Launch { kernel: changed.into(), ..end.clone() };
    if invocations.is_power_of_two() && room.holds(&[update.clone(), changed.clone()]) {
        *end = changed;
    }
}
