//! Metrics that the loss does not count along: launches that read the outputs and the labels, where some are asked for.

use super::{At, activation_forward, loss};
use crate::kernels::count_answers::CountAnswers;
use crate::kernels::sum_errors::SumErrors;
use crate::kernels::targets::TargetLayout;
use crate::plan::graph::{Graph, Value};
use crate::plan::{Argument, Phase, STATISTICS_SLOTS};

/// Launches what the model's metrics need, if they need anything, on what the loss is computed from.
pub(super) fn metrics(graph: &mut Graph<'_>, places: &[At<'_>], computed: Value, labels: Argument) {
    let counted = graph.recipe.counted;
    if graph.key.metrics == 0 || counted.is_free() {
        return;
    }
    let targets = TargetLayout { smoothing: 0.0, smoothing_share: 0.0, ..loss::target_layout(graph) };
    // The loss takes the last activation upon itself; values want it, the order of outputs does without.
    let stripped = places.iter().find(|at| at.stripped && counted.needs_values());
    let outputs = stripped.map_or(computed, |at| {
        let activation = graph.recipe.model.layers[at.index as usize].activation();
        activation_forward(graph, at, activation, computed)
    });
    let words = counted.tables.words(targets.columns);
    if words > 0 {
        let counts = graph.local("counts", words);
        let kernel = CountAnswers { targets, tables: counted.tables.clone(), threshold: counted.threshold };
        graph.launch(Phase::Loss, "metrics.answers", kernel, &[graph.step, outputs, labels, counts]);
        graph.counts = Some(counts);
    }
    if counted.groups > 0 {
        graph.slot = SumErrors::slot(counted.groups);
        let kernel = SumErrors { targets, groups: counted.groups, slots: STATISTICS_SLOTS };
        let arguments = [graph.step, outputs, labels, graph.statistics()];
        graph.launch(Phase::Loss, "metrics.errors", kernel, &arguments);
    }
}
