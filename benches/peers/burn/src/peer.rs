//! The net, its optimizer and the loops.

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer, RmsPropConfig};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use crate::data::{CLASSES, PIXELS, Random, Samples};
use crate::measure::{Arguments, Peer};

const EVALUATION_BATCH: usize = 1024;
const LEARNING_RATE: f64 = 1e-3;

#[derive(Module, Debug)]
pub struct Net {
    layers: Vec<Linear>,
}

impl Net {
    fn new(hidden: &[usize], device: &Device) -> Self {
        let mut widths = vec![PIXELS];
        widths.extend(hidden);
        widths.push(CLASSES);
        let layer = |pair: &[usize]| {
            let initializer = Initializer::XavierUniform { gain: 1.0 };
            LinearConfig::new(pair[0], pair[1]).with_initializer(initializer).init(device)
        };
        Net { layers: widths.windows(2).map(layer).collect() }
    }

    /// The logits.
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        for layer in &self.layers[..last] {
            x = activation::relu(layer.forward(x));
        }
        self.layers[last].forward(x)
    }
}

pub struct BurnPeer {
    device: Device,
    net: Option<Net>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    x: Tensor<2>,
    y: Tensor<1, Int>,
    samples: usize,
    batch_size: usize,
    random: Random,
}

impl BurnPeer {
    pub fn new(samples: &Samples, arguments: &Arguments, plain: &Device) -> Self {
        let device = plain.clone().autodiff();
        let count = samples.classes.len();
        // Keras's settings; burn's own defaults differ.
        let optimizer = RmsPropConfig::new().with_alpha(0.9).with_momentum(0.0).with_epsilon(1e-7).init();
        BurnPeer {
            net: Some(Net::new(&arguments.hidden, &device)),
            optimizer,
            loss: CrossEntropyLossConfig::new().init(&device),
            x: Tensor::from_data(TensorData::new(samples.pixels.clone(), [count, PIXELS]), &device),
            y: Tensor::from_data(TensorData::new(samples.classes.clone(), [count]), &device),
            samples: count,
            batch_size: arguments.batch_size,
            random: Random(2),
            device,
        }
    }

    /// An update; returns the batch's mean loss and its correct answers, both still on the device.
    fn step(&mut self, index: Tensor<1, Int>) -> (Tensor<1>, Tensor<1, Int>) {
        let x = self.x.clone().select(0, index.clone());
        let y = self.y.clone().select(0, index);
        let net = self.net.take().expect("there is a net between steps");
        let logits = net.forward(x);
        let loss = self.loss.forward(logits.clone(), y.clone());
        let correct = correct(logits.detach(), y);
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        self.net = Some(self.optimizer.step(LEARNING_RATE, net, gradients));
        (loss.detach(), correct)
    }

    fn wait(&self) {
        self.device.sync().expect("the device works");
    }

    fn indexes(&self, values: Vec<i32>) -> Tensor<1, Int> {
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &self.device)
    }

    fn epoch(&mut self) -> (f64, f64) {
        let mut order: Vec<i32> = (0..self.samples as i32).collect();
        self.random.shuffle(&mut order);
        let order = self.indexes(order);
        let steps = self.samples / self.batch_size;
        let (mut loss_sum, mut correct_sum) = (None, None);
        for step in 0..steps {
            let start = step * self.batch_size;
            let (loss, correct) = self.step(order.clone().slice([start..start + self.batch_size]));
            loss_sum = Some(loss_sum.map_or(loss.clone(), |sum: Tensor<1>| sum + loss));
            correct_sum = Some(correct_sum.map_or(correct.clone(), |sum: Tensor<1, Int>| sum + correct));
        }
        let loss: f32 = loss_sum.expect("at least one step").into_scalar();
        let correct: i64 = correct_sum.expect("at least one step").into_scalar();
        (f64::from(loss) / steps as f64, correct as f64 / self.samples as f64)
    }
}

impl Peer for BurnPeer {
    fn first_step(&mut self) {
        let (loss, _) = self.step(self.indexes((0..self.batch_size as i32).collect()));
        // Reading it waits for everything that it depends on; the update is waited for as well.
        let _: f32 = loss.into_scalar();
        self.wait();
    }

    /// Loss and accuracy of the last epoch.
    fn epochs(&mut self, count: usize) -> (f64, Option<f64>) {
        let mut result = (0.0, 0.0);
        for _ in 0..count {
            result = self.epoch();
        }
        self.wait();
        (result.0, Some(result.1))
    }

    fn evaluate(&mut self) -> (f64, Option<f64>) {
        let net = self.net.as_ref().expect("there is a net between steps").valid();
        let (x, y) = (self.x.clone().inner(), self.y.clone().inner());
        let (mut loss_sum, mut correct_sum) = (0.0, 0);
        let mut parts = Vec::new();
        for start in (0..self.samples).step_by(EVALUATION_BATCH) {
            let end = (start + EVALUATION_BATCH).min(self.samples);
            let logits = net.forward(x.clone().slice([start..end, 0..PIXELS]));
            let y = y.clone().slice([start..end]);
            parts.push((self.loss.forward(logits.clone(), y.clone()), correct(logits, y), end - start));
        }
        // Read only now, so that no batch waits for the host.
        for (loss, correct, rows) in parts {
            loss_sum += f64::from(loss.into_scalar::<f32>()) * rows as f64;
            correct_sum += correct.into_scalar::<i64>();
        }
        (loss_sum / self.samples as f64, Some(correct_sum as f64 / self.samples as f64))
    }
}

/// How many rows are answered rightly.
fn correct(logits: Tensor<2>, y: Tensor<1, Int>) -> Tensor<1, Int> {
    logits.argmax(1).flatten::<1>(0, 1).equal(y).int().sum()
}
