//! Dense: the product, the activation apart; backwards the activation's derivative, then the gradients of kernel and bias,
//! and that of the input.

use super::{At, Lower, Saved, UNCHOSEN, activation_backward, activation_forward, gradients, parameters};
use crate::kernels::dense_backward_input::DenseBackwardInput;
use crate::kernels::dense_backward_weights::DenseBackwardWeights;
use crate::kernels::dense_forward::DenseForward;
use crate::kernels::shares::Shares;
use crate::net::activation::Activation;
use crate::net::layers::Dense;
use crate::plan::Phase;
use crate::plan::graph::{Graph, Value};

/// Where the bias starts in the layer's range.
fn bias_offset(graph: &Graph<'_>, at: &At<'_>) -> Option<usize> {
    let bias = graph.recipe.layout.tensor_of_place(at.place, "bias")?;
    Some(bias.offset - at.place.offset)
}

/// How the layer's memory is shared out: that of the input only where it is the batch itself.
pub(super) fn shares(graph: &Graph<'_>, at: &At<'_>) -> Shares {
    let kernel = graph.recipe.layout.tensor_of_place(at.place, "kernel").map_or(1, |kernel| kernel.shares);
    let copied = at.reads_batch && kernel > 1;
    let input = if copied { Shares::of_input(kernel, graph.key.capacity, at.place.inputs) } else { 1 };
    Shares { kernel, input }
}

impl Lower for Dense {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let activation = at.activation(self.activation);
        let kernel = DenseForward {
            inputs: at.place.inputs,
            outputs: at.place.outputs,
            bias_offset: bias_offset(graph, at),
            activation: Activation::Linear,
            tiling: UNCHOSEN,
            shares: shares(graph, at),
        };
        let linear = activation == Activation::Linear;
        let z = graph.value(&at.label(if linear { "y" } else { "z" }), at.place.outputs, at.precision);
        let weights = parameters(graph, at);
        graph.launch(Phase::Forward, at.label("forward"), kernel, &[graph.step, x, weights, z]);
        if linear {
            return Saved { input: x, output: z, kept: z };
        }
        let y = activation_forward(graph, at, activation, z);
        Saved { input: x, output: y, kept: if activation.keeps_input() { z } else { y } }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, saved: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        let (inputs, outputs) = (at.place.inputs, at.place.outputs);
        let dz = activation_backward(graph, at, at.activation(self.activation), dy, saved.kept);
        if at.place.trained {
            let (bias_offset, shares) = (bias_offset(graph, at), shares(graph, at));
            let keep = graph.keep();
            let kernel = DenseBackwardWeights { inputs, outputs, bias_offset, tiling: UNCHOSEN, shares, keep };
            let gradients = gradients(graph, at);
            let arguments = [graph.step, saved.input, dz, gradients];
            graph.launch(Phase::Backward, at.label("backward_weights"), kernel, &arguments);
        }
        if !wanted {
            return None;
        }
        let dx = graph.gradient(&at.label("dx"), inputs);
        let kernel = DenseBackwardInput { inputs, outputs, activation: Activation::Linear, tiling: UNCHOSEN };
        let weights = parameters(graph, at);
        // The derivative of the layer below may ride here later, and is computed from what that keeps.
        let arguments = [graph.step, dz, weights, saved.input, dx];
        graph.launch(Phase::Backward, at.label("backward_input"), kernel, &arguments);
        Some(dx)
    }
}
