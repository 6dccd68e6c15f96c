//! PReLU: a launch forward; backward one for the input's gradient and one for that of α.

use super::{At, Lower, Saved, gradients, parameters};
use crate::kernels::prelu_backward::PreluBackward;
use crate::kernels::prelu_backward_parameters::PreluBackwardParameters;
use crate::kernels::prelu_forward::PreluForward;
use crate::net::layers::Prelu;
use crate::plan::Phase;
use crate::plan::graph::{Graph, Value};

impl Lower for Prelu {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let columns = at.place.outputs;
        let y = graph.value(&at.label("y"), columns, at.precision);
        let alpha = parameters(graph, at);
        graph.launch(Phase::Forward, at.label("forward"), PreluForward { columns }, &[graph.step, x, alpha, y]);
        Saved { input: x, output: y, kept: x }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, saved: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        let columns = at.place.outputs;
        if at.place.trained {
            let kernel = PreluBackwardParameters { columns, keep: graph.keep() };
            let gradients = gradients(graph, at);
            let arguments = [graph.step, dy, saved.input, gradients];
            graph.launch(Phase::Backward, at.label("backward_parameters"), kernel, &arguments);
        }
        if !wanted {
            return None;
        }
        let dx = graph.gradient(&at.label("dx"), columns);
        let alpha = parameters(graph, at);
        let arguments = [graph.step, dy, saved.input, alpha, dx];
        graph.launch(Phase::Backward, at.label("backward"), PreluBackward { columns }, &arguments);
        Some(dx)
    }
}
