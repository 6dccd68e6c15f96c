//! What follows the gradients: norms and penalties, the optimizer's update of all parameters, and the end of the step.

use crate::kernels::advance_step::{self, AdvanceStep};
use crate::kernels::average_weights::AverageWeights;
use crate::kernels::constrain::{Bounds, Constrain};
use crate::kernels::gradient_scales::GradientScales;
use crate::kernels::optimizer_update::OptimizerUpdate;
use crate::kernels::rmsprop_update::RmspropUpdate;
use crate::kernels::sum_squares::SumSquares;
use crate::kernels::update::{Common, Rule};
use crate::kernels::{Kernel, padded};
use crate::kernels::{adadelta, adagrad, adam, adamax, ftrl, lion, nadam, rmsprop, sgd};
use crate::layout::Tensor;
use crate::net::constraints::Constraint;
use crate::net::optimizers::{Clip, Optimizer};
use crate::plan::graph::Graph;
use crate::plan::{Argument, Mode, Phase, STATISTICS_SLOTS, Store};

/// The factors by which clipping by norm shrinks gradients, where there is such clipping.
pub(super) fn clip(graph: &mut Graph<'_>) {
    let (clip, global) = match graph.recipe.optimizer.clip() {
        Clip::Norm(limit) => (limit, false),
        Clip::GlobalNorm(limit) => (limit, true),
        Clip::None | Clip::Value(_) => return,
    };
    let gradients = graph.gradients();
    let sums = sum_squares(graph, "gradient_squares", true, gradients);
    let tensors = graph.recipe.layout.tensors.len();
    let ranges = graph.buffer("ranges", Store::Ranges, 2 * tensors);
    let arguments = [graph.step, sums, ranges, graph.tensors()];
    graph.launch(Phase::Reduce, "gradient_scales", GradientScales { tensors, clip, global }, &arguments);
}

/// The chunks of the penalty and their count: that of the parameters as they are before the update.
pub(super) fn penalties(graph: &mut Graph<'_>) -> (Argument, usize) {
    let penalised = graph.recipe.layout.tensors.iter().any(Tensor::is_penalised);
    if graph.key.mode != Mode::Train || !penalised {
        return (graph.local("no_penalties", 4), 0);
    }
    let parameters = graph.parameters();
    let sums = sum_squares(graph, "penalty", false, parameters);
    (sums, graph.recipe.layout.chunks().0.len())
}

/// Sums of squares over all chunks: the squares of the gradients, or the penalty, which has no use for gradients.
fn sum_squares(graph: &mut Graph<'_>, label: &str, of_gradients: bool, gradients: Argument) -> Argument {
    let chunks = graph.recipe.layout.chunks().0.len();
    let sums = graph.local(label, padded(chunks));
    let arguments = [
        graph.step,
        gradients,
        graph.parameters(),
        graph.tensors(),
        graph.buffer("chunks", Store::Chunks, 4 * chunks),
        sums,
    ];
    graph.launch(Phase::Reduce, label, SumSquares { chunks, of_gradients }, &arguments);
    sums
}

/// One update of all parameters.
pub(super) fn update(graph: &mut Graph<'_>) {
    let optimizer = graph.recipe.optimizer;
    let clip_value = if let Clip::Value(limit) = optimizer.clip() { limit } else { 0.0 };
    let common = Common::all(graph.recipe.layout.length, clip_value);
    let kernel: Kernel = match rule(optimizer) {
        Rule::Rmsprop(rule) => RmspropUpdate { common, rule }.into(),
        rule => OptimizerUpdate { common, rule }.into(),
    };
    let tensor_of = graph.recipe.layout.tensor_of().len();
    let mut arguments = vec![
        graph.step,
        graph.gradients(),
        graph.tensors(),
        graph.buffer("tensor_of", Store::TensorOf, tensor_of),
        graph.parameters(),
    ];
    arguments.extend(slots(graph));
    graph.launch(Phase::Update, "update", kernel, &arguments);
}

/// The optimizer's slots; of one that its settings do not use four words that nobody reads.
fn slots(graph: &mut Graph<'_>) -> Vec<Argument> {
    let layout = graph.recipe.layout;
    let mut arguments = Vec::new();
    for (index, slot) in graph.recipe.optimizer.rule_slots().iter().enumerate() {
        let whole = graph.buffer(slot.name, Store::Slot(index), layout.slot_length(slot.used));
        arguments.push(if slot.used { whole } else { Argument { words: 4, ..whole } });
    }
    arguments
}

fn rule(optimizer: &Optimizer) -> Rule {
    match optimizer {
        Optimizer::RmsProp(o) => {
            let (rho, momentum, epsilon, centered) = (o.rho, o.momentum, o.epsilon, o.centered);
            rmsprop::Rmsprop { rho, momentum, epsilon, centered }.into()
        }
        Optimizer::Sgd(o) => sgd::Sgd { momentum: o.momentum, nesterov: o.nesterov }.into(),
        Optimizer::Adam(o) => adams_rule((o.beta_1, o.beta_2), o.epsilon, o.amsgrad),
        Optimizer::AdamW(o) => adams_rule((o.beta_1, o.beta_2), o.epsilon, o.amsgrad),
        Optimizer::Adagrad(o) => adagrad::Adagrad { epsilon: o.epsilon }.into(),
        Optimizer::Nadam(o) => nadam::Nadam { beta_1: o.beta_1, beta_2: o.beta_2, epsilon: o.epsilon }.into(),
        Optimizer::Lion(o) => lion::Lion { beta_1: o.beta_1, beta_2: o.beta_2 }.into(),
        Optimizer::Adamax(o) => adamax::Adamax { beta_1: o.beta_1, beta_2: o.beta_2, epsilon: o.epsilon }.into(),
        Optimizer::Adadelta(o) => adadelta::Adadelta { rho: o.rho, epsilon: o.epsilon }.into(),
        Optimizer::Ftrl(o) => {
            let (l1, l2) = (o.l1_regularization_strength, o.l2_regularization_strength);
            let (l2_shrinkage, beta) = (o.l2_shrinkage_regularization_strength, o.beta);
            ftrl::Ftrl { power: -o.learning_rate_power, l1, l2, l2_shrinkage, beta }.into()
        }
    }
}

fn adams_rule((beta_1, beta_2): (f32, f32), epsilon: f32, amsgrad: bool) -> Rule {
    adam::Adam { beta_1, beta_2, epsilon, amsgrad }.into()
}

/// What an update of a range is told, if a launch is one.
pub(in crate::plan) fn common(kernel: &mut Kernel) -> Option<&mut Common> {
    match kernel {
        Kernel::RmspropUpdate(update) => Some(&mut update.common),
        Kernel::OptimizerUpdate(update) => Some(&mut update.common),
        _ => None,
    }
}

/// What an update of all parameters does, if a launch is one: its rule and its clipping by value.
pub(in crate::plan) fn updates(kernel: &Kernel) -> Option<(Rule, f32)> {
    let (rule, common) = match kernel {
        Kernel::RmspropUpdate(update) => (Rule::Rmsprop(update.rule.clone()), update.common),
        Kernel::OptimizerUpdate(update) => (update.rule.clone(), update.common),
        _ => return None,
    };
    Some((rule, common.clip_value))
}

/// The average of the weights moves with every batch, as Keras has it, and comes before constraints.
pub(super) fn average(graph: &mut Graph<'_>) {
    let (optimizer, layout) = (graph.recipe.optimizer, graph.recipe.layout);
    let (Some((momentum, overwrite)), Some(slot)) = (optimizer.average(), optimizer.average_slot()) else { return };
    let length = layout.length;
    let arguments = [
        graph.step,
        graph.tensors(),
        graph.buffer("tensor_of", Store::TensorOf, layout.tensor_of().len()),
        graph.parameters(),
        graph.buffer("average", Store::Slot(slot), length),
    ];
    graph.launch(Phase::Update, "average", AverageWeights { length, momentum, overwrite }, &arguments);
}

/// What holds tensors within their constraints, with every batch too.
pub(super) fn constrain(graph: &mut Graph<'_>) {
    let parameters = graph.parameters();
    let constrained = |tensor: &&Tensor| tensor.trainable && tensor.constraint != Constraint::None;
    for tensor in graph.recipe.layout.tensors.iter().filter(constrained) {
        let bounds = match tensor.constraint {
            Constraint::None => continue,
            Constraint::NonNeg => Bounds::NotNegative,
            Constraint::MaxNorm { max_value } => Bounds::Norm { low: 0.0, high: max_value, rate: 1.0 },
            Constraint::UnitNorm => Bounds::Norm { low: 1.0, high: 1.0, rate: 1.0 },
            Constraint::MinMaxNorm { min_value, max_value, rate } => {
                Bounds::Norm { low: min_value, high: max_value, rate }
            }
        };
        let is_vector = tensor.shape.len() == 1;
        let kernel =
            Constrain { rows: if is_vector { 1 } else { tensor.rows }, columns: tensor.columns, is_vector, bounds };
        let range = Argument { offset: tensor.offset, words: tensor.padded_length(), ..parameters };
        graph.launch(Phase::Update, format!("{}.constraint", tensor.name), kernel, &[graph.step, range]);
    }
}

/// Adds up the step's figures, and moves on.
pub(super) fn advance(graph: &mut Graph<'_>, rows: Argument, (penalties, count): (Argument, usize)) {
    let betas = graph.recipe.optimizer.betas();
    let (statistics, slot) = (graph.statistics(), graph.slot);
    let workgroup = advance_step::WORKGROUP;
    let kernel = AdvanceStep { penalties: count, slots: STATISTICS_SLOTS, slot, betas, workgroup };
    let arguments = [graph.step, rows, penalties, graph.next, statistics];
    graph.launch(Phase::Update, "advance_step", kernel, &arguments);
}
