//! mean_squared_error: the mean over the outputs of (y − t)², with the gradient.

use super::Definition;
use super::loss::{self, Formula, LossOperation, RowLoss};
use super::targets::TargetLayout;

/// The parameters of `mean_squared_error`.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanSquaredError {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl LossOperation for MeanSquaredError {
    const DEFINITION: Definition = Definition {
        name: "mean_squared_error",
        source: include_str!("../../shaders/mean_squared_error.wgsl"),
        bindings: &loss::BINDINGS,
    };

    fn rows(&self) -> RowLoss {
        RowLoss { formula: Formula::MeanSquaredError, targets: self.targets, gradient: self.gradient }
    }
}
