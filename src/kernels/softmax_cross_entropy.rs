//! softmax_cross_entropy: softmax and categorical cross-entropy from the logits, with the gradient.

use super::Definition;
use super::loss::{self, LossOperation, RowLoss};
use super::targets::TargetLayout;
use crate::net::losses::Loss;

/// The parameters of `softmax_cross_entropy`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxCrossEntropy {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl LossOperation for SoftmaxCrossEntropy {
    const DEFINITION: Definition = Definition {
        name: "softmax_cross_entropy",
        source: include_str!("../../shaders/softmax_cross_entropy.wgsl"),
        bindings: &loss::BINDINGS,
    };

    fn rows(&self) -> RowLoss {
        RowLoss { loss: Loss::CategoricalCrossentropy, targets: self.targets, gradient: self.gradient }
    }
}
