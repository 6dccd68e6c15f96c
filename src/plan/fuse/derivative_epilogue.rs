//! An activation's derivative rides in the epilogue of the product that makes the gradient of its output.
//!
//! Needs: a product of that kind without a derivative, whose output the derivative's launch alone reads (not softmax's, which
//! works on whole rows). What the derivative is computed from becomes the product's to read.
//! Saves: a launch, and a gradient written and read. Pays: always.

use crate::kernels::Kernel;
use crate::net::activation::Activation;
use crate::plan::graph::Graph;

pub(super) fn fuse(graph: &mut Graph<'_>) {
    let mut index = 0;
    while index < graph.launches.len() {
        if !ride(graph, index) {
            index += 1;
        }
    }
}

/// Lets the derivative of launch `index` ride, if it is one and may.
fn ride(graph: &mut Graph<'_>, index: usize) -> bool {
    let activation = match &graph.launches[index].kernel {
        Kernel::ReluBackward(_) => Activation::Relu,
        Kernel::ActivationBackward(kernel) => kernel.activation,
        _ => return false,
    };
    let &[_, dy, kept, dz] = graph.launches[index].arguments.as_slice() else { return false };
    let Some(writer) = graph.writer(dy).filter(|_| graph.only_reader_is(dy, index)) else { return false };
    let product = &mut graph.launches[writer];
    let (Kernel::DenseBackwardInput(kernel), [_, _, _, read, output]) =
        (&mut product.kernel, product.arguments.as_mut_slice())
    else {
        return false;
    };
    if kernel.activation != Activation::Linear {
        return false;
    }
    kernel.activation = activation;
    (*read, *output) = (kept, dz);
    graph.launches.remove(index);
    true
}
