//! What follows the gradients of a step, in f64: penalties, clipping, and the optimizer's update, by the reference of its
//! operation over all parameters.

use wgrad::kernels::adadelta::Adadelta;
use wgrad::kernels::adagrad::Adagrad;
use wgrad::kernels::adam::Adam;
use wgrad::kernels::adamax::Adamax;
use wgrad::kernels::ftrl::Ftrl;
use wgrad::kernels::lion::Lion;
use wgrad::kernels::nadam::Nadam;
use wgrad::kernels::optimizer_update::OptimizerUpdate;
use wgrad::kernels::rmsprop::Rmsprop;
use wgrad::kernels::sgd::Sgd;
use wgrad::kernels::update::{Common, Rule, TENSOR_ALIGNMENT};
use wgrad::kernels::{Input, Kernel, Output};
use wgrad::{Betas, Clip, Optimizer, Regularizer, StepBlock};

use super::nets::Net;
use super::rounding::{Matrix, UNIT, sum_error};
use super::step::{Expected, Parameters};

/// Units of a change that an update's dozen operations may be off by, and of a value: see `tests/kernels/harness/updates.rs`.
const CHANGE: f64 = 48.0;
const VALUE: f64 = 4.0;

/// The gradient of one tensor, and what its size costs.
pub struct Gradient {
    name: String,
    numbers: Vec<f64>,
    errors: Vec<f64>,
    regularizer: Regularizer,
}

/// One tensor's gradient, with its penalty, and the numbers that it is of.
struct Tensor {
    name: String,
    w: Vec<f64>,
    gradient: Vec<f64>,
    errors: Vec<f64>,
}

impl Net {
    /// Penalties, clipping and the optimizer's update.
    pub(super) fn update(&self, gradients: Vec<Gradient>, parameters: &Parameters, expected: &mut Expected) {
        let mut tensors: Vec<_> = gradients.into_iter().map(|gradient| gradient.penalised(parameters)).collect();
        let norms: Vec<_> = tensors.iter().map(Tensor::norm).collect();
        let all = norms.iter().fold((0.0_f64, 0.0_f64), |all, one| (all.0.hypot(one.0), all.1.max(one.1)));
        for (tensor, own) in tensors.iter_mut().zip(norms) {
            let (limit, (norm, error)) = match self.optimizer.clip() {
                Clip::Norm(limit) => (f64::from(limit), own),
                Clip::GlobalNorm(limit) => (f64::from(limit), all),
                Clip::None | Clip::Value(_) => (f64::INFINITY, own),
            };
            let factor = if norm < limit { 1.0 } else { limit / norm };
            if norm * (1.0 + error) >= limit {
                let numbers = tensor.errors.iter_mut().zip(&tensor.gradient);
                numbers.for_each(|(own, g)| *own += (error + 8.0 * UNIT) * g.abs());
            }
            tensor.updated(&self.optimizer, factor, expected);
        }
    }
}

impl Gradient {
    pub fn new(layer: &str, what: &str, all: Matrix, regularizer: Regularizer) -> Self {
        Gradient { name: format!("{layer}.{what}"), numbers: all.values, errors: all.errors, regularizer }
    }

    /// With what the penalty adds.
    fn penalised(self, parameters: &Parameters) -> Tensor {
        let Gradient { name, numbers, errors, regularizer } = self;
        let (l1, l2) = (f64::from(regularizer.l1), f64::from(regularizer.l2));
        let penalty = |w: f64| 2.0 * l2 * w + l1 * if w == 0.0 { 0.0 } else { w.signum() };
        let w: Vec<_> = parameters[&name].iter().map(|&w| f64::from(w)).collect();
        let gradient = numbers.iter().zip(&w).map(|(g, &w)| g + penalty(w)).collect();
        let errors = errors.iter().zip(&w).map(|(error, &w)| error + 4.0 * UNIT * penalty(w).abs()).collect();
        Tensor { name, w, gradient, errors }
    }
}

impl Tensor {
    /// The norm of the gradient, and its relative error.
    fn norm(&self) -> (f64, f64) {
        let norm = self.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let moved = self.gradient.iter().zip(&self.errors).map(|(g, error)| (g * error).powi(2)).sum::<f64>().sqrt();
        let own = sum_error(self.gradient.len());
        (norm, if norm > 0.0 { own + moved / norm.powi(2) } else { own })
    }

    /// Puts in what the update makes of the parameters and of the optimizer's numbers, from gradients as they are and as far
    /// off as they may be: within an interval so narrow every rule is monotone, or a parabola.
    fn updated(&self, optimizer: &Optimizer, factor: f64, expected: &mut Expected) {
        let after = |sign: f64| {
            let moved: Vec<_> = self.gradient.iter().zip(&self.errors).map(|(g, error)| g + sign * error).collect();
            self.applied(optimizer, factor, &moved)
        };
        let (less, exact, more) = (after(-1.0), after(0.0), after(1.0));
        let largest = |at: usize| exact.iter().map(|(_, values)| values[at].abs()).fold(self.w[at].abs(), f64::max);
        for (index, (slot, values)) in exact.iter().enumerate() {
            let numbers = values.iter().take(self.w.len()).enumerate().map(|(at, &value)| {
                let spread = (less[index].1[at] - value).abs().max((more[index].1[at] - value).abs());
                let before = if index == 0 { self.w[at] } else { 0.0 };
                (value, spread + UNIT * (VALUE * largest(at) + CHANGE * (value - before).abs()))
            });
            let name = if slot.is_empty() { self.name.clone() } else { format!("optimizer.{slot}.{}", self.name) };
            expected.insert(name, numbers.collect());
        }
    }

    /// The parameters, under no name, and the optimizer's numbers after an update with these gradients, penalties being in
    /// them.
    fn applied(&self, optimizer: &Optimizer, factor: f64, gradients: &[f64]) -> Vec<(&'static str, Vec<f64>)> {
        let length = gradients.len().next_multiple_of(TENSOR_ALIGNMENT);
        let padded = |values: &[f64]| [values, &vec![0.0; length - values.len()]].concat();
        let clip_value = if let Clip::Value(limit) = optimizer.clip() { limit } else { 0.0 };
        let (kernel, slots) = rule(optimizer, Common::all(length, clip_value));
        let decay = optimizer_decay(optimizer);
        // Penalties are in the gradient already.
        let entry = [0.0, decay, 1.0, factor, 0.0, 1.0, 0.0, 0.0];
        let (gradients, tensor_of) = (padded(gradients), vec![0; length / TENSOR_ALIGNMENT]);
        let mut outputs = vec![padded(&self.w)];
        outputs.extend(slots.iter().map(|&(name, first)| vec![first; if name.is_empty() { 4 } else { length }]));
        let inputs = [Input::Floats(&gradients), Input::Floats(&entry), Input::Words(&tensor_of)];
        let mut sinks: Vec<_> = outputs.iter_mut().map(|values| Output::Floats(values)).collect();
        kernel.reference(&first_step(optimizer), &inputs, &mut sinks);
        let named = std::iter::once("").chain(slots.iter().map(|(name, _)| *name)).zip(outputs);
        named.enumerate().filter(|(index, (name, _))| *index == 0 || !name.is_empty()).map(|(_, named)| named).collect()
    }
}

fn optimizer_decay(optimizer: &Optimizer) -> f64 {
    f64::from(match optimizer {
        Optimizer::RmsProp(o) => o.weight_decay,
        Optimizer::Sgd(o) => o.weight_decay,
        Optimizer::Adam(o) => o.weight_decay,
        Optimizer::AdamW(o) => o.weight_decay,
        Optimizer::Adagrad(o) => o.weight_decay,
        Optimizer::Nadam(o) => o.weight_decay,
        Optimizer::Lion(o) => o.weight_decay,
        Optimizer::Adamax(o) => o.weight_decay,
        Optimizer::Adadelta(o) => o.weight_decay,
        Optimizer::Ftrl(o) => o.weight_decay,
        _ => unreachable!("an optimizer that nets are drawn with"),
    })
}

fn first_step(optimizer: &Optimizer) -> StepBlock {
    let betas = match optimizer {
        Optimizer::Adam(o) => (o.beta_1, o.beta_2).into(),
        Optimizer::AdamW(o) => (o.beta_1, o.beta_2).into(),
        Optimizer::Adamax(o) => (o.beta_1, o.beta_2).into(),
        Optimizer::Nadam(o) => Betas { beta_1: o.beta_1, beta_2: o.beta_2, warmup_decay: 0.96 },
        _ => Betas::NONE,
    };
    StepBlock { learning_rate: optimizer.learning_rate(), ..StepBlock::default() }.after(0, 0, betas)
}

/// The update of all parameters, and its slots with what they start from; without a name where they are not used.
fn rule(optimizer: &Optimizer, common: Common) -> (Kernel, Vec<(&'static str, f64)>) {
    let used = |name: &'static str, used: bool| (if used { name } else { "" }, 0.0);
    let both = |names: [&'static str; 2]| names.map(|name| (name, 0.0)).to_vec();
    let (rule, slots): (Rule, _) = match optimizer.clone() {
        Optimizer::RmsProp(o) => {
            let rule = Rmsprop { rho: o.rho, momentum: o.momentum, epsilon: o.epsilon, centered: o.centered };
            let slots =
                [used("velocity", true), used("average_gradient", o.centered), used("momentum", o.momentum > 0.0)];
            (rule.into(), slots.to_vec())
        }
        Optimizer::Sgd(o) => {
            let rule = Sgd { momentum: o.momentum, nesterov: o.nesterov };
            (rule.into(), vec![used("momentum", o.momentum > 0.0)])
        }
        Optimizer::Adam(o) => adam([o.beta_1, o.beta_2, o.epsilon], o.amsgrad),
        Optimizer::AdamW(o) => adam([o.beta_1, o.beta_2, o.epsilon], o.amsgrad),
        Optimizer::Adagrad(o) => {
            (Adagrad { epsilon: o.epsilon }.into(), vec![("accumulator", f64::from(o.initial_accumulator_value))])
        }
        Optimizer::Nadam(o) => {
            let rule = Nadam { beta_1: o.beta_1, beta_2: o.beta_2, epsilon: o.epsilon };
            (rule.into(), both(["momentum", "velocity"]))
        }
        Optimizer::Lion(o) => (Lion { beta_1: o.beta_1, beta_2: o.beta_2 }.into(), vec![used("momentum", true)]),
        Optimizer::Adamax(o) => {
            let rule = Adamax { beta_1: o.beta_1, beta_2: o.beta_2, epsilon: o.epsilon };
            (rule.into(), both(["momentum", "norm"]))
        }
        Optimizer::Adadelta(o) => {
            let rule = Adadelta { rho: o.rho, epsilon: o.epsilon };
            (rule.into(), both(["accumulated_grad", "accumulated_delta_var"]))
        }
        Optimizer::Ftrl(o) => {
            let (l1, l2) = (o.l1_regularization_strength, o.l2_regularization_strength);
            let l2_shrinkage = o.l2_shrinkage_regularization_strength;
            let rule = Ftrl { power: -o.learning_rate_power, l1, l2, l2_shrinkage, beta: o.beta };
            (rule.into(), vec![("accumulator", f64::from(o.initial_accumulator_value)), ("linear", 0.0)])
        }
        _ => unreachable!("an optimizer that nets are drawn with"),
    };
    (OptimizerUpdate { common, rule }.into(), slots)
}

fn adam([beta_1, beta_2, epsilon]: [f32; 3], amsgrad: bool) -> (Rule, Vec<(&'static str, f64)>) {
    let names = ["mean", "velocity", "velocity_hat"].into_iter().take(if amsgrad { 3 } else { 2 });
    (Adam { beta_1, beta_2, epsilon, amsgrad }.into(), names.map(|name| (name, 0.0)).collect())
}
