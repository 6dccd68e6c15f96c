//! Layer normalization: a launch forward; backward one for the input's gradient and one for those of γ and β.

use super::{At, Lower, Saved, affine, gradients, parameters};
use crate::kernels::layer_norm_backward::LayerNormBackward;
use crate::kernels::layer_norm_backward_parameters::LayerNormBackwardParameters;
use crate::kernels::layer_norm_forward::LayerNormForward;
use crate::kernels::padded;
use crate::net::layers::LayerNormalization;
use crate::plan::Phase;
use crate::plan::graph::{Graph, Value};

impl Lower for LayerNormalization {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let (columns, affine) = (at.place.outputs, affine(graph, at));
        let kernel = LayerNormForward { columns, epsilon: self.epsilon, affine };
        let y = graph.value(&at.label("y"), columns, at.precision);
        // Mean and 1/√(variance + ε) of each row.
        let moments = graph.local(&at.label("moments"), 2 * padded(graph.key.capacity));
        let weights = parameters(graph, at);
        graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, weights, y, moments]);
        Saved { input: x, output: y, kept: moments }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, saved: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        let (columns, affine) = (at.place.outputs, affine(graph, at));
        if at.place.trained {
            let kernel = LayerNormBackwardParameters { columns, affine, keep: graph.keep() };
            let gradients = gradients(graph, at);
            let arguments = [graph.step, dy, saved.input, saved.kept, gradients];
            graph.launch(Phase::Backward, at.label("backward_parameters"), kernel, &arguments);
        }
        if !wanted {
            return None;
        }
        let dx = graph.gradient(&at.label("dx"), columns);
        let weights = parameters(graph, at);
        let arguments = [graph.step, dy, saved.input, weights, saved.kept, dx];
        graph.launch(Phase::Backward, at.label("backward"), LayerNormBackward { columns, affine }, &arguments);
        Some(dx)
    }
}
