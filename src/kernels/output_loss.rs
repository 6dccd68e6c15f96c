//! output_loss: a loss of outputs in memory, by any formula, with the gradient. Softmax cross-entropy has an operation of its
//! own.

use super::Definition;
use super::loss::{self, LossOperation, RowLoss};
use super::targets::TargetLayout;
use crate::net::losses::Loss;

/// The parameters of `output_loss`.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputLoss {
    /// Which loss.
    pub loss: Loss,
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl LossOperation for OutputLoss {
    const DEFINITION: Definition = Definition {
        name: "output_loss",
        source: include_str!("../../shaders/output_loss.wgsl"),
        bindings: &loss::BINDINGS,
    };

    fn rows(&self) -> RowLoss {
        RowLoss { loss: self.loss, targets: self.targets, gradient: self.gradient }
    }
}
