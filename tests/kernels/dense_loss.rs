//! dense_loss: the last layer, its loss, and the gradients of its outputs and inputs, in one launch.
//!
//! Bounds: z is off by e = sum_error(I)·(Σ|x|·|W| + |b|), so what the loss's own file argues for exact outputs grows by what
//! e makes of the loss and of its gradient: what they move by in the reference where one output after the other is moved by its
//! e, either way, and a tenth of that, for what several do together. Kinks and edges of a formula show in it too.
//! - dx: the gradient's bound and sum_error(C) of the gradient, through |W|, times f's slope, and the derivative's own error.
//!
//! Where two outputs are as near to each other as their errors, either may be the largest, and the answer is left open.

use wgrad::kernels::dense_loss::{DenseLoss, MOST_OUTPUTS, Tile};
use wgrad::kernels::loss::RowLoss;
use wgrad::kernels::output_loss::OutputLoss;
use wgrad::kernels::padded;
use wgrad::kernels::product::Family;
use wgrad::kernels::scale::LossScale;
use wgrad::kernels::{Input, Kernel, Output as Sink};
use wgrad::{Activation, Loss};

use crate::activation_backward::derivative_error;
use crate::activation_forward::slope;
use crate::harness::losses::{KINDS, LossCase, Targets, smoothing};
use crate::harness::{ACTIVATIONS, Array, Case, Output, Random, Trials, alone, batches, step_of, sum_error};
use crate::output_loss::{self, LOSSES};

/// A loss of each kind of loop, of which all is tried; of the others what their formulas may do to it.
const THOROUGHLY: [Loss; 3] = [Loss::CategoricalCrossentropy, Loss::BinaryCrossentropy, Loss::MeanSquaredError];

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
    loss: Loss,
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
    loss: Loss::CategoricalCrossentropy,
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
    THOROUGHLY.into_iter().for_each(|loss| add_loss(trials, loss));
    for (index, loss) in LOSSES.into_iter().enumerate().filter(|(_, loss)| !THOROUGHLY.contains(loss)) {
        trials.add(&format!("{loss}_{index}"), move |device| {
            let targets = if index % 2 == 0 { Targets::Ids } else { Targets::Soft };
            let layer = Layer { loss, targets, outputs: 6, before: Some(Activation::Sigmoid), ..LAYER };
            layer.case((7, 9)).check(device)
        });
    }
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

/// One loss with every kind of targets, in half precision, and with a NaN.
fn add_loss(trials: &mut Trials, loss: Loss) {
    let name = loss.to_string();
    for (kind, kinds) in KINDS {
        trials.add(&format!("{name}_{kind}"), move |device| {
            [1, 6, 30].into_iter().flat_map(|outputs| kinds.iter().map(move |&targets| (outputs, targets))).try_for_each(
                |(outputs, targets)| {
                    let layer = Layer { loss, targets, outputs, smoothing: 0.1, ..LAYER };
                    batches().try_for_each(|size| layer.case(size).check(device))
                },
            )
        });
    }
    trials.in_half(&name, move |device| {
        [(33, 10), (6, 1), (130, 30)].into_iter().try_for_each(|(inputs, outputs)| {
            let layer = Layer { loss, inputs, outputs, before: Some(Activation::Sigmoid), ..LAYER };
            batches().try_for_each(|size| layer.case(size).check_half(device))
        })
    });
    // With a scale of 2²⁰ the gradients of these batches are beyond half precision's range.
    trials.in_half(&format!("{name}_saturated"), move |device| {
        let scale = LossScale { scale: 1_048_576.0, inverse: 1.0 / 1_048_576.0, steps: 3, saturated: 0 };
        let layer = Layer { loss, outputs: 3, ..LAYER };
        let case = layer.case((2, 2));
        let beyond = |slope: &f64| slope.abs() * 1_048_576.0 > 65_504.0;
        assert!(case.expected()[0].floats().iter().any(beyond), "no gradient is beyond half precision's range");
        case.check_half_but(&[], scale, device)
    });
    trials.add(&format!("{name}_nan"), move |device| {
        // ReLU would have no gradient for some of the others, and a NaN times zero may be either.
        let mut case = Layer { loss, before: Some(Activation::Linear), ..LAYER }.case((7, 7));
        case.inputs[0].set(2 * padded(LAYER.inputs) + 3, f32::NAN);
        case.check(device)
    });
}

impl Layer {
    fn case(self, (rows, capacity): (usize, usize)) -> Case {
        let Layer { loss, inputs, outputs, .. } = self;
        let mut random = Random::new(rows * inputs + outputs);
        let bias_offset = self.bias.then_some(padded(inputs) * padded(outputs));
        let before = self.before.unwrap_or(Activation::Linear);
        // What half precision holds as it is, so that one case serves both.
        let x = Array::matrix(rows, inputs, capacity, |_, _| before.activate(random.uniform(-1.0f32, 1.0)));
        let x = x.rounded_to_half();
        // Counts and shares must be positive, and shares not beyond 1.
        let (least, size) = match loss {
            Loss::Poisson => (0.1, self.size),
            Loss::KlDivergence => (0.1 / inputs as f32, 1.0 / inputs as f32),
            _ => (-self.size, self.size),
        };
        let weights = Array::kernel(inputs, outputs, bias_offset, || random.uniform(least, size));
        let smoothing = smoothing(loss, self.smoothing, outputs);
        let mut loss = LossCase::new(outputs, (rows, capacity), self.targets, smoothing);
        loss.gradient = self.gradient;
        let errors = self.outputs_of(&x, &weights, bias_offset, &mut loss);
        let (losses, gradients) = self.bounds(&loss, &errors);
        let open = self.open_answers(&loss, &errors);

        let tile = self.tile.unwrap_or_else(|| Tile::choose(inputs, outputs, capacity, Family::SoftwareSubgroups));
        let row_loss = RowLoss { loss: self.loss, targets: loss.layout, gradient: self.gradient };
        let kernel = DenseLoss { inputs, bias_offset, loss: row_loss, before: self.before, tile };
        let [_, steepness] = self.reference(&loss, loss.z.clone());
        let stride = padded(outputs);
        let down: Vec<_> = (0..rows * inputs)
            .map(|at| {
                let (row, i) = (at / inputs, at % inputs);
                let terms = (0..outputs).map(|c| {
                    let (at, w) = (row * outputs + c, f64::from(weights.at(i * stride + c)).abs());
                    let error = gradients[at] + sum_error(outputs) * steepness[at].abs();
                    [error * w, steepness[at].abs() * w]
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

    /// The loss of each row, and the gradient [B, C], for such outputs.
    fn reference(&self, loss: &LossCase, z: Array) -> [Vec<f64>; 2] {
        let kernel: Kernel = OutputLoss { loss: self.loss, targets: loss.layout, gradient: true }.into();
        let z: Vec<f64> = (0..z.words.len()).map(|at| z.at(at).into()).collect();
        let (mut gradient, mut rows) = (vec![0.0; z.len()], vec![0.0; 2 * padded(loss.rows)]);
        let inputs = [Input::Floats(&z), Input::Words(&loss.labels.words)];
        kernel.reference(&step_of(loss.rows), &inputs, &mut [Sink::Floats(&mut gradient), Sink::Floats(&mut rows)]);
        let stride = padded(self.outputs);
        let real = |at: usize| gradient[at / self.outputs * stride + at % self.outputs];
        let losses = rows.chunks_exact(2).take(loss.rows).map(|row| row[0]).collect();
        [losses, (0..loss.rows * self.outputs).map(real).collect()]
    }

    /// The loss's own bounds, and what the errors of its outputs add.
    fn bounds(&self, loss: &LossCase, errors: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut losses, mut gradients) = output_loss::bounds(self.loss, loss);
        let [own_losses, own_gradients] = self.reference(loss, loss.z.clone());
        for column in 0..self.outputs {
            let [below, above] = [-1.0, 1.0].map(|way| {
                let mut z = loss.z.clone();
                for row in 0..loss.rows {
                    let at = row * padded(self.outputs) + column;
                    z.set(at, (f64::from(z.at(at)) + way * errors[row * self.outputs + column]) as f32);
                }
                self.reference(loss, z)
            });
            let add = |bounds: &mut [f64], own: &[f64], below: &[f64], above: &[f64]| {
                for (at, bound) in bounds.iter_mut().enumerate() {
                    *bound += 1.1 * (below[at] - own[at]).abs().max((above[at] - own[at]).abs());
                }
            };
            add(&mut losses, &own_losses, &below[0], &above[0]);
            add(&mut gradients, &own_gradients, &below[1], &above[1]);
        }
        (losses, gradients)
    }

    /// The rows whose answer may be right or wrong by rounding.
    fn open_answers(&self, loss: &LossCase, errors: &[f64]) -> Vec<bool> {
        let threshold = match self.loss {
            Loss::BinaryCrossentropy | Loss::BinaryFocalCrossentropy { .. } | Loss::Hinge | Loss::SquaredHinge => 0.0,
            _ => 0.5,
        };
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
