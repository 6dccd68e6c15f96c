//! The batch: samples and labels by index.

use crate::kernels::gather_batch::{GatherBatch, INPUT_SLOTS};
use crate::kernels::padded;
use crate::kernels::shares::Shares;
use crate::plan::graph::{Graph, Value};
use crate::plan::lower::loss::target_layout;
use crate::plan::{Argument, Phase, Store};

/// Builds the batch; returns samples and labels.
pub(super) fn gather(graph: &mut Graph<'_>) -> (Value, Argument) {
    let (features, format) = (graph.recipe.model.input.features(), graph.key.format);
    let target_words = if format.target_ids.is_some() { target_layout(graph).words() } else { 0 };
    let copies = copies(graph, features);
    let (byte_scale, weighted) = (format.byte_scale, format.weighted);
    let kernel = GatherBatch { features, copies, byte_scale, target_words, weighted };
    let x = graph.value("x", features, graph.key.precision);
    let buffer = &mut graph.buffers[x.buffer];
    (buffer.words, buffer.copies) = (copies * buffer.words, copies);
    let labels = graph.local("labels", padded(graph.key.capacity) * (target_words + 1));
    let learning_rates = graph.local("learning_rates", INPUT_SLOTS);
    graph.learning_rates = learning_rates;
    let arguments = [
        graph.next,
        graph.buffer("samples", Store::Samples, 0),
        graph.buffer("sample_targets", Store::SampleTargets, 0),
        graph.buffer("sample_weights", Store::SampleWeights, 0),
        graph.buffer("order", Store::Order, 0),
        learning_rates,
        x,
        labels,
        graph.step,
    ];
    graph.launch(Phase::Gather, "gather", kernel, &arguments);
    (x, labels)
}

/// Copies of the batch: one for each share of the kernel that reads it.
fn copies(graph: &Graph<'_>, features: usize) -> usize {
    let kernel = graph.recipe.layout.tensors.iter().map(|tensor| tensor.shares).max().unwrap_or(1);
    if kernel > 1 { Shares::of_input(kernel, graph.key.capacity, features) } else { 1 }
}
