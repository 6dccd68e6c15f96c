//! Which tilings are worth compiling for a product, as far as earlier products tell. The first of each kind is tried
//! with all of them; those after it with what was not far behind there, or in another operation of the same precision
//! and size.

use std::collections::{BTreeMap, BTreeSet};

use wgrad::kernels::product::Tiling;
use wgrad::kernels::storage::Precision;

use super::shapes::Operation;

/// Floating-point operations from which on a product is a large one: large tiles are then many.
pub const LARGE: f64 = 2e9;

/// Tilings that took this much longer than the best are not tried again.
const FAR_BEHIND: f64 = 1.4;

/// What products are taken to be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    pub operation: Operation,
    pub precision: Precision,
    pub large: bool,
}

/// What is known so far.
#[derive(Debug, Default)]
pub struct Learned {
    tried: BTreeSet<Kind>,
    close: BTreeMap<(Precision, bool), Vec<Tiling>>,
}

impl Learned {
    /// Of all tilings, the default first, those to be tried.
    pub fn worth_trying(&self, kind: Kind, all: Vec<Tiling>) -> Vec<Tiling> {
        if !self.tried.contains(&kind) {
            return all;
        }
        let close = self.close.get(&(kind.precision, kind.large)).map_or(&[][..], Vec::as_slice);
        let kept = all.iter().enumerate().filter(|(index, tiling)| *index == 0 || close.contains(tiling));
        kept.map(|(_, &tiling)| tiling).collect()
    }

    /// Takes note of a product's tilings and how many times as long as the best each took.
    pub fn learn(&mut self, kind: Kind, times: impl Iterator<Item = (Tiling, f64)>) {
        self.tried.insert(kind);
        let close = self.close.entry((kind.precision, kind.large)).or_default();
        for (tiling, time) in times {
            if time <= FAR_BEHIND && !close.contains(&tiling) {
                close.push(tiling);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_far_behind_is_not_tried_again() {
        let tiling = |rows| Tiling::Direct { rows, columns: 1, workgroup: 64 };
        let kind = Kind { operation: Operation::Forward, precision: Precision::F32, large: false };
        let all = || (1..5).map(tiling).collect::<Vec<_>>();
        let mut learned = Learned::default();
        assert_eq!(learned.worth_trying(kind, all()), all());
        learned.learn(
            kind,
            [(tiling(1), 3.0), (tiling(2), 1.0), (tiling(3), 1.3), (tiling(4), f64::INFINITY)].into_iter(),
        );
        // The default is always tried.
        assert_eq!(learned.worth_trying(kind, all()), [tiling(1), tiling(2), tiling(3)]);
        for other in [Kind { large: true, ..kind }, Kind { operation: Operation::Weights, ..kind }] {
            assert_eq!(learned.worth_trying(other, all()), all());
        }
        let weights = Kind { operation: Operation::Weights, ..kind };
        learned.learn(weights, [(tiling(4), 1.0)].into_iter());
        assert_eq!(learned.worth_trying(weights, all()), all());
    }
}
