//! What is trained: a net, a batch size and samples of the right shape.

use wgrad::mnist::{self, Loader};
use wgrad::{Activation, Dataset, Dense, Device, Loss, Model, Result, RmsProp, Sequential};

/// One layer of a net.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub units: usize,
    pub activation: Activation,
}

/// A net on MNIST's 784 pixels, trained with RMSprop and categorical cross-entropy.
#[derive(Clone, Debug)]
pub struct Workload {
    pub name: String,
    pub layers: Vec<Layer>,
    pub batch_size: usize,
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

    /// Hidden layers with ReLU before ten classes.
    pub fn with_hidden(name: &str, hidden: &[usize], batch_size: usize) -> Self {
        let mut layers: Vec<_> = hidden.iter().map(|&units| Layer { units, activation: Activation::Relu }).collect();
        layers.push(Layer { units: 10, activation: Activation::Softmax });
        Workload { name: name.into(), layers, batch_size }
    }

    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.units)
    }

    /// `784-512-10`.
    pub fn shape(&self) -> String {
        let units = self.layers.iter().map(|layer| format!("-{}", layer.units));
        units.fold(mnist::PIXELS.to_string(), |text, units| text + &units)
    }

    pub fn compile(&self, device: &Device) -> Result<Model> {
        let add = |net: Sequential, layer: &Layer| net.add(Dense::new(layer.units).activation(layer.activation));
        let net = self.layers.iter().fold(Sequential::new(mnist::PIXELS), add);
        net.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)
    }
}

/// Samples, and where they come from.
pub struct Data {
    pub train: Dataset,
    pub source: String,
}

/// The first `samples` samples of MNIST, where it is at hand and fits, else made-up ones: the arithmetic is the same.
pub fn load(samples: usize, classes: usize) -> Result<Data> {
    let found = (classes == 10).then(|| Loader::new().offline().load().ok()).flatten();
    match found {
        Some(mnist) if mnist.train.len() >= samples => {
            Ok(Data { train: mnist.train.take(samples), source: "MNIST".into() })
        }
        _ => Ok(Data { train: made_up(samples, classes)?, source: "made up".into() }),
    }
}

/// Pixels and classes from a generator whose period is far longer than any set: Knuth's 64-bit multiplier.
fn made_up(samples: usize, classes: usize) -> Result<Dataset> {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let pixels: Vec<u8> = (0..samples * mnist::PIXELS).map(|_| next() as u8).collect();
    let classes_of: Vec<u32> = (0..samples).map(|_| next() % classes as u32).collect();
    let inputs = wgrad::data::Inputs::Bytes { values: pixels.into(), scale: 1.0 / 255.0 };
    Dataset::new(inputs, mnist::PIXELS, wgrad::data::Targets::Classes { ids: classes_of.into(), classes })
}
