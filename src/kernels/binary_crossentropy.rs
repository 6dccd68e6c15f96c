//! binary_crossentropy: sigmoid and binary cross-entropy from the logits, with the gradient.

use super::Definition;
use super::loss::{self, Formula, LossOperation, RowLoss};
use super::targets::TargetLayout;

/// The parameters of `binary_crossentropy`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossentropy {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl LossOperation for BinaryCrossentropy {
    const DEFINITION: Definition = Definition {
        name: "binary_crossentropy",
        source: include_str!("../../shaders/binary_crossentropy.wgsl"),
        bindings: &loss::BINDINGS,
    };

    fn rows(&self) -> RowLoss {
        RowLoss { formula: Formula::BinaryCrossentropy, targets: self.targets, gradient: self.gradient }
    }
}
