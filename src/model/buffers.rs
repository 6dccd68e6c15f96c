//! The buffers that live as long as a model, with what they start from.

use crate::kernels::scale::LossScale;
use crate::layout::Layout;
use crate::net::optimizers::Optimizer;
use crate::plan::Store;

/// The model-wide buffers with their first contents, in words.
pub(crate) fn model_buffers(
    layout: &Layout,
    optimizer: &Optimizer,
    (parameters, moving): (&[f32], &[f32]),
) -> Vec<(Store, Vec<f32>)> {
    let (chunks, ranges) = layout.chunks();
    let words = |words: &[u32]| bytemuck::cast_slice(words).to_vec();
    let mut buffers = vec![
        (Store::Parameters, parameters.to_vec()),
        (Store::Moving, moving.to_vec()),
        (Store::Gradients, vec![0.0; layout.length]),
        (Store::Tensors, layout.table(optimizer)),
        (Store::TensorOf, words(&layout.tensor_of())),
        (Store::Chunks, words(chunks.as_flattened())),
        (Store::Ranges, words(ranges.as_flattened())),
        (Store::LossScale, words(bytemuck::cast_slice(&[LossScale::default()]))),
    ];
    for (index, slot) in optimizer.slots().iter().enumerate() {
        buffers.push((Store::Slot(index), vec![slot.initial; layout.slot_length(slot.used)]));
    }
    // There are no empty buffers: tables are where nothing is trained.
    buffers.iter_mut().filter(|(_, values)| values.is_empty()).for_each(|(_, values)| values.resize(8, 0.0));
    buffers
}
