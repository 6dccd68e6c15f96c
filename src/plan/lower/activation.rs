//! An activation as a layer of its own.

use super::{At, Lower, Saved, activation_backward, activation_forward};
use crate::net::activation::Activation;
use crate::net::layers::ActivationLayer;
use crate::plan::graph::{Graph, Value};

impl Lower for ActivationLayer {
    fn forward(&self, graph: &mut Graph<'_>, at: &At<'_>, x: Value) -> Saved {
        let activation = at.activation(self.activation);
        if activation == Activation::Linear {
            return Saved { input: x, output: x, kept: x };
        }
        let y = activation_forward(graph, at, activation, x);
        Saved { input: x, output: y, kept: if activation.keeps_input() { x } else { y } }
    }

    fn backward(&self, graph: &mut Graph<'_>, at: &At<'_>, saved: &Saved, dy: Value, wanted: bool) -> Option<Value> {
        wanted.then(|| activation_backward(graph, at, at.activation(self.activation), dy, saved.kept))
    }
}
