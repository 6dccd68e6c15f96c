//! Gaussian noise: a launch in training, none elsewhere, and none backwards: the gradient passes as it is.

use super::{At, Lower, Saved};
use crate::kernels::gaussian_noise_forward::GaussianNoiseForward;
use crate::kernels::hash::Draws;
use crate::net::layers::GaussianNoise;
use crate::plan::graph::{Graph, Value};
use crate::plan::{Mode, Phase};

impl Lower for GaussianNoise {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        if graph.key.mode != Mode::Train || self.stddev == 0.0 {
            return Saved { input: x, output: x, kept: x };
        }
        let draws = Draws { seed: graph.recipe.model.seed, layer: at.index };
        let kernel = GaussianNoiseForward { columns: at.place.outputs, deviation: self.stddev, draws };
        let y = graph.value(&at.label("y"), at.place.outputs, at.precision);
        graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, y]);
        Saved { input: x, output: y, kept: y }
    }

    fn backward(&self, _: &mut Graph<'_>, _: &At<'_>, _: &Saved, dy: Value, _: bool) -> Option<Value> {
        Some(dy)
    }
}
