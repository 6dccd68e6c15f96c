//! Nets drawn at random, with the batch that they are trained on for a step: every kind of layer, activation, loss,
//! optimizer and clipping that there is, in any order that makes sense.

use wgrad::{
    Activation, Adadelta, Adagrad, Adam, AdamW, Adamax, Augmentation, BatchNormalization, Clip, Dataset, Dense,
    Dropout, Flatten, GaussianNoise, LayerNormalization, Loss, LossFunction, Nadam, Optimizer, Prelu, Regularizer,
    Rescaling, RmsProp, Sequential, Sgd,
};

use crate::common::numbers;

/// A layer as it was drawn; the library's own keep their settings to themselves.
#[derive(Clone, Debug)]
pub enum Drawn {
    Dense { units: usize, activation: Activation, bias: bool, trained: bool, regularizers: [Regularizer; 2] },
    Activation(Activation),
    Flatten,
    Rescaling { scale: f32, offset: f32 },
    Dropout { rate: f32 },
    Noise { stddev: f32 },
    Augmentation,
    Prelu { trained: bool, regularizer: Regularizer },
    Normalization { batch: bool, gamma: bool, beta: bool, trained: bool },
}

impl Drawn {
    /// Without a kink in its activation.
    fn smooth(&mut self) {
        let (Drawn::Dense { activation, .. } | Drawn::Activation(activation)) = self else { return };
        if matches!(
            activation,
            Activation::Relu | Activation::LeakyRelu(_) | Activation::Elu(_) | Activation::ReluWith { .. }
        ) {
            *activation = Activation::Softplus;
        }
    }
}

/// A net and its batch.
#[derive(Clone, Debug)]
pub struct Net {
    pub seed: u64,
    pub shape: [usize; 2],
    pub layers: Vec<Drawn>,
    pub loss: LossFunction,
    pub optimizer: Optimizer,
    /// Rows of the batch, and how many there may be.
    pub rows: usize,
    pub capacity: usize,
    /// Class ids, or rows of numbers.
    pub ids: bool,
    pub weighted: bool,
}

pub const ACTIVATIONS: [Activation; 12] = [
    Activation::Linear,
    Activation::Relu,
    Activation::LeakyRelu(0.2),
    Activation::Elu(0.7),
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Gelu,
    Activation::Softplus,
    Activation::Softmax,
    Activation::RELU6,
    Activation::GeluExact,
];

/// How much of its averages a batch normalization keeps, and what both normalizations add to variances, as Keras has it.
pub const MOMENTUM: f32 = 0.9;
pub const EPSILON: f32 = 1e-3;

/// SGD shows gradients as they are where its learning rate is 1: w before less w after.
fn showing() -> Sgd {
    Sgd::default().learning_rate(1.0)
}

/// α and σ of augmentations.
pub const ELASTIC: [f32; 2] = [10.0, 3.0];

/// The widths of layers: every remainder of four, and one less and one more than the edges of tiles.
const WIDTHS: [usize; 16] = [1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 31, 33, 64, 100, 129, 300];

/// Of the last layer: on both sides of what `dense_loss` takes.
const OUTPUTS: [usize; 8] = [1, 2, 3, 5, 10, 12, 32, 33];

const ROWS: [usize; 9] = [1, 2, 3, 5, 31, 32, 33, 64, 67];

/// Numbers drawn one by one.
struct Draws {
    numbers: Vec<f32>,
    next: usize,
}

impl Draws {
    fn below(&mut self, count: usize) -> usize {
        self.next += 1;
        let number = f64::from(self.numbers[self.next]) / 2.0 + 0.5;
        ((number * count as f64) as usize).min(count - 1)
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

impl Drawn {
    /// Its name's beginning.
    fn type_name(&self) -> &'static str {
        match self {
            Drawn::Dense { .. } => "dense",
            Drawn::Activation(_) => "activation",
            Drawn::Flatten => "flatten",
            Drawn::Rescaling { .. } => "rescaling",
            Drawn::Dropout { .. } => "dropout",
            Drawn::Noise { .. } => "gaussian_noise",
            Drawn::Augmentation => "augmentation",
            Drawn::Prelu { .. } => "prelu",
            Drawn::Normalization { batch: true, .. } => "batch_normalization",
            Drawn::Normalization { .. } => "layer_normalization",
        }
    }
}

impl Net {
    /// The names of the layers: type and ordinal among those of its type.
    pub fn names(&self) -> Vec<String> {
        let ordinal = |index: usize| {
            let (name, before) = (self.layers[index].type_name(), &self.layers[..index]);
            format!("{name}_{}", before.iter().filter(|layer| layer.type_name() == name).count())
        };
        (0..self.layers.len()).map(ordinal).collect()
    }

    /// The net of this seed. In half precision batches have a few rows, so that no gradient is beyond its range, and no
    /// activation has a kink: of so many numbers, some would stand too close to it to say on which side they end, and then
    /// what is expected is open. (Kinks in half precision are the kernels' own trials' matter.)
    pub fn draw(seed: u64, half: bool) -> Self {
        let mut draws = Draws { numbers: numbers(400, seed), next: 0 };
        let mut layers = Vec::new();
        if draws.once_in(3) {
            layers.push(rescaling(&mut draws));
        }
        let shape = draws.of(&[[1, 1], [1, 2], [1, 7], [3, 4], [1, 33], [5, 13], [1, 130], [14, 14]]);
        if !layers.is_empty() || draws.once_in(3) {
            layers.push(Drawn::Flatten);
        }
        for _ in 0..draws.below(4) {
            hidden(&mut draws, &mut layers);
        }
        let loss = ending(&mut draws, &mut layers);
        if half {
            // PReLU has a kink too.
            layers.retain(|layer| !matches!(layer, Drawn::Prelu { .. }));
            layers.iter_mut().for_each(Drawn::smooth);
        }
        let rows = draws.of(if half { &ROWS[3..] } else { &ROWS });
        let capacity = rows + draws.of(&[0, 0, 1, 6]);
        let (ids, weighted) = (draws.once_in(2), draws.once_in(3));
        let optimizer = optimizer(&mut draws);
        if draws.once_in(5) {
            // A Dense that is not the first layer does not flatten its input.
            let flatten = matches!(layers[0], Drawn::Dense { .. }).then_some(Drawn::Flatten);
            layers.splice(0..0, [Drawn::Augmentation].into_iter().chain(flatten));
        }
        Net { seed, shape, layers, loss, optimizer, rows, capacity, ids, weighted }
    }

    /// Whether updates show gradients as they are, and the optimizer keeps nothing.
    pub fn shows_gradients(&self) -> bool {
        matches!(&self.optimizer, Optimizer::Sgd(sgd) if sgd.clone().clip(Clip::None) == showing())
    }

    pub fn description(&self) -> Sequential {
        self.layers.iter().fold(Sequential::new(self.shape), |net, layer| match *layer {
            Drawn::Dense { units, activation, bias, trained, regularizers: [kernel, of_bias] } => net.add(
                Dense::new(units)
                    .activation(activation)
                    .use_bias(bias)
                    .trainable(trained)
                    .kernel_regularizer(kernel)
                    .bias_regularizer(of_bias),
            ),
            Drawn::Activation(activation) => net.add(activation),
            Drawn::Flatten => net.add(Flatten),
            Drawn::Rescaling { scale, offset } => net.add(Rescaling::new(scale).offset(offset)),
            Drawn::Dropout { rate } => net.add(Dropout::new(rate)),
            Drawn::Noise { stddev } => net.add(GaussianNoise::new(stddev)),
            Drawn::Augmentation => net.add(
                Augmentation::new()
                    .translation(0.3, 0.2)
                    .zoom(0.2)
                    .shear(0.1, 0.0)
                    .elastic(ELASTIC[0], ELASTIC[1])
                    .cutout(0.4, 0.3),
            ),
            Drawn::Prelu { trained, regularizer } => {
                net.add(Prelu::new().trainable(trained).alpha_regularizer(regularizer))
            }
            Drawn::Normalization { batch: true, gamma, beta, trained } => {
                net.add(BatchNormalization::new().momentum(MOMENTUM).scale(gamma).center(beta).trainable(trained))
            }
            Drawn::Normalization { gamma, beta, trained, .. } => {
                net.add(LayerNormalization::new().scale(gamma).center(beta).trainable(trained))
            }
        })
    }

    pub fn features(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Outputs of the last layer.
    pub fn outputs(&self) -> usize {
        let units = self.layers.iter().rev().find_map(|layer| match layer {
            Drawn::Dense { units, .. } => Some(*units),
            _ => None,
        });
        units.unwrap_or(self.features())
    }

    /// Inputs, which half precision holds as they are, and targets; ids as one-hot rows.
    pub fn samples(&self, rows: usize) -> (Vec<f32>, Vec<f32>) {
        let (features, outputs) = (self.features(), self.outputs());
        let inputs = numbers(rows * features, self.seed + 1000).iter().map(|x| (128.0 * x).round() / 128.0).collect();
        let mut targets: Vec<f32> = numbers(rows * outputs, self.seed + 2000).iter().map(|t| 0.5 + 0.5 * t).collect();
        if self.loss.loss == Loss::CategoricalCrossentropy {
            for row in targets.chunks_exact_mut(outputs) {
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|target| *target /= sum);
            }
        }
        if !self.ids {
            return (inputs, targets);
        }
        let ids = self.class_ids(rows);
        let one_hot =
            |id: u32| (0..outputs as u32).map(move |c| f32::from(u8::from(id == c.max(u32::from(outputs == 1)))));
        (inputs, ids.into_iter().flat_map(one_hot).collect())
    }

    fn class_ids(&self, rows: usize) -> Vec<u32> {
        let classes = self.outputs().max(2) as f32;
        numbers(rows, self.seed + 3000).iter().map(|x| ((0.5 + 0.5 * x) * classes) as u32).collect()
    }

    /// The weights of samples.
    pub fn weights(&self, rows: usize) -> Vec<f32> {
        if self.weighted { numbers(rows, self.seed + 4000).iter().map(|x| x.abs()).collect() } else { vec![1.0; rows] }
    }

    pub fn dataset(&self, rows: usize) -> wgrad::Result<Dataset> {
        let (inputs, targets) = self.samples(rows);
        let data = match self.ids {
            true => Dataset::from_classes(inputs, self.features(), self.class_ids(rows), self.outputs().max(2)),
            false => Dataset::from_rows(inputs, self.features(), targets, self.outputs()),
        }?;
        if self.weighted { data.with_sample_weights(self.weights(rows)) } else { Ok(data) }
    }
}

fn rescaling(draws: &mut Draws) -> Drawn {
    let (scale, offset) = draws.of(&[(0.5, 0.25), (-1.3, 0.1), (1.0 / 3.0, 0.0)]);
    Drawn::Rescaling { scale, offset }
}

fn dense(draws: &mut Draws, units: usize, activation: Activation) -> Drawn {
    let regularizers = [
        draws.of(&[Regularizer::NONE, Regularizer::l1(0.01), Regularizer::l2(0.02), Regularizer::l1_l2(0.01, 0.03)]),
        draws.of(&[Regularizer::NONE, Regularizer::NONE, Regularizer::l2(0.05), Regularizer::l1(0.02)]),
    ];
    Drawn::Dense { units, activation, bias: !draws.once_in(3), trained: !draws.once_in(4), regularizers }
}

/// A layer below the last, with what may follow it.
fn hidden(draws: &mut Draws, layers: &mut Vec<Drawn>) {
    let (units, inside, apart) = (draws.of(&WIDTHS), draws.of(&ACTIVATIONS), draws.of(&ACTIVATIONS));
    let inside = if draws.once_in(3) { Activation::Linear } else { inside };
    layers.push(dense(draws, units, inside));
    if draws.once_in(6) {
        layers.push(rescaling(draws));
    }
    if draws.once_in(4) {
        let (batch, trained) = (draws.once_in(2), !draws.once_in(4));
        layers.push(Drawn::Normalization { batch, gamma: !draws.once_in(3), beta: !draws.once_in(3), trained });
    }
    if draws.once_in(2) {
        layers.push(Drawn::Activation(apart));
    }
    if draws.once_in(6) {
        let regularizer = draws.of(&[Regularizer::NONE, Regularizer::l1_l2(0.02, 0.01)]);
        layers.push(Drawn::Prelu { trained: !draws.once_in(3), regularizer });
    }
    if draws.once_in(6) {
        layers.push(Drawn::Noise { stddev: draws.of(&[0.0, 0.3]) });
    }
    if draws.once_in(4) {
        layers.push(Drawn::Dropout { rate: draws.of(&[0.0, 0.25, 0.6]) });
    }
    if draws.once_in(6) {
        layers.push(Drawn::Flatten);
    }
}

/// The last layer, and the loss that fits it.
fn ending(draws: &mut Draws, layers: &mut Vec<Drawn>) -> LossFunction {
    let loss = draws.of(&[Loss::CategoricalCrossentropy, Loss::BinaryCrossentropy, Loss::MeanSquaredError]);
    let units = draws.of(if loss == Loss::CategoricalCrossentropy { &OUTPUTS[1..] } else { &OUTPUTS });
    let (before, smoothing) = (draws.of(&ACTIVATIONS), draws.of(&[0.0, 0.1]));
    let own = match loss {
        Loss::CategoricalCrossentropy => Activation::Softmax,
        Loss::BinaryCrossentropy => Activation::Sigmoid,
        _ => {
            layers.push(dense(draws, units, before));
            if draws.once_in(3) {
                layers.push(Drawn::Activation(draws.of(&ACTIVATIONS)));
            }
            return loss.into();
        }
    };
    match draws.below(4) {
        0 => layers.extend([dense(draws, units, before), Drawn::Activation(own), Drawn::Flatten]),
        1 => layers.extend([dense(draws, units, Activation::Linear), Drawn::Activation(own)]),
        2 => {
            layers.push(dense(draws, units, Activation::Linear));
            return loss.from_logits().label_smoothing(smoothing);
        }
        _ => layers.push(dense(draws, units, own)),
    }
    loss.label_smoothing(smoothing)
}

/// Every other time the one that shows gradients.
fn optimizer(draws: &mut Draws) -> Optimizer {
    let clip = draws.of(&[Clip::None, Clip::Value(0.01), Clip::Norm(0.1), Clip::GlobalNorm(0.2)]);
    if draws.once_in(2) {
        return Sgd { clip, ..showing() }.into();
    }
    let weight_decay = draws.of(&[0.0, 0.1]);
    let rmsprop = RmsProp { learning_rate: 0.01, weight_decay, clip, epsilon: 1e-3, ..RmsProp::default() };
    let sgd = Sgd { learning_rate: 0.1, momentum: 0.9, weight_decay, clip, ..Sgd::default() };
    draws.of(&[
        rmsprop.clone().into(),
        rmsprop.clone().momentum(0.5).into(),
        rmsprop.momentum(0.5).centered(true).into(),
        sgd.clone().into(),
        sgd.nesterov(true).into(),
        Adam { learning_rate: 0.01, epsilon: 1e-3, weight_decay, clip, ..Adam::default() }.into(),
        AdamW { learning_rate: 0.01, epsilon: 1e-3, clip, ..AdamW::default() }.into(),
        Adagrad { learning_rate: 0.1, epsilon: 1e-3, weight_decay, clip, ..Adagrad::default() }.into(),
        Adam { learning_rate: 0.01, epsilon: 1e-3, clip, amsgrad: true, ..Adam::default() }.into(),
        Nadam { learning_rate: 0.01, epsilon: 1e-3, weight_decay, clip, ..Nadam::default() }.into(),
        Adamax { learning_rate: 0.01, epsilon: 1e-3, weight_decay, clip, ..Adamax::default() }.into(),
        Adadelta { learning_rate: 0.5, epsilon: 1e-3, weight_decay, clip, ..Adadelta::default() }.into(),
    ])
}
