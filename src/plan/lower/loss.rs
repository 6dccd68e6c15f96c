//! The loss: what a batch costs row by row, and the gradient of what it is computed from.

use crate::kernels::loss::{LossOperation, RowLoss};
use crate::kernels::output_loss::OutputLoss;
use crate::kernels::softmax_cross_entropy::SoftmaxCrossEntropy;
use crate::kernels::targets::TargetLayout;
use crate::kernels::{Kernel, padded};
use crate::net::losses::Loss;
use crate::plan::graph::{Graph, Value};
use crate::plan::{Argument, Mode, Phase};

/// How targets are seen.
pub(super) fn target_layout(graph: &Graph<'_>) -> TargetLayout {
    let loss = graph.recipe.loss;
    let columns = graph.recipe.layout.outputs();
    let smoothing = if graph.key.mode == Mode::Train { loss.label_smoothing } else { 0.0 };
    TargetLayout {
        ids: graph.key.format.target_ids.unwrap_or(false),
        columns,
        smoothing,
        smoothing_share: smoothing / loss.loss.smoothing_sharers(columns) as f32,
    }
}

/// Launches the loss on the outputs; returns their gradient, and the rows' figures.
pub(super) fn loss(graph: &mut Graph<'_>, outputs: Value, labels: Argument) -> (Value, Argument) {
    let (targets, gradient) = (target_layout(graph), graph.key.mode == Mode::Train);
    let kernel: Kernel = match graph.recipe.loss.loss {
        Loss::CategoricalCrossentropy => SoftmaxCrossEntropy { targets, gradient }.into(),
        loss => OutputLoss { loss, targets, gradient }.into(),
    };
    let rows = graph.local("rows", 2 * padded(graph.key.capacity));
    let down = graph.gradient("loss.gradient", targets.columns);
    let label = graph.recipe.loss.loss.to_string();
    graph.launch(Phase::Loss, label, kernel, &[graph.step, outputs, labels, down, rows]);
    (down, rows)
}

/// The loss that a launch computes, if it computes one.
pub(in crate::plan) fn row_loss(kernel: &Kernel) -> Option<RowLoss> {
    match kernel {
        Kernel::SoftmaxCrossEntropy(loss) => Some(loss.rows()),
        Kernel::OutputLoss(loss) => Some(loss.rows()),
        _ => None,
    }
}
