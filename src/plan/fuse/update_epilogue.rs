//! The optimizer's update rides in the product of the weight gradients: `dense_backward_update` makes them in registers and
//! changes parameters and slots there and then.
//!
//! Needs: gradients that the update alone reads (clipping by norm wants all of them first), and of one batch. What no product makes, those of
//! norms, keeps an update of its own, over the range that is left. The update comes after the whole
//! backward pass, because that reads the parameters as they were.
//! Saves: gradients written and read. Pays: always.

use crate::kernels::Kernel;
use crate::kernels::dense_backward_update::DenseBackwardUpdate;
use crate::kernels::update::{Rule, TENSOR_ALIGNMENT, TensorSettings};
use crate::plan::graph::{Graph, Reader};
use crate::plan::lower::{common, updates};
use crate::plan::{Argument, Launch, Phase};

pub(super) fn fuse(graph: &mut Graph<'_>) {
    let Some(at) = graph.launches.iter().position(|launch| updates(&launch.kernel).is_some()) else { return };
    let update = graph.launches[at].clone();
    let Some((rule, clip_value)) = updates(&update.kernel) else { return };
    let gradients = update.arguments[1];
    // Where several batches make an update, their gradients wait in memory for it.
    if graph.key.accumulates || graph.readers(gradients).iter().any(|reader| *reader != Reader::Launch(at)) {
        return;
    }
    let (mut riding, mut places, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for (index, launch) in graph.launches.iter().enumerate().filter(|(_, launch)| writes(launch, gradients)) {
        match ride(graph, launch, &update, (&rule, clip_value)) {
            Some(launch) => {
                riding.push(launch);
                places.push(index);
            }
            None => rest.extend(launch.written().filter(|written| written.overlaps(&gradients))),
        }
    }
    match remaining(&rest) {
        // A layer whose update rides may not lie among the others.
        Some(range) if riding.iter().any(|launch| launch.arguments[3].overlaps_range_of(&range)) => return,
        Some(range) => riding.push(of_range(graph, &update, range)),
        None => {}
    }
    graph.launches.splice(at..=at, riding);
    for index in places.into_iter().rev() {
        graph.launches.remove(index);
    }
}

/// The range that these fill together, which layouts have in one piece: what is made by no product lies behind the rest.
fn remaining(rest: &[Argument]) -> Option<Argument> {
    let (start, end) =
        (rest.iter().map(|part| part.offset).min()?, rest.iter().map(|part| part.offset + part.words).max()?);
    Some(Argument { offset: start, words: end - start, ..rest[0] })
}

/// The update of one range of the parameters.
fn of_range(graph: &Graph<'_>, update: &Launch, range: Argument) -> Launch {
    let mut launch = update.clone();
    if let Some(common) = common(&mut launch.kernel) {
        (common.start, common.length) = (range.offset, range.words);
    }
    // Where no layer's own four words are.
    let unused = TENSOR_ALIGNMENT * graph.recipe.layout.places.len();
    for (index, argument) in launch.arguments.iter_mut().enumerate() {
        let of_range = Argument { buffer: argument.buffer, ..range };
        match index {
            1 | 4 => *argument = of_range,
            5.. if argument.is_whole() => *argument = of_range,
            5.. => argument.offset = unused,
            _ => {}
        }
    }
    launch
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
        kernel: settings(graph, index, "kernel"),
        bias: settings(graph, index, "bias"),
        clip_value,
    };
    let of_layer = |whole: Argument| Argument { buffer: whole.buffer, ..range };
    let mut arguments = vec![step, x, dz, of_layer(parameters)];
    // Of a slot that is not used each layer has four words of its own: a dispatch must not write one place twice.
    let unused = |slot: Argument| Argument { offset: TENSOR_ALIGNMENT * index, words: 4, ..slot };
    arguments.extend(slots.iter().map(|&slot| if slot.is_whole() { of_layer(slot) } else { unused(slot) }));
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

fn settings(graph: &Graph<'_>, place: usize, tensor: &str) -> TensorSettings {
    let (layout, optimizer) = (graph.recipe.layout, graph.recipe.optimizer);
    let tensor = layout.tensor_of_place(&layout.places[place], tensor);
    tensor.map_or(TensorSettings::PLAIN, |tensor| tensor.settings(optimizer))
}
