//! Batch normalization: a launch each way. In training, the forward pass finds the batch's statistics and moves the averages on;
//! elsewhere, and where the layer is frozen, the averages serve.

use super::{At, Lower, Saved, affine, gradients, moving, parameters};
use crate::kernels::batch_norm_backward::BatchNormBackward;
use crate::kernels::batch_norm_forward::BatchNormForward;
use crate::kernels::batch_norm_inference_backward::BatchNormInferenceBackward;
use crate::kernels::batch_norm_inference_forward::BatchNormInferenceForward;
use crate::kernels::padded;
use crate::net::layers::BatchNormalization;
use crate::plan::graph::{Graph, Value};
use crate::plan::{Mode, Phase};

/// Where the variances start among the layer's moving averages; the means start them.
fn variance_offset(graph: &Graph<'_>, at: &At<'_>) -> usize {
    let layout = graph.recipe.layout;
    let offset = |name| layout.tensor_of_place(at.place, name).map_or(0, |tensor| tensor.offset);
    offset("moving_variance") - offset("moving_mean")
}

impl BatchNormalization {
    fn uses_averages(&self, graph: &Graph<'_>) -> bool {
        graph.key.mode != Mode::Train || !self.trainable
    }

    fn inference(&self, graph: &Graph<'_>, at: &At<'_>) -> BatchNormInferenceForward {
        let (affine, variance_offset) = (affine(graph, at), variance_offset(graph, at));
        BatchNormInferenceForward { columns: at.place.outputs, epsilon: self.epsilon, affine, variance_offset }
    }
}

impl Lower for BatchNormalization {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let columns = at.place.outputs;
        let y = graph.value(&at.label("y"), columns, at.precision);
        let (weights, moving) = (parameters(graph, at), moving(graph, at));
        if self.uses_averages(graph) {
            let kernel = self.inference(graph, at);
            graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, weights, moving, y]);
            return Saved { input: x, output: y, kept: y };
        }
        // Mean and 1/√(variance + ε) of each column.
        let moments = graph.local(&at.label("moments"), 2 * padded(columns));
        let (affine, variance_offset) = (affine(graph, at), variance_offset(graph, at));
        let (epsilon, momentum) = (self.epsilon, self.momentum);
        let kernel = BatchNormForward { columns, epsilon, momentum, affine, variance_offset };
        let arguments = [graph.step, x, weights, y, moments, moving];
        graph.launch(Phase::Forward, at.label("forward"), kernel, &arguments);
        Saved { input: x, output: y, kept: moments }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, saved: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        let (columns, weights) = (at.place.outputs, parameters(graph, at));
        if self.uses_averages(graph) {
            let dx = wanted.then(|| graph.gradient(&at.label("dx"), columns))?;
            let kernel = BatchNormInferenceBackward { forward: self.inference(graph, at) };
            let moving = moving(graph, at);
            graph.launch(Phase::Backward, at.label("backward"), kernel, &[graph.step, dy, weights, moving, dx]);
            return Some(dx);
        }
        let affine = affine(graph, at);
        if !wanted && !at.place.trained {
            return None;
        }
        let dx = match wanted {
            true => graph.gradient(&at.label("dx"), columns),
            false => graph.local("no_gradient", 4),
        };
        let gradients = if at.place.trained { gradients(graph, at) } else { graph.local("no_gradients", 4) };
        let kernel = BatchNormBackward { columns, affine, input_gradient: wanted, keep: graph.keep() };
        let arguments = [graph.step, dy, saved.input, weights, saved.kept, dx, gradients];
        graph.launch(Phase::Backward, at.label("backward"), kernel, &arguments);
        wanted.then_some(dx)
    }
}
