//! The net and its training loop.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Linear, Module, loss};

use crate::data::{CLASSES, PIXELS, Random, Samples};
use crate::measure::{Arguments, Peer};
use crate::rmsprop::RmsProp;

const EVALUATION_BATCH: usize = 1024;

pub struct CandlePeer {
    layers: Vec<Linear>,
    optimizer: RmsProp,
    x: Tensor,
    y: Tensor,
    samples: usize,
    batch_size: usize,
    random: Random,
}

impl CandlePeer {
    pub fn new(samples: &Samples, arguments: &Arguments) -> Result<Self> {
        let device = Device::Cpu;
        let mut widths = vec![PIXELS];
        widths.extend(&arguments.hidden);
        widths.push(CLASSES);
        let (mut layers, mut variables) = (Vec::new(), Vec::new());
        for pair in widths.windows(2) {
            // Glorot's uniform: ±√(6 / (inputs + outputs)).
            let bound = (6.0 / (pair[0] + pair[1]) as f32).sqrt();
            let weight = Var::rand(-bound, bound, (pair[1], pair[0]), &device)?;
            let bias = Var::zeros(pair[1], DType::F32, &device)?;
            layers.push(Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone())));
            variables.extend([weight, bias]);
        }
        let count = samples.classes.len();
        let classes: Vec<u32> = samples.classes.iter().map(|&class| class as u32).collect();
        Ok(CandlePeer {
            layers,
            optimizer: RmsProp::new(variables)?,
            x: Tensor::from_slice(&samples.pixels, (count, PIXELS), &device)?,
            y: Tensor::from_vec(classes, count, &device)?,
            samples: count,
            batch_size: arguments.batch_size,
            random: Random(2),
        })
    }

    /// The logits.
    fn forward(layers: &[Linear], x: &Tensor) -> Result<Tensor> {
        let (last, hidden) = layers.split_last().expect("a net has a last layer");
        let mut x = x.clone();
        for layer in hidden {
            x = layer.forward(&x)?.relu()?;
        }
        last.forward(&x)
    }

    /// An update; returns the batch's mean loss and its correct answers.
    fn step(&mut self, index: &Tensor) -> Result<(f64, f64)> {
        let (x, y) = (self.x.index_select(index, 0)?, self.y.index_select(index, 0)?);
        let logits = Self::forward(&self.layers, &x)?;
        let loss = loss::cross_entropy(&logits, &y)?;
        let gradients = loss.backward()?;
        self.optimizer.step(&gradients)?;
        Ok((loss.to_scalar::<f32>()?.into(), correct(&logits.detach(), &y)?))
    }

    fn epoch(&mut self) -> Result<(f64, f64)> {
        let mut order: Vec<i32> = (0..self.samples as i32).collect();
        self.random.shuffle(&mut order);
        let order: Vec<u32> = order.into_iter().map(|row| row as u32).collect();
        let order = Tensor::from_vec(order, self.samples, &Device::Cpu)?;
        let steps = self.samples / self.batch_size;
        let (mut loss_sum, mut correct_sum) = (0.0, 0.0);
        for step in 0..steps {
            let (loss, correct) = self.step(&order.narrow(0, step * self.batch_size, self.batch_size)?)?;
            loss_sum += loss;
            correct_sum += correct;
        }
        Ok((loss_sum / steps as f64, correct_sum / self.samples as f64))
    }

    fn evaluation(&self) -> Result<(f64, f64)> {
        // Without their history, nothing is kept for a backward pass.
        let detached = |layer: &Linear| Linear::new(layer.weight().detach(), layer.bias().map(Tensor::detach));
        let layers: Vec<Linear> = self.layers.iter().map(detached).collect();
        let (mut loss_sum, mut correct_sum) = (0.0, 0.0);
        for start in (0..self.samples).step_by(EVALUATION_BATCH) {
            let rows = EVALUATION_BATCH.min(self.samples - start);
            let (x, y) = (self.x.narrow(0, start, rows)?, self.y.narrow(0, start, rows)?);
            let logits = Self::forward(&layers, &x)?;
            loss_sum += f64::from(loss::cross_entropy(&logits, &y)?.to_scalar::<f32>()?) * rows as f64;
            correct_sum += correct(&logits, &y)?;
        }
        Ok((loss_sum / self.samples as f64, correct_sum / self.samples as f64))
    }
}

impl Peer for CandlePeer {
    fn first_step(&mut self) {
        let index = Tensor::arange(0, self.batch_size as u32, &Device::Cpu).expect("an index");
        self.step(&index).expect("a step");
    }

    /// Loss and accuracy of the last epoch.
    fn epochs(&mut self, count: usize) -> (f64, Option<f64>) {
        let mut result = (0.0, 0.0);
        for _ in 0..count {
            result = self.epoch().expect("an epoch");
        }
        (result.0, Some(result.1))
    }

    fn evaluate(&mut self) -> (f64, Option<f64>) {
        let (loss, accuracy) = self.evaluation().expect("an evaluation");
        (loss, Some(accuracy))
    }
}

/// How many rows are answered rightly.
fn correct(logits: &Tensor, y: &Tensor) -> Result<f64> {
    let right = logits.argmax(1)?.eq(y)?.to_dtype(DType::F32)?.sum_all()?;
    Ok(right.to_scalar::<f32>()?.into())
}
