//! dense_loss: the last layer, its loss, and the gradients of its outputs and inputs, in one launch.
//!
//! Bounds: z is off by e = sum_error(I)·(Σ|x|·|W| + |b|), so what the loss's own file argues for exact outputs grows by what
//! its slope makes of e:
//! - loss: Σ_c |∂loss/∂z[c]|·e[c], the slope being that of one row by itself;
//! - gradient: softmax's moves by at most p·(e[c] + Σ p·e)·T, the sigmoid's by e/4, that of squares by 2·e, each times
//!   w/B or w/(B·C);
//! - dx: the gradient's bound and sum_error(C) of the gradient, through |W|, times f's slope, and the derivative's own error.
//!
//! Where two outputs are as near to each other as their errors, either may be the largest, and the answer is left open.

use wgrad::Activation;
use wgrad::kernels::dense_loss::{DenseLoss, MOST_OUTPUTS, Tile};
use wgrad::kernels::loss::{Formula, RowLoss};
use wgrad::kernels::padded;
use wgrad::kernels::product::Family;
use wgrad::kernels::scale::LossScale;

use crate::activation_backward::derivative_error;
use crate::activation_forward::slope;
use crate::harness::losses::{KINDS, LossCase, Targets};
use crate::harness::{ACTIVATIONS, Array, Case, Output, Random, Trials, alone, batches, sum_error};
use crate::{binary_crossentropy, mean_squared_error, softmax_cross_entropy};

const FORMULAS: [(&str, Formula); 3] = [
    ("softmax_cross_entropy", Formula::SoftmaxCrossEntropy),
    ("binary_crossentropy", Formula::BinaryCrossentropy),
    ("mean_squared_error", Formula::MeanSquaredError),
];

/// Features in and out: every remainder of four, fewer blocks of inputs than a workgroup has invocations and more, and the
/// edges of the tiles: 12 and 24 outputs, of which a workgroup makes four and two rows.
const SHAPES: [(usize, usize); 14] = [
    (1, 1),
    (3, 2),
    (4, 5),
    (7, 3),
    (9, 4),
    (33, 10),
    (127, 12),
    (130, 13),
    (512, 10),
    (513, 25),
    (64, 24),
    (65, 31),
    (784, 10),
    (31, MOST_OUTPUTS),
];

/// Tiles for ten outputs: each number of rows, one line and several, sums that are shared by more and by fewer than they have
/// blocks, and by nobody.
const TILES: [Tile; 8] = [
    tile(1, 1, 8),
    tile(1, 2, 16),
    tile(1, 4, 4),
    tile(1, 4, 64),
    tile(1, 1, 128),
    tile(2, 2, 16),
    tile(3, 1, 4),
    tile(16, 1, 1),
];

const fn tile(lines: usize, rows: usize, splits: usize) -> Tile {
    Tile { lines, rows, splits }
}

/// What a case is made of.
#[derive(Clone, Copy)]
struct Layer {
    formula: Formula,
    targets: Targets,
    inputs: usize,
    outputs: usize,
    bias: bool,
    smoothing: f32,
    gradient: bool,
    before: Option<Activation>,
    tile: Option<Tile>,
    /// The kernel's numbers lie between this and its negative.
    size: f32,
}

/// The tutorial's last layer, but for its inputs.
const LAYER: Layer = Layer {
    formula: Formula::SoftmaxCrossEntropy,
    targets: Targets::Ids,
    inputs: 33,
    outputs: 10,
    bias: true,
    smoothing: 0.0,
    gradient: true,
    before: Some(Activation::Relu),
    tile: None,
    size: 1.0,
};

pub fn cases(trials: &mut Trials) {
    for (inputs, outputs) in SHAPES {
        for (name, family) in [("on_vectors", Family::SoftwareSubgroups), ("on_hardware", Family::Hardware)] {
            trials.on_gpu(&format!("{inputs}x{outputs}::{name}"), move |device| {
                let layer = Layer { inputs, outputs, ..LAYER };
                batches().try_for_each(|(rows, capacity)| {
                    let tile = Some(Tile::choose(inputs, outputs, capacity, family));
                    Layer { tile, ..layer }.case((rows, capacity)).check(device)
                })
            });
        }
        trials.on_cpu(&format!("{inputs}x{outputs}"), move |device| {
            let layer = Layer { inputs, outputs, ..LAYER };
            batches().try_for_each(|size| layer.case(size).check(device))
        });
    }
    for tile in TILES {
        trials.on_gpu(&format!("tile_{}x{}_split_{}", tile.lines, tile.rows, tile.splits), move |device| {
            let layer = Layer { inputs: 70, tile: Some(tile), ..LAYER };
            batches().try_for_each(|size| layer.case(size).check(device))
        });
    }
    FORMULAS.into_iter().for_each(|formula| add_formula(trials, formula));
    for (name, activation) in ACTIVATIONS.into_iter().filter(|(_, activation)| !activation.keeps_input()) {
        trials.add(&format!("before_{name}"), move |device| {
            Layer { before: Some(activation), ..LAYER }.case((7, 9)).check(device)
        });
    }
    trials.add("no_bias", |device| Layer { bias: false, ..LAYER }.case((7, 9)).check(device));
    trials.add("no_input_gradient", |device| Layer { before: None, ..LAYER }.case((7, 9)).check(device));
    trials.add("no_gradient", |device| {
        let layer = Layer { gradient: false, before: None, ..LAYER };
        batches().try_for_each(|size| layer.case(size).check(device))
    });
    // As many features as a layer may have: llvmpipe ends all loops of an invocation after 65,535 iterations.
    trials.add("long_sum", |device| {
        let _alone = alone();
        // Small numbers, so that the error of so long a sum is far less than what a part of it is.
        Layer { inputs: 260_000, outputs: 2, size: 4e-4, ..LAYER }.case((3, 3)).check(device)
    });
    // A row a workgroup: more than the 65,535 workgroups of one dimension.
    trials.add("folded_grid", |device| {
        let _alone = alone();
        Layer { inputs: 3, outputs: 2, tile: Some(tile(1, 1, 8)), ..LAYER }.case((65_537, 65_537)).check(device)
    });
}

/// One formula with every kind of targets, in half precision, and with a NaN.
fn add_formula(trials: &mut Trials, (name, formula): (&'static str, Formula)) {
    for (kind, kinds) in KINDS {
        trials.add(&format!("{name}_{kind}"), move |device| {
            [1, 6, 30].into_iter().flat_map(|outputs| kinds.iter().map(move |&targets| (outputs, targets))).try_for_each(
                |(outputs, targets)| {
                    let layer = Layer { formula, targets, outputs, smoothing: 0.1, ..LAYER };
                    batches().try_for_each(|size| layer.case(size).check(device))
                },
            )
        });
    }
    trials.in_half(name, move |device| {
        [(33, 10), (6, 1), (130, 30)].into_iter().try_for_each(|(inputs, outputs)| {
            let layer = Layer { formula, inputs, outputs, before: Some(Activation::Sigmoid), ..LAYER };
            batches().try_for_each(|size| layer.case(size).check_half(device))
        })
    });
    // With a scale of 2²⁰ the gradients of these batches are beyond half precision's range.
    trials.in_half(&format!("{name}_saturated"), move |device| {
        let scale = LossScale { scale: 1_048_576.0, inverse: 1.0 / 1_048_576.0, steps: 3, saturated: 0 };
        let layer = Layer { formula, outputs: 3, ..LAYER };
        let case = layer.case((2, 2));
        let beyond = |slope: &f64| slope.abs() * 1_048_576.0 > 65_504.0;
        assert!(case.expected()[0].floats().iter().any(beyond), "no gradient is beyond half precision's range");
        case.check_half_but(&[], scale, device)
    });
    trials.add(&format!("{name}_nan"), move |device| {
        // ReLU would have no gradient for some of the others, and a NaN times zero may be either.
        let mut case = Layer { formula, before: Some(Activation::Linear), ..LAYER }.case((7, 7));
        case.inputs[0].set(2 * padded(LAYER.inputs) + 3, f32::NAN);
        case.check(device)
    });
}

impl Layer {
    fn case(self, (rows, capacity): (usize, usize)) -> Case {
        let Layer { formula, inputs, outputs, .. } = self;
        let mut random = Random::new(rows * inputs + outputs);
        let bias_offset = self.bias.then_some(padded(inputs) * padded(outputs));
        let before = self.before.unwrap_or(Activation::Linear);
        // What half precision holds as it is, so that one case serves both.
        let x = Array::matrix(rows, inputs, capacity, |_, _| before.activate(random.uniform(-1.0f32, 1.0)));
        let x = x.rounded_to_half();
        let weights = Array::kernel(inputs, outputs, bias_offset, || random.uniform(-self.size, self.size));
        let share = match formula {
            Formula::BinaryCrossentropy => self.smoothing / 2.0,
            _ => self.smoothing / outputs as f32,
        };
        let mut loss = LossCase::new(outputs, (rows, capacity), self.targets, (self.smoothing, share));
        loss.gradient = self.gradient;
        let errors = self.outputs_of(&x, &weights, bias_offset, &mut loss);
        let (losses, gradients) = self.bounds(&loss, &errors);
        let open = self.open_answers(&loss, &errors);

        let tile = self.tile.unwrap_or_else(|| Tile::choose(inputs, outputs, capacity, Family::SoftwareSubgroups));
        let row_loss = RowLoss { formula, targets: loss.layout, gradient: self.gradient };
        let kernel = DenseLoss { inputs, bias_offset, loss: row_loss, before: self.before, tile };
        let steepness = self.steepness(&loss);
        let stride = padded(outputs);
        let down: Vec<_> = (0..rows * inputs)
            .map(|at| {
                let (row, i) = (at / inputs, at % inputs);
                let terms = (0..outputs).map(|c| {
                    let (at, w) = (row * outputs + c, f64::from(weights.at(i * stride + c)).abs());
                    let error = gradients[at] + sum_error(outputs) * steepness[at];
                    [error * w, steepness[at] * w]
                });
                let [error, sum] = terms.fold([0.0; 2], |all, term| [all[0] + term[0], all[1] + term[1]]);
                slope(before) * error + derivative_error(before) * sum
            })
            .collect();
        let dx = match self.before {
            None => Output::dummy(),
            Some(_) => Output::matrix(rows, inputs, capacity).within(move |at, _| {
                let stride = padded(inputs);
                down[at / stride * inputs + at % stride]
            }),
        };
        let layout = loss.layout;
        let Case { step, capacity, inputs: read, mut outputs, .. } = loss.case(kernel.clone().into(), losses, gradients);
        let rows_bound = std::mem::replace(&mut outputs[1].bound, Box::new(|_, _| 0.0));
        let rows = outputs.swap_remove(1).within(move |at, value| match at % 2 {
            1 if open[at / 2] => 1.0,
            _ => rows_bound(at, value),
        });
        assert_eq!(layout.columns, self.outputs);
        let labels = read.into_iter().nth(1).expect("labels");
        let gradient = outputs.swap_remove(0);
        Case { kernel: kernel.into(), step, capacity, inputs: vec![x, weights, labels], outputs: vec![gradient, rows, dx] }
    }

    /// Puts the layer's outputs into the loss's case; returns how far each may be off.
    fn outputs_of(&self, x: &Array, weights: &Array, bias: Option<usize>, loss: &mut LossCase) -> Vec<f64> {
        let (x_stride, z_stride) = (padded(self.inputs), padded(self.outputs));
        let mut errors = Vec::new();
        for row in 0..loss.rows {
            for column in 0..self.outputs {
                let own = bias.map_or(0.0, |offset| f64::from(weights.at(offset + column)));
                let (mut z, mut size) = (own, own.abs());
                for i in 0..self.inputs {
                    let term = f64::from(x.at(row * x_stride + i)) * f64::from(weights.at(i * z_stride + column));
                    (z, size) = (z + term, size + term.abs());
                }
                loss.z.set(row * z_stride + column, z as f32);
                errors.push(sum_error(self.inputs + 1) * size);
            }
        }
        errors
    }

    /// The absolute gradient of the mean over the batch, element by element.
    fn steepness(&self, loss: &LossCase) -> Vec<f64> {
        let mut all = Vec::new();
        for row in 0..loss.rows {
            let largest = loss.row(row).fold(f64::NEG_INFINITY, f64::max);
            let exponentials: f64 = loss.row(row).map(|z| (z - largest).exp()).sum();
            let targets: f64 = (0..self.outputs).map(|column| loss.target(row, column)).sum();
            let (weight, width) = (loss.weight(row) / loss.rows as f64, self.outputs as f64);
            for (column, z) in loss.row(row).enumerate() {
                let t = loss.target(row, column);
                all.push(match self.formula {
                    Formula::SoftmaxCrossEntropy => {
                        weight * ((z - largest).exp() / exponentials * targets + t.abs())
                    }
                    Formula::BinaryCrossentropy => weight / width * (1.0 / (1.0 + (-z).exp()) - t).abs(),
                    Formula::MeanSquaredError => 2.0 * weight / width * (z - t).abs(),
                });
            }
        }
        all
    }

    /// The loss's own bounds, and what the errors of its outputs add.
    fn bounds(&self, loss: &LossCase, errors: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut losses, mut gradients) = match self.formula {
            Formula::SoftmaxCrossEntropy => softmax_cross_entropy::bounds(loss),
            Formula::BinaryCrossentropy => binary_crossentropy::bounds(loss),
            Formula::MeanSquaredError => mean_squared_error::bounds(loss),
        };
        let (steepness, width) = (self.steepness(loss), self.outputs as f64);
        for (row, row_bound) in losses.iter_mut().enumerate() {
            let own = row * self.outputs..(row + 1) * self.outputs;
            let largest = loss.row(row).fold(f64::NEG_INFINITY, f64::max);
            let exponentials: f64 = loss.row(row).map(|z| (z - largest).exp()).sum();
            let targets: f64 = (0..self.outputs).map(|column| loss.target(row, column)).sum();
            let weight = loss.weight(row) / loss.rows as f64;
            let p: Vec<_> = loss.row(row).map(|z| (z - largest).exp() / exponentials).collect();
            let mean: f64 = p.iter().zip(&errors[own.clone()]).map(|(p, e)| p * e).sum();
            for (column, at) in own.enumerate() {
                *row_bound += 1.01 * loss.rows as f64 * (steepness[at] + weight * errors[at]) * errors[at];
                gradients[at] += 1.01
                    * match self.formula {
                        Formula::SoftmaxCrossEntropy => weight * targets * p[column] * (errors[at] + mean),
                        Formula::BinaryCrossentropy => weight / width * errors[at] / 4.0,
                        Formula::MeanSquaredError => 2.0 * weight / width * errors[at],
                    };
            }
        }
        (losses, gradients)
    }

    /// The rows whose answer may be right or wrong by rounding.
    fn open_answers(&self, loss: &LossCase, errors: &[f64]) -> Vec<bool> {
        let threshold = if self.formula == Formula::MeanSquaredError { 0.5 } else { 0.0 };
        (0..loss.rows)
            .map(|row| {
                let outputs: Vec<_> = loss.row(row).zip(&errors[row * self.outputs..]).collect();
                let (largest, error) = outputs.iter().copied().fold((f64::NEG_INFINITY, &0.0), |best, output| {
                    if output.0 > best.0 { output } else { best }
                });
                let rivals = outputs.iter().filter(|(z, e)| z + *e >= largest - error).count();
                rivals > 1 || (self.outputs == 1 && (largest - threshold).abs() <= *error)
            })
            .collect()
    }
}
