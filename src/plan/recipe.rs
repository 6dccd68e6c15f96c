//! From a description to a plan: lower to one launch an operation, fuse, settle how numbers are stored, choose tilings, share
//! dispatches.

use super::graph::Graph;
use super::lower::lower;
use super::{Plan, PlanKey, Recipe, fuse, tile};

impl Recipe<'_> {
    /// The plan for one way of using the model.
    pub(crate) fn plan(&self, key: PlanKey) -> Plan {
        let mut graph = Graph::new(*self, key);
        lower(&mut graph);
        if key.fused {
            fuse::fuse(&mut graph);
        }
        graph.store();
        tile::tile(&mut graph);
        graph.compact();
        graph.into()
    }
}
