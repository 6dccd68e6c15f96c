//! An activation rides in the epilogue of the product that makes what it is applied to.
//!
//! Needs: a product without an activation whose output z the activation alone reads, number by number (not softmax, which
//! works on whole rows). Where the backward pass wants z, as for GELU, it stays a launch of its own.
//! Saves: a launch, and z written and read. Pays: always.

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

/// Lets the activation of launch `index` ride, if it is one and may.
fn ride(graph: &mut Graph<'_>, index: usize) -> bool {
    let activation = match &graph.launches[index].kernel {
        Kernel::ReluForward(_) => Activation::Relu,
        Kernel::ActivationForward(kernel) => kernel.activation,
        _ => return false,
    };
    let &[_, z, y] = graph.launches[index].arguments.as_slice() else { return false };
    let Some(writer) = graph.writer(z).filter(|_| graph.only_reader_is(z, index)) else { return false };
    let product = &mut graph.launches[writer];
    let (Kernel::DenseForward(kernel), [.., output]) = (&mut product.kernel, product.arguments.as_mut_slice()) else {
        return false;
    };
    if kernel.activation != Activation::Linear {
        return false;
    }
    kernel.activation = activation;
    *output = y;
    graph.launches.remove(index);
    true
}
