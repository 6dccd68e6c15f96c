//! The nets whose steps, launch by launch, are every operation there is. Their sizes divide nothing.

use crate::data::Dataset;
use crate::device::Device;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::kernels::augmentation_forward::{AugmentationForward, Elastic};
use crate::kernels::gaussian_noise_forward::GaussianNoiseForward;
use crate::kernels::hash::Draws;
use crate::model::Model;
use crate::net::activation::Activation;
use crate::net::constraints::Constraint;
use crate::net::layers::{BatchNormalization, Dense, Dropout, FillMode, LayerNormalization, Prelu, Rescaling};
use crate::net::losses::{Loss, LossFunction};
use crate::net::metrics::Metric;
use crate::net::optimizers::{Adadelta, Adagrad, Adam, Adamax, Clip, Ftrl, Lion, Nadam, Optimizer, RmsProp, Sgd};
use crate::net::regularizers::Regularizer;
use crate::net::sequential::Sequential;
use crate::random::Random;

/// How large a net is: the batch, samples for one whole batch and a part of one, and what widths are multiplied with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub batch: usize,
    pub samples: usize,
    pub width: usize,
}

/// For a quick examination, and what a whole one has besides.
pub(super) const SCALES: [Scale; 3] = [
    Scale { batch: 11, samples: 16, width: 1 },
    Scale { batch: 1, samples: 2, width: 2 },
    Scale { batch: 129, samples: 162, width: 7 },
];

/// A net with what it is trained on.
#[derive(Clone, Copy)]
pub(super) struct Net {
    pub name: &'static str,
    build: fn(&Device, usize) -> Result<Model>,
    data: fn(Scale) -> Result<Dataset>,
}

impl Net {
    pub fn model(&self, device: &Device, scale: Scale) -> Result<Model> {
        (self.build)(device, scale.width)
    }

    pub fn data(&self, scale: Scale) -> Result<Dataset> {
        (self.data)(scale)
    }
}

/// Together they have every operation that a plan can have.
pub(super) const NETS: [Net; 8] = [
    Net { name: "clipped", build: clipped, data: classes },
    Net { name: "normalized", build: normalized, data: bytes },
    Net { name: "frozen", build: frozen, data: weighted },
    Net { name: "riding RMSprop", build: riding_rmsprop, data: classes },
    Net { name: "riding Adam", build: riding_adam, data: classes },
    Net { name: "Adagrad", build: adagrad, data: classes },
    Net { name: "measured", build: measured, data: classes },
    Net { name: "constrained", build: constrained, data: rows },
];

/// What a whole examination has besides: the rules of the other optimizers and the formulas of the other losses, which the
/// same operations take.
pub(super) const MORE: [Net; 15] = [
    Net { name: "riding Nadam", build: |device, width| riding(device, width, Nadam::default()), data: classes },
    Net { name: "riding Lion", build: |device, width| riding(device, width, Lion::default()), data: classes },
    Net { name: "riding Adamax", build: |device, width| riding(device, width, Adamax::default()), data: classes },
    Net { name: "riding Adadelta", build: |device, width| riding(device, width, Adadelta::default()), data: classes },
    Net { name: "riding Ftrl", build: |device, width| riding(device, width, Ftrl::default()), data: classes },
    Net { name: "riding SGD", build: riding_sgd, data: classes },
    Net { name: "KL divergence", build: |device, width| between(device, width, Loss::KlDivergence), data: classes },
    Net {
        name: "categorical hinge",
        build: |device, width| between(device, width, Loss::CategoricalHinge),
        data: classes,
    },
    Net {
        name: "cosine similarity",
        build: |device, width| between(device, width, Loss::CosineSimilarity),
        data: shares,
    },
    Net { name: "Poisson", build: |device, width| between(device, width, Loss::Poisson), data: shares },
    Net {
        name: "absolute error",
        build: |device, width| between(device, width, Loss::MeanAbsoluteError),
        data: shares,
    },
    Net {
        name: "logarithmic error",
        build: |device, width| between(device, width, Loss::MeanSquaredLogarithmicError),
        data: shares,
    },
    Net { name: "log cosh", build: |device, width| between(device, width, Loss::LogCosh), data: shares },
    Net { name: "hinge", build: |device, width| between(device, width, Loss::Hinge), data: signs },
    Net { name: "squared hinge", build: |device, width| between(device, width, Loss::SquaredHinge), data: signs },
];

/// The net whose products are computed by one tiling after the other.
pub(super) const PRODUCTS: Net = Net { name: "products", build: products, data: rows };

/// Operations that no layer makes a launch of yet, with the features of their rows.
pub(super) fn alone() -> Vec<(Kernel, usize)> {
    let (columns, draws) = (11, Draws { seed: 5, layer: 2 });
    let noise = GaussianNoiseForward { columns, deviation: 0.5, draws };
    vec![(noise.into(), columns), (augmentation(draws).into(), 2 * 5 * 3)]
}

/// Images of five by three pixels, changed in every way.
fn augmentation(draws: Draws) -> AugmentationForward {
    AugmentationForward {
        size: [5, 3],
        channels: 2,
        translation: [1.0, 1.0],
        rotation: 0.1,
        zoom: 0.2,
        shear: [0.1, 0.1],
        elastic: Some(Elastic { amplitude: 1.0, nodes_a_pixel: 0.3 }),
        cutout: [2, 1],
        fill_mode: FillMode::Reflect,
        fill_value: 0.5,
        draws,
    }
}

const FEATURES: usize = 13;
const CLASSES: usize = 5;

fn numbers(count: usize, stream: u64) -> Vec<f32> {
    let mut random = Random::new(1, stream);
    (0..count).map(|_| random.uniform(-1.0, 1.0)).collect()
}

fn classes(scale: Scale) -> Result<Dataset> {
    let ids = (0..scale.samples).map(|sample| (sample * 3 % CLASSES) as u8).collect();
    Dataset::from_classes(numbers(scale.samples * FEATURES, 0), FEATURES, ids, CLASSES)
}

fn bytes(scale: Scale) -> Result<Dataset> {
    let pixels = (0..scale.samples * FEATURES).map(|at| (at * 37 % 251) as u8).collect();
    let ids = (0..scale.samples).map(|sample| (sample * 7 % 3) as u8).collect();
    Dataset::from_images(pixels, FEATURES, ids, 3)
}

fn rows(scale: Scale) -> Result<Dataset> {
    let (inputs, targets) = (numbers(scale.samples * FEATURES, 0), numbers(scale.samples * CLASSES, 1));
    Dataset::from_rows(inputs, FEATURES, targets, CLASSES)
}

/// Targets from 0 to 1.
fn shares(scale: Scale) -> Result<Dataset> {
    with_targets(scale, f32::abs)
}

/// Targets of −1 and 1.
fn signs(scale: Scale) -> Result<Dataset> {
    with_targets(scale, f32::signum)
}

fn with_targets(scale: Scale, target: fn(f32) -> f32) -> Result<Dataset> {
    let targets = numbers(scale.samples * CLASSES, 1).into_iter().map(target).collect();
    Dataset::from_rows(numbers(scale.samples * FEATURES, 0), FEATURES, targets, CLASSES)
}

fn weighted(scale: Scale) -> Result<Dataset> {
    let weights = (0..scale.samples).map(|sample| 0.5 + (sample % 4) as f32).collect();
    rows(scale)?.with_sample_weights(weights)
}

fn clipped(device: &Device, width: usize) -> Result<Model> {
    let optimizer = RmsProp::default().centered(true).momentum(0.5).clip(Clip::GlobalNorm(0.5));
    Sequential::new(FEATURES)
        .add(Dense::new(21 * width).activation(Activation::Relu).kernel_regularizer(Regularizer::l1_l2(0.01, 0.02)))
        .add(Dense::new(9 * width).activation(Activation::Gelu))
        .add(Dense::new(CLASSES).activation(Activation::Softmax))
        .compile(device, optimizer, LossFunction::from(Loss::CategoricalCrossentropy).label_smoothing(0.1))
}

fn normalized(device: &Device, width: usize) -> Result<Model> {
    Sequential::new(FEATURES)
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(Dense::new(10 * width).use_bias(false))
        .add(BatchNormalization::new())
        .add(Activation::Elu(0.7))
        .add(Dropout::new(0.3))
        .add(Rescaling::new(0.5))
        .add(Prelu::new())
        .add(Dense::new(7 * width).activation(Activation::Softmax))
        .add(LayerNormalization::new())
        .add(Dense::new(3).activation(Activation::Sigmoid))
        .compile(device, Adam::default().clip(Clip::Norm(0.5)).weight_decay(0.01), Loss::BinaryCrossentropy)
}

fn frozen(device: &Device, width: usize) -> Result<Model> {
    let optimizer = Sgd::default().momentum(0.9).nesterov(true).gradient_accumulation_steps(2);
    Sequential::new(FEATURES)
        .add(Dense::new(7 * width).activation(Activation::Tanh))
        .add(BatchNormalization::new().trainable(false))
        .add(Dense::new(6 * width).activation(Activation::Relu))
        .add(Dense::new(CLASSES))
        .compile(device, optimizer, Loss::MeanSquaredError)
}

fn riding(device: &Device, width: usize, optimizer: impl Into<Optimizer>) -> Result<Model> {
    Sequential::new(FEATURES)
        .add(Dense::new(17 * width).activation(Activation::Relu))
        .add(Dense::new(CLASSES).activation(Activation::Softmax))
        .compile(device, optimizer, Loss::CategoricalCrossentropy)
}

fn riding_rmsprop(device: &Device, width: usize) -> Result<Model> {
    riding(device, width, RmsProp::default())
}

fn riding_adam(device: &Device, width: usize) -> Result<Model> {
    riding(device, width, Adam::default().clip(Clip::Value(0.01)))
}

fn adagrad(device: &Device, width: usize) -> Result<Model> {
    riding(device, width, Adagrad::default())
}

/// What both operations of metrics count.
fn measured(device: &Device, width: usize) -> Result<Model> {
    let mut model = riding(device, width, Sgd::default())?;
    model.set_metrics([Metric::ConfusionMatrix, Metric::Auc, Metric::TopKAccuracy(2), Metric::R2Score])?;
    Ok(model)
}

fn riding_sgd(device: &Device, width: usize) -> Result<Model> {
    riding(device, width, Sgd::default().momentum(0.9))
}

/// Outputs from 0 to 1.
fn between(device: &Device, width: usize, loss: Loss) -> Result<Model> {
    Sequential::new(FEATURES)
        .add(Dense::new(9 * width).activation(Activation::Tanh))
        .add(Dense::new(CLASSES).activation(Activation::Sigmoid))
        .compile(device, Sgd::default(), loss)
}

/// Weights within bounds, with their moving averages.
fn constrained(device: &Device, width: usize) -> Result<Model> {
    Sequential::new(FEATURES)
        .add(Dense::new(6 * width).kernel_constraint(Constraint::MaxNorm { max_value: 0.5 }))
        .add(Dense::new(CLASSES).kernel_constraint(Constraint::UnitNorm).bias_constraint(Constraint::NonNeg))
        .compile(device, Adam::default().use_ema(true), Loss::MeanSquaredError)
}

fn products(device: &Device, width: usize) -> Result<Model> {
    Sequential::new(FEATURES)
        .add(Dense::new(66 * width).activation(Activation::Relu))
        .add(Dense::new(35 * width).activation(Activation::Relu))
        .add(Dense::new(CLASSES))
        .compile(device, Sgd::default(), Loss::MeanSquaredError)
}
