//! What is trained: a net, a batch size and samples of the right shape.

use std::str::FromStr;

use wgrad::data::{Inputs, Targets};
use wgrad::mnist::{self, Loader};
use wgrad::{
    Activation, Adam, BatchNormalization, Dataset, Dense, Device, Dropout, LayerNormalization, Loss, Model, Optimizer,
    Result, RmsProp, Sequential,
};

/// One layer of a net.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub units: usize,
    pub activation: Activation,
}

/// A net and how it is trained: one output is a sigmoid under binary cross-entropy, several are a softmax under the
/// categorical one.
#[derive(Clone, Debug)]
pub struct Workload {
    pub name: String,
    pub inputs: usize,
    pub layers: Vec<Layer>,
    pub batch_size: usize,
    /// Adam in place of RMSprop, both as Keras has them by default.
    pub adam: bool,
    /// What stands in each hidden layer beside product and activation.
    pub between: Option<Between>,
    /// Batches of an update.
    pub accumulate: u32,
}

/// A layer that is added to each hidden one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Behind the activation, a fifth of the numbers.
    Dropout,
    /// Before the activation.
    BatchNorm,
    /// Before the activation.
    LayerNorm,
}

impl FromStr for Between {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name {
            "dropout" => Ok(Between::Dropout),
            "batch_norm" => Ok(Between::BatchNorm),
            "layer_norm" => Ok(Between::LayerNorm),
            _ => Err(format!("expected dropout, batch_norm or layer_norm, found {name:?}")),
        }
    }
}

impl Workload {
    /// The classic tutorial's.
    pub fn tutorial() -> Self {
        Self::with_hidden("tutorial", &[512], 128)
    }

    /// One that the matrix product decides.
    pub fn wide() -> Self {
        Self::with_hidden("wide", &[2048, 2048], 4096)
    }

    /// Nets and batches so small that a step is microseconds, with Adam.
    pub fn small() -> [Self; 4] {
        let net = |name: &str, inputs, hidden: &[usize], outputs, batch_size| Workload {
            name: name.into(),
            inputs,
            layers: layers(hidden, outputs),
            batch_size,
            adam: true,
            between: None,
            accumulate: 1,
        };
        [
            net("small-2", 2, &[8], 1, 4),
            net("small-4", 4, &[64, 64], 2, 32),
            net("small-16", 16, &[128, 128], 4, 256),
            net("single", mnist::PIXELS, &[512], 10, 1),
        ]
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        [Self::tutorial(), Self::wide()].into_iter().chain(Self::small()).collect()
    }

    /// A net on MNIST's 784 pixels: hidden layers with ReLU before ten classes.
    pub fn with_hidden(name: &str, hidden: &[usize], batch_size: usize) -> Self {
        let (name, layers) = (name.into(), layers(hidden, 10));
        Workload { name, inputs: mnist::PIXELS, layers, batch_size, adam: false, between: None, accumulate: 1 }
    }

    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.units)
    }

    /// `784-512-10`.
    pub fn shape(&self) -> String {
        let units = self.layers.iter().map(|layer| format!("-{}", layer.units));
        units.fold(self.inputs.to_string(), |text, units| text + &units)
    }

    pub fn compile(&self, device: &Device) -> Result<Model> {
        let hidden = self.layers.len().saturating_sub(1);
        let net = self.layers.iter().enumerate().fold(Sequential::new(self.inputs), |net, (index, layer)| {
            self.add(net, layer, self.between.filter(|_| index < hidden))
        });
        let optimizer = match self.adam {
            true => Optimizer::from(Adam::default().gradient_accumulation_steps(self.accumulate)),
            false => RmsProp::default().gradient_accumulation_steps(self.accumulate).into(),
        };
        let loss = if self.outputs() == 1 { Loss::BinaryCrossentropy } else { Loss::CategoricalCrossentropy };
        net.compile(device, optimizer, loss)
    }

    fn add(&self, net: Sequential, layer: &Layer, between: Option<Between>) -> Sequential {
        let dense = Dense::new(layer.units);
        match between {
            None => net.add(dense.activation(layer.activation)),
            Some(Between::Dropout) => net.add(dense.activation(layer.activation)).add(Dropout::new(0.2)),
            Some(Between::BatchNorm) => net.add(dense).add(BatchNormalization::new()).add(layer.activation),
            Some(Between::LayerNorm) => net.add(dense).add(LayerNormalization::new()).add(layer.activation),
        }
    }
}

/// Hidden layers with ReLU before as many outputs.
fn layers(hidden: &[usize], outputs: usize) -> Vec<Layer> {
    let last = if outputs == 1 { Activation::Sigmoid } else { Activation::Softmax };
    let hidden = hidden.iter().map(|&units| Layer { units, activation: Activation::Relu });
    hidden.chain([Layer { units: outputs, activation: last }]).collect()
}

/// Samples, and where they come from.
pub struct Data {
    pub train: Dataset,
    pub source: String,
}

/// The first `samples` samples of MNIST, where it is at hand and fits, else made-up ones: the arithmetic is the same.
pub fn load(samples: usize, workload: &Workload) -> Result<Data> {
    let (inputs, outputs) = (workload.inputs, workload.outputs());
    let fits = (inputs, outputs) == (mnist::PIXELS, 10);
    let found = fits.then(|| Loader::new().offline().load().ok()).flatten();
    match found {
        Some(mnist) if mnist.train.len() >= samples => {
            Ok(Data { train: mnist.train.take(samples), source: "MNIST".into() })
        }
        _ => Ok(Data { train: made_up(samples, inputs, outputs)?, source: "made up".into() }),
    }
}

/// Features and classes from a generator whose period is far longer than any set: Knuth's 64-bit multiplier. Pixels are
/// bytes, features of other nets floats, and the one target of a single output is 0 or 1.
fn made_up(samples: usize, inputs: usize, outputs: usize) -> Result<Dataset> {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let features: Vec<u8> = (0..samples * inputs).map(|_| next() as u8).collect();
    let scale = 1.0 / 255.0;
    let features = match inputs {
        mnist::PIXELS => Inputs::Bytes { values: features.into(), scale },
        _ => Inputs::Floats(features.iter().map(|&byte| scale * f32::from(byte)).collect()),
    };
    let targets = match outputs {
        1 => Targets::Rows { values: (0..samples).map(|_| (next() % 2) as f32).collect(), width: 1 },
        classes => Targets::Classes { ids: (0..samples).map(|_| next() % classes as u32).collect(), classes },
    };
    Dataset::new(features, inputs, targets)
}
