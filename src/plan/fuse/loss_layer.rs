//! The last layer's product, its loss and the gradient down to the layer before are one launch, `dense_loss`: of a row all
//! three want nothing but that row and the kernel, so a workgroup goes through them with the outputs in its own memory. The
//! field calls the first half fused linear cross-entropy.
//!
//! Needs: a loss that alone reads the sums of a product. The gradient down comes along where it is computed from the same
//! kernel, and its derivative from what the product reads (that of GELU is computed from another value, for which there is no
//! binding).
//! Saves: two launches, and the outputs written and read. Pays: for few outputs; see `dense_loss::pays`.

use crate::kernels::Kernel;
use crate::kernels::dense_loss::{self, DenseLoss, Tile};
use crate::net::activation::Activation;
use crate::plan::Argument;
use crate::plan::graph::Graph;
use crate::plan::lower::row_loss;

pub(super) fn fuse(graph: &mut Graph<'_>) {
    let Some(at) = graph.launches.iter().position(|launch| row_loss(&launch.kernel).is_some()) else { return };
    let (Some(loss), &[step, outputs, labels, gradient, rows]) =
        (row_loss(&graph.launches[at].kernel), graph.launches[at].arguments.as_slice())
    else {
        return;
    };
    let Some(product) = graph.writer(outputs).filter(|_| graph.only_reader_is(outputs, at)) else { return };
    let (Kernel::DenseForward(layer), &[_, x, weights, _]) =
        (&graph.launches[product].kernel, graph.launches[product].arguments.as_slice())
    else {
        return;
    };
    let (inputs, bias_offset) = (layer.inputs, layer.bias_offset);
    let (capacity, family) = (graph.key.capacity, graph.key.device.family);
    if layer.activation != Activation::Linear || !dense_loss::pays(inputs, layer.outputs, capacity, family) {
        return;
    }
    let tile = Tile::choose(inputs, layer.outputs, capacity, family);
    let down = gradient_down(graph, gradient, weights, x);
    let dx = down.map_or_else(|| graph.local("no_gradient", 4), |(_, _, dx)| dx);
    let before = down.map(|(_, activation, _)| activation);
    let label = format!("{}.{}", layer_of(&graph.launches[product].label), graph.launches[at].label);
    let launch = &mut graph.launches[at];
    launch.kernel = DenseLoss { inputs, bias_offset, loss, before, tile }.into();
    launch.label = label;
    launch.arguments = vec![step, x, weights, labels, gradient, rows, dx];
    if let Some((index, ..)) = down {
        graph.launches.remove(index); // It comes after the loss, and the product before.
    }
    graph.launches.remove(product);
}

/// The launch that makes the gradient of `x` from that of the outputs, with the derivative that rides in it and where it
/// leaves the gradient, if all of it can be had from `x` and the kernel.
fn gradient_down(
    graph: &Graph<'_>,
    gradient: Argument,
    weights: Argument,
    x: Argument,
) -> Option<(usize, Activation, Argument)> {
    graph.launches.iter().enumerate().find_map(|(index, launch)| {
        let (Kernel::DenseBackwardInput(kernel), &[_, dz, own_weights, kept, dx]) =
            (&launch.kernel, launch.arguments.as_slice())
        else {
            return None;
        };
        let from_x = kernel.activation == Activation::Linear || kept == x;
        (dz == gradient && own_weights == weights && from_x).then_some((index, kernel.activation, dx))
    })
}

/// `dense_1` of `dense_1.forward`.
fn layer_of(label: &str) -> &str {
    label.split('.').next().unwrap_or(label)
}
