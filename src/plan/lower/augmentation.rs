//! Augmentation: a launch in training, none elsewhere, and none backwards: it takes
//! images, and layers with parameters make rows of one dimension, so that none can stand before it.

use super::{At, Lower, Saved};
use crate::kernels::augmentation_forward::{AugmentationForward, Elastic};
use crate::kernels::hash::Draws;
use crate::net::layers::Augmentation;
use crate::plan::graph::{Graph, Value};
use crate::plan::{Mode, Phase};

/// What uniform noise for each pixel, filtered with a Gaussian of σ, would have of α is α / (2·√π·σ) times the noise's own
/// deviation; a cubic B-spline keeps 151/315 of that of its nodes, the mean of its squares over a spacing, in two directions.
fn elastic(augmentation: &Augmentation) -> Option<Elastic> {
    let [alpha, sigma] = augmentation.elastic;
    let kept = 151.0 / 315.0;
    let amplitude = alpha / (2.0 * std::f32::consts::PI.sqrt() * sigma * kept);
    (alpha > 0.0).then(|| Elastic { amplitude, nodes_a_pixel: 1.0 / augmentation.spacing() })
}

/// The launch for images of this shape.
fn kernel(augmentation: &Augmentation, sides: &[usize], draws: Draws) -> AugmentationForward {
    let size = [sides[1], sides[0]];
    // Layers have them the other way round, as Keras does.
    let shares = |[height, width]: [f32; 2]| [width * size[0] as f32, height * size[1] as f32];
    AugmentationForward {
        size,
        channels: sides.get(2).copied().unwrap_or(1),
        translation: shares(augmentation.translation),
        rotation: augmentation.rotation,
        zoom: augmentation.zoom,
        shear: augmentation.shear,
        elastic: elastic(augmentation),
        cutout: shares(augmentation.cutout).map(|side| side.round() as usize),
        fill_mode: augmentation.fill_mode,
        fill_value: augmentation.fill_value,
        draws,
    }
}

impl Lower for Augmentation {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        if graph.key.mode != Mode::Train || !self.changes() {
            return Saved { input: x, output: x, kept: x };
        }
        let draws = Draws { seed: graph.recipe.model.seed, layer: at.index };
        // No layer that may stand before it changes the shape and leaves images.
        let kernel = kernel(self, graph.recipe.model.input.dimensions(), draws);
        let y = graph.value(&at.label("y"), at.place.outputs, at.precision);
        graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, y]);
        Saved { input: x, output: y, kept: y }
    }

    fn backward(&self, _: &mut Graph<'_>, _: &At<'_>, _: &Saved, _: Value, _: bool) -> Option<Value> {
        None
    }
}
