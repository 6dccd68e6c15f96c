//! Rescaling: a launch each way.

use super::{At, Lower, Saved};
use crate::kernels::rescale_backward::RescaleBackward;
use crate::kernels::rescale_forward::RescaleForward;
use crate::net::layers::Rescaling;
use crate::plan::Phase;
use crate::plan::graph::{Graph, Value};

impl Lower for Rescaling {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let columns = at.place.outputs;
        let y = graph.value(&at.label("y"), columns, at.precision);
        let kernel = RescaleForward { columns, scale: self.scale, offset: self.offset };
        graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, y]);
        Saved { input: x, output: y, kept: y }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, _: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        if !wanted {
            return None;
        }
        let columns = at.place.inputs;
        let dx = graph.gradient(&at.label("dx"), columns);
        let kernel = RescaleBackward { columns, scale: self.scale };
        graph.launch(Phase::Backward, at.label("backward"), kernel, &[graph.step, dy, dx]);
        Some(dx)
    }
}
