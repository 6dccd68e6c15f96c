//! The optimizer's update rides in the product of the weight gradients: `dense_backward_update` makes them in registers and
//! changes parameters and slots there and then.
//!
//! Needs: gradients that the update alone reads (clipping by norm wants all of them first). The update comes after the whole
//! backward pass, because that reads the parameters as they were.
//! Saves: gradients written and read. Pays: always.

use crate::kernels::Kernel;
use crate::kernels::dense_backward_update::DenseBackwardUpdate;
use crate::kernels::update::{Rule, TENSOR_ALIGNMENT};
use crate::layout::Layout;
use crate::net::regularizers::Regularizer;
use crate::plan::graph::{Graph, Reader};
use crate::plan::lower::updates;
use crate::plan::{Argument, Launch, Phase};

pub(super) fn fuse(graph: &mut Graph<'_>) {
    let Some(at) = graph.launches.iter().position(|launch| updates(&launch.kernel).is_some()) else { return };
    let update = graph.launches[at].clone();
    let Some((rule, clip_value)) = updates(&update.kernel) else { return };
    let gradients = update.arguments[1];
    if graph.readers(gradients).iter().any(|reader| *reader != Reader::Launch(at)) {
        return;
    }
    let writers: Vec<_> = graph.launches.iter().enumerate().filter(|(_, launch)| writes(launch, gradients)).collect();
    let riding = writers.iter().map(|(_, launch)| ride(graph, launch, &update, (&rule, clip_value)));
    // All of them or none: the update of all parameters has no ranges.
    let Some(riding) = riding.collect::<Option<Vec<_>>>() else { return };
    let places: Vec<_> = writers.iter().map(|(index, _)| *index).collect();
    graph.launches.splice(at..=at, riding);
    for index in places.into_iter().rev() {
        graph.launches.remove(index);
    }
}

fn writes(launch: &Launch, gradients: Argument) -> bool {
    launch.written().any(|written| written.overlaps(&gradients))
}

/// The launch that makes gradients, and the update of what they are of, as one; `None` if it is no such product.
fn ride(graph: &Graph<'_>, launch: &Launch, update: &Launch, (rule, clip_value): (&Rule, f32)) -> Option<Launch> {
    let Kernel::DenseBackwardWeights(gradients) = &launch.kernel else { return None };
    let &[step, x, dz, range] = launch.arguments.as_slice() else { return None };
    let (&parameters, slots) = update.arguments[4..].split_first()?;
    let layout = graph.recipe.layout;
    let index = layout.places.iter().position(|place| place.offset == range.offset && place.length > 0)?;
    let kernel = DenseBackwardUpdate {
        gradients: gradients.clone(),
        rule: rule.clone(),
        kernel_regularizer: regularizer(layout, index, "kernel"),
        bias_regularizer: regularizer(layout, index, "bias"),
        weight_decay: graph.recipe.optimizer.weight_decay(),
        clip_value,
    };
    let of_layer = |whole: Argument| Argument { buffer: whole.buffer, ..range };
    let mut arguments = vec![step, x, dz, of_layer(parameters)];
    // Of a slot that is not used each layer has four words of its own: a dispatch must not write one place twice.
    let unused = |slot: Argument| Argument { offset: TENSOR_ALIGNMENT * index, words: 4, ..slot };
    arguments.extend(slots.iter().map(|&slot| if slot.words == 0 { of_layer(slot) } else { unused(slot) }));
    let label = format!("{}.update", layout.places[index].name);
    Some(Launch {
        label,
        phase: Phase::Update,
        segment: update.segment,
        kernel: kernel.into(),
        storage: launch.storage,
        arguments,
    })
}

fn regularizer(layout: &Layout, place: usize, tensor: &str) -> Regularizer {
    layout.tensor_of_place(&layout.places[place], tensor).map_or(Regularizer::NONE, |tensor| tensor.regularizer)
}
