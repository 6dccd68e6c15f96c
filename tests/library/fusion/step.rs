//! One training step of a drawn net in f64, layer after layer as the formulas have it, with how far rounding may move every
//! parameter and every number of the optimizer's. It knows no plan and no launches.

use std::collections::BTreeMap;

use wgrad::kernels::adagrad::Adagrad;
use wgrad::kernels::adagrad_update::AdagradUpdate;
use wgrad::kernels::adam::Adam;
use wgrad::kernels::adam_update::AdamUpdate;
use wgrad::kernels::dropout_forward::DropoutForward;
use wgrad::kernels::hash::Draws;
use wgrad::kernels::rmsprop::Rmsprop;
use wgrad::kernels::rmsprop_update::RmspropUpdate;
use wgrad::kernels::sgd::Sgd;
use wgrad::kernels::sgd_update::SgdUpdate;
use wgrad::kernels::update::{Common, TENSOR_ALIGNMENT};
use wgrad::kernels::{Input, Kernel, Output, padded};
use wgrad::{Activation, Clip, Loss, Optimizer, Regularizer, StepBlock};

use super::nets::{Drawn, EPSILON, MOMENTUM, Net};
use super::rounding::{EXPONENTIAL, Matrix, UNIT, sum_error};

/// What scales gradients in half precision to begin with.
const LOSS_SCALE: f64 = 32_768.0;

/// Units of a change that an update's dozen operations may be off by, and of a value: see `tests/kernels/harness/updates.rs`.
const CHANGE: f64 = 48.0;
const VALUE: f64 = 4.0;

/// Tensors by name, each number with how far off it may be.
pub type Expected = BTreeMap<String, Vec<(f64, f64)>>;

/// The numbers of a layer between its forward and its backward pass.
struct Trace {
    input: Matrix,
    /// What the activation is applied to, and what it makes of it.
    z: Matrix,
    y: Matrix,
}

/// The gradient of one tensor, and what its size costs.
struct Gradient {
    name: String,
    numbers: Vec<f64>,
    errors: Vec<f64>,
    regularizer: Regularizer,
}

/// Parameters by name, as they are before the step.
pub type Parameters = BTreeMap<String, Vec<f32>>;

/// One tensor's gradient, with its penalty, and the numbers that it is of.
struct Tensor {
    name: String,
    w: Vec<f64>,
    gradient: Vec<f64>,
    errors: Vec<f64>,
}

impl Net {
    /// What one step makes of these parameters, by name; `None` where a gradient is beyond half precision's range.
    pub fn step(&self, parameters: &Parameters, half: bool) -> Option<Expected> {
        let (inputs, targets) = self.samples(self.rows);
        let x = Matrix::exact(self.features(), &inputs);
        let mut expected = Expected::new();
        for (name, numbers) in parameters {
            expected.insert(name.clone(), numbers.iter().map(|&w| (f64::from(w), 0.0)).collect());
        }
        let traces = self.forward(x, parameters, half);
        self.move_averages(&traces, parameters, &mut expected);
        let logits = self.stripped().and_then(|index| traces.get(index)).or(traces.last())?;
        let outputs = if self.stripped().is_some() { &logits.z } else { &logits.y };
        let dy = self.loss_gradient(outputs, &targets).stored(half, LOSS_SCALE);
        let (gradients, within) = self.backward(&traces, parameters, dy, half);
        (within || !half).then(|| {
            self.update(gradients, parameters, &mut expected);
            expected
        })
    }

    /// The layer whose activation the loss takes upon itself.
    fn stripped(&self) -> Option<usize> {
        let last = self.layers.iter().rposition(|layer| !matches!(layer, Drawn::Flatten))?;
        (self.loss.loss != Loss::MeanSquaredError && !self.loss.from_logits).then_some(last)
    }

    /// From the last layer with parameters on, values are in single precision whatever the others are in: a Dense always.
    fn last_with_parameters(&self) -> usize {
        self.layers.iter().rposition(|layer| matches!(layer, Drawn::Dense { .. })).unwrap_or(0)
    }

    /// Every layer's numbers.
    fn forward(&self, x: Matrix, parameters: &Parameters, half: bool) -> Vec<Trace> {
        let mut traces: Vec<Trace> = Vec::new();
        let mut input = x;
        for (index, (layer, name)) in self.layers.iter().zip(self.names()).enumerate() {
            let half = half && index < self.last_with_parameters();
            let z = match *layer {
                Drawn::Dense { units, .. } => {
                    input.with_ones().times(&weights(parameters, &name, units)).stored(half, 1.0)
                }
                Drawn::Rescaling { scale, offset } => {
                    let (scale, offset) = (f64::from(scale), f64::from(offset));
                    let own = |y: f64| 2.0 * UNIT * (y.abs() + (y - offset).abs());
                    input.map(|x| scale * x + offset, own).stored(half, 1.0)
                }
                Drawn::Dropout { rate } => self.dropped(&input, rate, index).stored(half, 1.0),
                Drawn::Normalization { batch, trained, .. } => {
                    Norm { parameters, name: &name, batch, trained }.forward(&input).stored(half, 1.0)
                }
                Drawn::Activation(_) | Drawn::Flatten => input.clone(),
            };
            let y = match (activation(layer), self.stripped() == Some(index)) {
                (Activation::Linear, _) | (_, true) => z.clone(),
                (activation, false) => activated(activation, &z).stored(half, 1.0),
            };
            traces.push(Trace { input, z, y: y.clone() });
            input = y;
        }
        traces
    }

    /// Dropout of x, or of the gradient, for it is the same.
    fn dropped(&self, x: &Matrix, rate: f32, layer: usize) -> Matrix {
        let draws = Draws { seed: 0, layer: layer as u32 };
        let kernel: Kernel = DropoutForward { columns: x.columns, rate, draws }.into();
        // Batches before this one.
        let batch = u32::from(self.shows_gradients());
        let step = StepBlock { rows: x.rows as u32, batch, ..StepBlock::default() };
        let stride = padded(x.columns);
        let mut factors = vec![0.0; padded(x.rows) * stride];
        let ones = vec![1.0; factors.len()];
        kernel.reference(&step, &[Input::Floats(&ones)], &mut [Output::Floats(&mut factors)]);
        let factors: Vec<f64> =
            (0..x.values.len()).map(|at| factors[at / x.columns * stride + at % x.columns]).collect();
        let errors = x.errors.iter().zip(&x.values).zip(&factors);
        Matrix {
            values: x.values.iter().zip(&factors).map(|(x, factor)| x * factor).collect(),
            errors: errors.map(|((error, x), factor)| factor * (error + 2.0 * UNIT * x.abs())).collect(),
            ..*x
        }
    }

    /// What batch normalizations keep of the batch.
    fn move_averages(&self, traces: &[Trace], parameters: &Parameters, expected: &mut Expected) {
        for ((layer, name), trace) in self.layers.iter().zip(self.names()).zip(traces) {
            let Drawn::Normalization { batch: true, trained: true, .. } = layer else { continue };
            let (m, count) = (f64::from(MOMENTUM), trace.input.rows as f64);
            let found = trace.input.transposed().map_rows(|_, x| {
                let mean = x.iter().sum::<f64>() / count;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                let (error, size) = (sum_error(x.len()), x.iter().map(|x| x.abs()).sum::<f64>() / count);
                vec![(mean, error * size), (variance, 2.0 * error * variance + (error * size).powi(2))]
            });
            for (part, what) in ["moving_mean", "moving_variance"].into_iter().enumerate() {
                let name = format!("{name}.{what}");
                let moved = parameters[&name].iter().enumerate().map(|(column, &before)| {
                    let (before, at) = (f64::from(before), 2 * column + part);
                    let (new, error) = (found.values[at], found.errors[at]);
                    let size = before.abs() + new.abs();
                    (m * before + (1.0 - m) * new, (1.0 - m) * error + 4.0 * UNIT * size)
                });
                expected.insert(name, moved.collect());
            }
        }
    }

    /// The gradient of the mean over the batch.
    fn loss_gradient(&self, outputs: &Matrix, targets: &[f32]) -> Matrix {
        let (weights, smoothing) = (self.weights(self.rows), f64::from(self.loss.label_smoothing));
        let (rows, width) = (self.rows as f64, outputs.columns as f64);
        let sharers = if self.loss.loss == Loss::BinaryCrossentropy { 2.0 } else { width };
        outputs.map_rows(|row, z| {
            let weight = f64::from(weights[row]) / rows;
            let targets =
                targets[row * z.len()..].iter().map(|&t| f64::from(t) * (1.0 - smoothing) + smoothing / sharers);
            let targets: Vec<_> = targets.take(z.len()).collect();
            match self.loss.loss {
                Loss::CategoricalCrossentropy => {
                    let sum: f64 = targets.iter().sum();
                    let slope = |((p, own), t): ((f64, f64), &f64)| {
                        (weight * (p * sum - t), weight * (sum * (own + sum_error(z.len()) * p) + 8.0 * UNIT * t))
                    };
                    softmax(z).into_iter().zip(&targets).map(slope).collect()
                }
                Loss::BinaryCrossentropy => {
                    let slope = |(z, t): (&f64, &f64)| {
                        (
                            weight / width * (Activation::Sigmoid.activate(*z) - t),
                            weight / width * (EXPONENTIAL + 8.0 * UNIT * t),
                        )
                    };
                    z.iter().zip(&targets).map(slope).collect()
                }
                _ => {
                    let slope = |(y, t): (&f64, &f64)| {
                        (2.0 * weight / width * (y - t), 16.0 * UNIT * weight / width * (y.abs() + t))
                    };
                    z.iter().zip(&targets).map(slope).collect()
                }
            }
        })
    }

    /// The gradients of all trained layers, and whether all of activations are within half precision's range.
    fn backward(&self, traces: &[Trace], parameters: &Parameters, loss: Matrix, half: bool) -> (Vec<Gradient>, bool) {
        let (mut dy, mut gradients, mut largest) = (loss, Vec::new(), 0.0_f64);
        let layers = self.layers.iter().zip(self.names()).zip(traces);
        for (index, ((layer, name), trace)) in layers.enumerate().rev() {
            let sizes = dy.values.iter().zip(&dy.errors).map(|(value, error)| value.abs() + error);
            largest = sizes.fold(largest, f64::max);
            let stored = |numbers: Matrix| numbers.stored(half, LOSS_SCALE);
            if activation(layer) != Activation::Linear && self.stripped() != Some(index) {
                dy = stored(differentiated(activation(layer), trace, &dy));
            }
            dy = match *layer {
                Drawn::Dense { units, trained, bias, regularizers, .. } => {
                    if trained {
                        let all = trace.input.with_ones().transposed().times(&dy);
                        let tensors = [("kernel", all.without_last_row()), ("bias", all.last_row())];
                        let tensors = tensors.into_iter().zip(regularizers).take(1 + usize::from(bias));
                        gradients.extend(tensors.map(|((what, all), own)| Gradient::new(&name, what, all, own)));
                    }
                    let weights = weights(parameters, &name, units);
                    stored(dy.times(&weights.without_last_row().transposed()))
                }
                Drawn::Rescaling { scale, .. } => {
                    stored(dy.map(|dy| f64::from(scale) * dy, |dx| 2.0 * UNIT * dx.abs()))
                }
                Drawn::Dropout { rate } => stored(self.dropped(&dy, rate, index)),
                Drawn::Normalization { batch, trained, gamma, beta } => {
                    let norm = Norm { parameters, name: &name, batch, trained };
                    let sums = [("gamma", gamma, norm.along(&trace.input, &dy)), ("beta", beta, dy.sums())];
                    let sums = sums.into_iter().filter(|(_, wanted, _)| trained && *wanted);
                    gradients.extend(sums.map(|(what, _, all)| Gradient::new(&name, what, all, Regularizer::NONE)));
                    stored(norm.backward(&trace.input, &dy))
                }
                Drawn::Activation(_) | Drawn::Flatten => dy,
            };
        }
        (gradients, largest * LOSS_SCALE < 50_000.0)
    }

    /// Penalties, clipping and the optimizer's update.
    fn update(&self, gradients: Vec<Gradient>, parameters: &Parameters, expected: &mut Expected) {
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

/// A Dense's kernel, with its bias as one more row.
fn weights(parameters: &Parameters, name: &str, units: usize) -> Matrix {
    let bias = parameters.get(&format!("{name}.bias")).cloned().unwrap_or(vec![0.0; units]);
    Matrix::exact(units, &[parameters[&format!("{name}.kernel")].as_slice(), &bias].concat())
}

/// A normalization, over the batch or over the features.
struct Norm<'a> {
    parameters: &'a Parameters,
    name: &'a str,
    batch: bool,
    trained: bool,
}

impl Norm<'_> {
    /// A tensor of the layer's, or as many of these numbers.
    fn tensor(&self, what: &str, columns: usize, otherwise: f64) -> Vec<f64> {
        let numbers = self.parameters.get(&format!("{}.{what}", self.name));
        numbers.map_or(vec![otherwise; columns], |numbers| numbers.iter().map(|&x| f64::from(x)).collect())
    }

    /// Where the averages serve, the factor of each column and what is added; what the latter is made of.
    fn frozen(&self, columns: usize) -> Option<[Vec<f64>; 3]> {
        if !self.batch || self.trained {
            return None;
        }
        let (gamma, beta) = (self.tensor("gamma", columns, 1.0), self.tensor("beta", columns, 0.0));
        let (mean, variance) = (self.tensor("moving_mean", columns, 0.0), self.tensor("moving_variance", columns, 1.0));
        let factors: Vec<_> = gamma
            .iter()
            .zip(variance)
            .map(|(gamma, variance)| gamma / (variance + f64::from(EPSILON)).sqrt())
            .collect();
        let moved: Vec<_> = factors.iter().zip(mean).map(|(factor, mean)| factor * mean).collect();
        let terms = beta.iter().zip(&moved).map(|(beta, moved)| beta - moved).collect();
        let sizes = beta.iter().zip(&moved).map(|(beta, moved)| beta.abs() + moved.abs()).collect();
        Some([factors, terms, sizes])
    }

    fn standardized(&self, x: &Matrix) -> Matrix {
        let epsilon = f64::from(EPSILON);
        if self.batch { x.transposed().standardized(epsilon).transposed() } else { x.standardized(epsilon) }
    }

    fn forward(&self, x: &Matrix) -> Matrix {
        if let Some([factors, terms, sizes]) = self.frozen(x.columns) {
            return x.affine(&factors, &terms, &sizes);
        }
        let beta = self.tensor("beta", x.columns, 0.0);
        let sizes: Vec<_> = beta.iter().map(|beta| beta.abs()).collect();
        self.standardized(x).affine(&self.tensor("gamma", x.columns, 1.0), &beta, &sizes)
    }

    /// γ's gradient.
    fn along(&self, x: &Matrix, dy: &Matrix) -> Matrix {
        let y = self.standardized(x);
        y.zip(dy, |y, dy| y * dy, |_, product| UNIT * product.abs()).sums()
    }

    fn backward(&self, x: &Matrix, dy: &Matrix) -> Matrix {
        let (zeros, epsilon) = (vec![0.0; x.columns], f64::from(EPSILON));
        if let Some([factors, ..]) = self.frozen(x.columns) {
            return dy.affine(&factors, &zeros, &zeros);
        }
        let dy = dy.affine(&self.tensor("gamma", x.columns, 1.0), &zeros, &zeros);
        match self.batch {
            true => dy.transposed().before_standardizing(&x.transposed(), epsilon).transposed(),
            false => dy.before_standardizing(x, epsilon),
        }
    }
}

fn activation(layer: &Drawn) -> Activation {
    match *layer {
        Drawn::Dense { activation, .. } | Drawn::Activation(activation) => activation,
        _ => Activation::Linear,
    }
}

/// A row's softmax, each number with what computing it adds.
fn softmax(z: &[f64]) -> Vec<(f64, f64)> {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (sum, count) = (z.iter().map(|z| (z - largest).exp()).sum::<f64>(), z.len());
    let of = |z: &f64| {
        let y = (z - largest).exp() / sum;
        (y, y * (2.0 * sum_error(count) + (24.0 + 5.0 * (largest - z)) * UNIT))
    };
    z.iter().map(of).collect()
}

fn activated(activation: Activation, z: &Matrix) -> Matrix {
    match activation {
        Activation::Softmax => z.map_rows(|_, row| softmax(row)),
        Activation::Relu | Activation::LeakyRelu(_) => z.map(|z| activation.activate(z), |y| UNIT * y.abs()),
        _ => z.map(|z| activation.activate(z), |y| 2.0 * EXPONENTIAL * (1.0 + y.abs())),
    }
}

/// dy times the derivative.
fn differentiated(activation: Activation, trace: &Trace, dy: &Matrix) -> Matrix {
    if activation == Activation::Softmax {
        let width = dy.columns;
        return dy.beside(&trace.y).map_rows(|_, both| {
            let (dy, y) = both.split_at(width);
            let terms = dy.iter().zip(y).map(|(dy, y)| dy * y);
            let (sum, size) = terms.fold((0.0, 0.0_f64), |all, term| (all.0 + term, all.1 + term.abs()));
            let own = |dy: f64, y: f64| (sum_error(width) * size + 4.0 * UNIT * dy.abs()) * y;
            dy.iter().zip(y).map(|(&dy, &y)| (y * (dy - sum), own(dy, y))).collect()
        });
    }
    let kept = if activation.keeps_input() { &trace.z } else { &trace.y };
    let own = match activation {
        Activation::Relu | Activation::LeakyRelu(_) => UNIT,
        _ => 4.0 * EXPONENTIAL,
    };
    kept.zip(dy, |kept, dy| activation.derivative(kept) * dy, move |dy, _| own * dy.abs())
}

impl Gradient {
    fn new(layer: &str, what: &str, all: Matrix, regularizer: Regularizer) -> Self {
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
        let entry = [0.0, decay, 1.0, factor, 0.0, 0.0, 0.0, 0.0];
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
        _ => 0.0,
    })
}

fn first_step(optimizer: &Optimizer) -> StepBlock {
    let (beta_1_power, beta_2_power) = match optimizer {
        Optimizer::Adam(o) => (o.beta_1, o.beta_2),
        Optimizer::AdamW(o) => (o.beta_1, o.beta_2),
        _ => (1.0, 1.0),
    };
    StepBlock { learning_rate: optimizer.learning_rate(), beta_1_power, beta_2_power, ..StepBlock::default() }
}

/// The update of all parameters, and its slots with what they start from; without a name where they are not used.
fn rule(optimizer: &Optimizer, common: Common) -> (Kernel, Vec<(&'static str, f64)>) {
    let used = |name: &'static str, used: bool| (if used { name } else { "" }, 0.0);
    match optimizer.clone() {
        Optimizer::RmsProp(o) => {
            let rule = Rmsprop { rho: o.rho, momentum: o.momentum, epsilon: o.epsilon, centered: o.centered };
            let slots =
                [used("velocity", true), used("average_gradient", o.centered), used("momentum", o.momentum > 0.0)];
            (RmspropUpdate { common, rule }.into(), slots.to_vec())
        }
        Optimizer::Sgd(o) => {
            let rule = Sgd { momentum: o.momentum, nesterov: o.nesterov };
            (SgdUpdate { common, rule }.into(), vec![used("momentum", o.momentum > 0.0)])
        }
        Optimizer::Adam(o) => adam(common, [o.beta_1, o.beta_2, o.epsilon]),
        Optimizer::AdamW(o) => adam(common, [o.beta_1, o.beta_2, o.epsilon]),
        Optimizer::Adagrad(o) => {
            let slots = vec![("accumulator", f64::from(o.initial_accumulator_value))];
            (AdagradUpdate { common, rule: Adagrad { epsilon: o.epsilon } }.into(), slots)
        }
        _ => unreachable!("an optimizer that nets are drawn with"),
    }
}

fn adam(common: Common, [beta_1, beta_2, epsilon]: [f32; 3]) -> (Kernel, Vec<(&'static str, f64)>) {
    let rule = Adam { beta_1, beta_2, epsilon };
    (AdamUpdate { common, rule }.into(), vec![("mean", 0.0), ("velocity", 0.0)])
}
