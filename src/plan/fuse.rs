//! Fusion: passes over the plain plan, each a file that says what it needs, what it saves and when it pays. A pass looks at
//! launches and at who reads their values, not at layers: what a new layer lowers to is fused like the rest. Legal is what
//! leaves unwritten only what nobody else reads.

mod activation_epilogue;
mod derivative_epilogue;
mod loss_layer;
mod update_epilogue;

use super::graph::Graph;

/// A rewrite of the launches.
type Pass = fn(&mut Graph<'_>);

/// The passes, in the order in which they run. Derivatives come before the last layer's, which takes a product along that
/// one may ride in already.
const PASSES: [Pass; 4] =
    [activation_epilogue::fuse, derivative_epilogue::fuse, loss_layer::fuse, update_epilogue::fuse];

pub(super) fn fuse(graph: &mut Graph<'_>) {
    for pass in PASSES {
        pass(graph);
    }
}
