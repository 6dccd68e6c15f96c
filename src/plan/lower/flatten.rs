//! Flatten: no launch at all, since a sample's numbers lie in a row anyway.

use super::{At, Lower, Saved};
use crate::net::layers::Flatten;
use crate::plan::graph::{Graph, Value};

impl Lower for Flatten {
    fn forward(&self, _: &mut Graph<'_>, _: &At<'_>, x: Value) -> Saved {
        Saved { input: x, output: x, kept: x }
    }

    fn backward(&self, _: &mut Graph<'_>, _: &At<'_>, _: &Saved, dy: Value, _: bool) -> Option<Value> {
        Some(dy)
    }
}
