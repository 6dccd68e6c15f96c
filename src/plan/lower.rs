//! Lowering: from the description to the plain plan, one launch an operation, in the order of the step: gather, the layers,
//! the loss, the layers backwards, the penalty; norms and the update; the end. Each layer's launches are in the file of its
//! name. Nothing is fused here, and no tiling chosen.

mod gather;
mod loss;
mod metrics;
mod update;

use super::graph::{Graph, Value};
use super::{Argument, Mode, Segment, Store};
use crate::kernels::norm::Affine;
use crate::kernels::product::Tiling;
use crate::kernels::storage::Precision;
use crate::layout::Place;
use crate::net::activation::Activation;
use crate::net::layer::{Layer, for_layers};

/// What stands in a product until its tiling is chosen.
const UNCHOSEN: Tiling = Tiling::Direct { rows: 1, columns: 1, workgroup: 1 };

/// A layer where it stands in the model.
pub(super) struct At<'a> {
    pub place: &'a Place,
    /// Its place among the layers.
    pub index: u32,
    /// What its output is stored in.
    pub precision: Precision,
    /// Whether the loss, or nothing, takes its activation upon itself: it is not applied.
    pub stripped: bool,
    /// Whether it reads the batch as `gather` makes it.
    pub reads_batch: bool,
}

impl At<'_> {
    /// `dense_0.forward`, for labels.
    fn label(&self, what: impl std::fmt::Display) -> String {
        format!("{}.{what}", self.place.name)
    }

    /// The activation that is applied.
    fn activation(&self, own: Activation) -> Activation {
        if self.stripped { Activation::Linear } else { own }
    }
}

/// What a layer's forward pass leaves for its backward pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saved {
    pub input: Value,
    pub output: Value,
    /// What the derivative of its activation is computed from.
    pub kept: Value,
}

/// How a layer becomes launches.
pub(super) trait Lower {
    /// Launches the layer on `x`.
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved;

    /// Launches what makes the gradients of the layer's parameters, and of its input if that is `wanted`, from `dy`, the
    /// gradient of its output; returns the latter.
    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, saved: &Saved, dy: Value, wanted: bool) -> Option<Value>;
}

macro_rules! lowering {
    ($($(#[$what:meta])* $Variant:ident($Type:ident): $module:ident, $type_name:literal;)*) => {
        $(mod $module;)*

        fn lowered(layer: &Layer) -> &dyn Lower {
            match layer { $(Layer::$Variant(layer) => layer,)* }
        }
    };
}

for_layers!(lowering);

pub(super) use loss::row_loss;
pub(super) use update::{common, updates};

/// Appends the launches of a whole step.
pub(super) fn lower(graph: &mut Graph<'_>) {
    let recipe = graph.recipe;
    let (layers, mode) = (&recipe.model.layers, graph.key.mode);
    let places = places(graph);
    let (x, labels) = gather::gather(graph);
    let mut traces: Vec<Saved> = Vec::new();
    let mut input = x;
    for (layer, at) in layers.iter().zip(&places) {
        let saved = lowered(layer).forward(graph, at, input);
        input = saved.output;
        traces.push(saved);
    }
    graph.outputs = input;
    if mode == Mode::Predict {
        return;
    }
    let (mut gradient, rows) = loss::loss(graph, input, labels);
    metrics::metrics(graph, &places, input, labels);
    // Below the lowest trained layer no gradient is needed.
    let lowest = places.iter().position(|at| at.place.trained);
    if let Some(lowest) = lowest.filter(|_| mode == Mode::Train) {
        for index in (lowest..layers.len()).rev() {
            let dx = lowered(&layers[index]).backward(graph, &places[index], &traces[index], gradient, index > lowest);
            gradient = dx.unwrap_or(gradient);
        }
    }
    let penalties = update::penalties(graph);
    if lowest.is_some() && mode == Mode::Train {
        graph.segment = Segment::Update;
        update::clip(graph);
        update::update(graph);
    }
    graph.segment = Segment::End;
    if lowest.is_some() && mode == Mode::Train {
        update::average(graph);
        update::constrain(graph);
    }
    update::advance(graph, rows, penalties);
}

/// Every layer where it stands.
fn places<'a>(graph: &Graph<'a>) -> Vec<At<'a>> {
    let recipe = graph.recipe;
    let stripped = recipe.model.logits_layer(recipe.loss).filter(|_| graph.key.mode != Mode::Predict);
    let places = &recipe.layout.places;
    // The model's outputs are in f32 always, and so is all from the last layer with parameters on.
    let last = places.iter().rposition(|place| !place.tensors.is_empty()).unwrap_or(0);
    let mut reads_batch = true;
    let at = |(index, place): (usize, &'a Place)| {
        let precision = if index >= last { Precision::F32 } else { graph.key.precision };
        let at = At { place, index: index as u32, precision, stripped: stripped == Some(index), reads_batch };
        reads_batch &= recipe.model.layers[index].is_identity();
        at
    };
    places.iter().enumerate().map(at).collect()
}

/// The launch of an activation apart: y = f(z).
fn activation_forward(graph: &mut Graph<'_>, at: &At<'_>, f: Activation, z: Value) -> Value {
    use crate::kernels::activation_forward::ActivationForward;
    use crate::kernels::relu_forward::ReluForward;
    use crate::kernels::softmax_forward::SoftmaxForward;
    let columns = at.place.outputs;
    let kernel: crate::kernels::Kernel = match f {
        Activation::Relu => ReluForward { columns }.into(),
        Activation::Softmax => SoftmaxForward { columns }.into(),
        activation => ActivationForward { columns, activation }.into(),
    };
    let y = graph.value(&at.label("y"), columns, at.precision);
    graph.launch(super::Phase::Forward, at.label(f), kernel, &[graph.step, z, y]);
    y
}

/// The launch of its derivative: dz = f′·dy.
fn activation_backward(graph: &mut Graph<'_>, at: &At<'_>, f: Activation, dy: Value, kept: Value) -> Value {
    use crate::kernels::activation_backward::ActivationBackward;
    use crate::kernels::relu_backward::ReluBackward;
    use crate::kernels::softmax_backward::SoftmaxBackward;
    let columns = at.place.outputs;
    let kernel: crate::kernels::Kernel = match f {
        Activation::Linear => return dy,
        Activation::Relu => ReluBackward { columns }.into(),
        Activation::Softmax => SoftmaxBackward { columns }.into(),
        activation => ActivationBackward { columns, activation }.into(),
    };
    let dz = graph.gradient(&at.label("dz"), columns);
    graph.launch(super::Phase::Backward, at.label(format!("{f}.backward")), kernel, &[graph.step, dy, kept, dz]);
    dz
}

/// The range of the parameters that a layer's tensors fill; where it has none, four words that nobody reads.
fn parameters(graph: &mut Graph<'_>, at: &At<'_>) -> Argument {
    match at.place.length {
        0 => graph.local("no_parameters", 4),
        _ => graph.parameters().of_place(at.place),
    }
}

/// The range of the moving averages that a layer's fill.
fn moving(graph: &mut Graph<'_>, at: &At<'_>) -> Argument {
    let layout = graph.recipe.layout;
    let own = &layout.moving[at.place.moving.clone()];
    let offset = own.first().map_or(0, |tensor| tensor.offset);
    let end = own.last().map_or(offset, |tensor| tensor.offset + tensor.padded_length());
    Argument { offset, words: end - offset, ..graph.buffer("moving", Store::Moving, layout.moving_length) }
}

/// Where γ and β stand in a layer's range.
fn affine(graph: &Graph<'_>, at: &At<'_>) -> Affine {
    let tensor = |name| graph.recipe.layout.tensor_of_place(at.place, name);
    let offset = |name| tensor(name).map(|tensor| tensor.offset - at.place.offset);
    Affine { gamma: offset("gamma"), beta: offset("beta") }
}

/// The same of the gradients.
fn gradients(graph: &mut Graph<'_>, at: &At<'_>) -> Argument {
    graph.gradients().of_place(at.place)
}
