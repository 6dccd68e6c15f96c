//! Dropout: a launch each way in training, none elsewhere. The backward pass makes the mask again, so nothing is kept.

use super::{At, Lower, Saved};
use crate::kernels::dropout_backward::DropoutBackward;
use crate::kernels::dropout_forward::DropoutForward;
use crate::kernels::hash::Draws;
use crate::net::layers::Dropout;
use crate::plan::graph::{Graph, Value};
use crate::plan::{Mode, Phase};

/// The forward launch, where there is one.
fn kernel(dropout: &Dropout, graph: &Graph<'_>, at: &At<'_>) -> Option<DropoutForward> {
    let draws = Draws { seed: graph.recipe.model.seed, layer: at.index };
    let drops = graph.key.mode == Mode::Train && dropout.rate > 0.0;
    drops.then_some(DropoutForward { columns: at.place.outputs, rate: dropout.rate, draws })
}

impl Lower for Dropout {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let Some(kernel) = kernel(self, graph, at) else { return Saved { input: x, output: x, kept: x } };
        let y = graph.value(&at.label("y"), at.place.outputs, at.precision);
        graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, y]);
        Saved { input: x, output: y, kept: y }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, _: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        if !wanted {
            return None;
        }
        let Some(forward) = kernel(self, graph, at) else { return Some(dy) };
        let dx = graph.gradient(&at.label("dx"), at.place.inputs);
        graph.launch(Phase::Backward, at.label("backward"), DropoutBackward { forward }, &[graph.step, dy, dx]);
        Some(dx)
    }
}
