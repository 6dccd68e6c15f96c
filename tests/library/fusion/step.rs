//! One training step of a drawn net in f64, layer after layer as the formulas have it, with how far rounding may move every
//! parameter and every number of the optimizer's. It knows no plan and no launches. What layers do is in `layers`, what
//! follows the gradients in `update`.

use std::collections::BTreeMap;

use wgrad::kernels::augmentation_forward::{AugmentationForward, Elastic};
use wgrad::kernels::dropout_forward::DropoutForward;
use wgrad::kernels::gaussian_noise_forward::GaussianNoiseForward;
use wgrad::kernels::hash::Draws;
use wgrad::kernels::{Input, Kernel, Output, padded};
use wgrad::{Activation, FillMode, Loss, Regularizer, StepBlock};

use super::layers::{Norm, activated, activation, differentiated, prelu, prelu_backward, softmax, weights};
use super::nets::{Drawn, ELASTIC, MOMENTUM, Net};
use super::rounding::{EXPONENTIAL, Matrix, UNIT, sum_error};
use super::update::Gradient;

/// What scales gradients in half precision to begin with.
const LOSS_SCALE: f64 = 32_768.0;

/// Tensors by name, each number with how far off it may be.
pub type Expected = BTreeMap<String, Vec<(f64, f64)>>;

/// Parameters by name, as they are before the step.
pub type Parameters = BTreeMap<String, Vec<f32>>;

/// The numbers of a layer between its forward and its backward pass.
pub struct Trace {
    pub input: Matrix,
    /// What the activation is applied to, and what it makes of it.
    pub z: Matrix,
    pub y: Matrix,
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
                Drawn::Noise { stddev } => self.noisy(&input, stddev, index).stored(half, 1.0),
                Drawn::Augmentation => self.augmented(&input, index).stored(half, 1.0),
                Drawn::Prelu { .. } => prelu(&input, &parameters[&format!("{name}.alpha")]),
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

    /// x with noise; of the noise's own bound the kernel's trials speak.
    fn noisy(&self, x: &Matrix, stddev: f32, layer: usize) -> Matrix {
        let (draws, batch) = (Draws { seed: 0, layer: layer as u32 }, u32::from(self.shows_gradients()));
        let kernel: Kernel = GaussianNoiseForward { columns: x.columns, deviation: stddev, draws }.into();
        let step = StepBlock { rows: x.rows as u32, batch, ..StepBlock::default() };
        let stride = padded(x.columns);
        let zeros = vec![0.0; padded(x.rows) * stride];
        let mut noise = zeros.clone();
        kernel.reference(&step, &[Input::Floats(&zeros)], &mut [Output::Floats(&mut noise)]);
        let noise = (0..x.values.len()).map(|at| noise[at / x.columns * stride + at % x.columns]);
        let values: Vec<f64> = x.values.iter().zip(noise.clone()).map(|(x, noise)| x + noise).collect();
        let errors =
            x.errors.iter().zip(values.iter().zip(noise)).map(|(error, (y, noise))| {
                error + UNIT * (18.0 * f64::from(stddev) + 21.0 * noise.abs() + 2.0 * y.abs())
            });
        Matrix { errors: errors.collect(), values, ..*x }
    }

    /// Images as the layer changes them; the kernel's trials argue the bound of places.
    fn augmented(&self, x: &Matrix, layer: usize) -> Matrix {
        let (draws, batch) = (Draws { seed: 0, layer: layer as u32 }, u32::from(self.shows_gradients()));
        let ([height, width], [alpha, sigma]) = (self.shape, ELASTIC);
        let [across, down] = [width as f32, height as f32];
        let amplitude = alpha / (2.0 * std::f32::consts::PI.sqrt() * sigma) * 315.0 / 151.0;
        let kernel: Kernel = AugmentationForward {
            size: [width, height],
            channels: 1,
            translation: [0.2 * across, 0.3 * down],
            rotation: 0.0,
            zoom: 0.2,
            shear: [0.1, 0.0],
            elastic: Some(Elastic { amplitude, nodes_a_pixel: 1.0 / (3f32.sqrt() * sigma) }),
            cutout: [(0.3 * across).round() as usize, (0.4 * down).round() as usize],
            fill_mode: FillMode::Constant,
            fill_value: 0.0,
            draws,
        }
        .into();
        let step = StepBlock { rows: x.rows as u32, batch, ..StepBlock::default() };
        let stride = padded(x.columns);
        let mut images = vec![0.0; padded(x.rows) * stride];
        for (at, value) in x.values.iter().enumerate() {
            images[at / x.columns * stride + at % x.columns] = *value;
        }
        let mut found = vec![0.0; images.len()];
        kernel.reference(&step, &[Input::Floats(&images)], &mut [Output::Floats(&mut found)]);
        let values = (0..x.values.len()).map(|at| found[at / x.columns * stride + at % x.columns]).collect();
        let largest = |numbers: &[f64]| numbers.iter().fold(0.0, |largest: f64, number| largest.max(number.abs()));
        let places = (width + height) as f64 + 2.0 * f64::from(amplitude);
        let error = largest(&x.errors) + UNIT * (128.0 * places + 12.0) * largest(&x.values);
        Matrix { errors: vec![error; x.values.len()], values, ..*x }
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
                Drawn::Noise { .. } | Drawn::Augmentation => dy,
                Drawn::Prelu { trained, regularizer } => {
                    if trained {
                        let below = trace.input.map(|x| x.min(0.0), |_| 0.0);
                        let all = below.zip(&dy, |x, dy| x * dy, |_, product| UNIT * product.abs()).sums();
                        gradients.push(Gradient::new(&name, "alpha", all, regularizer));
                    }
                    prelu_backward(&trace.input, &dy, &parameters[&format!("{name}.alpha")])
                }
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
}
