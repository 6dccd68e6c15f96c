//! Every backward pass against finite differences of its forward pass, both by the references in f64: a shader and its
//! reference can share a wrong formula, but a difference of losses cannot.
//!
//! The loss of a check is L = Σ c·y with random c, or the loss's own mean, and each derivative is compared with
//! (L(v + h) − L(v − h)) / 2h. With h = 1e-5 the difference is off by h²·f‴/6 ≈ 1e-10 and by L·2⁻⁵³/h ≈ 1e-10 as well;
//! TOLERANCE leaves room for the derivatives of several layers. Inputs stay away from the kinks of relu and its kin.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

use wgrad::kernels::activation_backward::ActivationBackward;
use wgrad::kernels::activation_forward::ActivationForward;
use wgrad::kernels::batch_norm_backward::BatchNormBackward;
use wgrad::kernels::batch_norm_forward::BatchNormForward;
use wgrad::kernels::batch_norm_inference_backward::BatchNormInferenceBackward;
use wgrad::kernels::batch_norm_inference_forward::BatchNormInferenceForward;
use wgrad::kernels::dense_backward_input::DenseBackwardInput;
use wgrad::kernels::dense_backward_weights::DenseBackwardWeights;
use wgrad::kernels::dense_forward::DenseForward;
use wgrad::kernels::dense_loss::{DenseLoss, Tile};
use wgrad::kernels::dropout_backward::DropoutBackward;
use wgrad::kernels::dropout_forward::DropoutForward;
use wgrad::kernels::gradients::Keep;
use wgrad::kernels::hash::Draws;
use wgrad::kernels::layer_norm_backward::LayerNormBackward;
use wgrad::kernels::layer_norm_backward_parameters::LayerNormBackwardParameters;
use wgrad::kernels::layer_norm_forward::LayerNormForward;
use wgrad::kernels::loss::RowLoss;
use wgrad::kernels::norm::Affine;
use wgrad::kernels::output_loss::OutputLoss;
use wgrad::kernels::prelu_backward::PreluBackward;
use wgrad::kernels::prelu_backward_parameters::PreluBackwardParameters;
use wgrad::kernels::prelu_forward::PreluForward;
use wgrad::kernels::product::Tiling;
use wgrad::kernels::relu_backward::ReluBackward;
use wgrad::kernels::relu_forward::ReluForward;
use wgrad::kernels::rescale_backward::RescaleBackward;
use wgrad::kernels::rescale_forward::RescaleForward;
use wgrad::kernels::shares::Shares;
use wgrad::kernels::softmax_backward::SoftmaxBackward;
use wgrad::kernels::softmax_cross_entropy::SoftmaxCrossEntropy;
use wgrad::kernels::softmax_forward::SoftmaxForward;
use wgrad::kernels::targets::TargetLayout;
use wgrad::kernels::{Input, Kernel, Output, padded};
use wgrad::{Activation, Loss, StepBlock};

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-7;

/// A reference does not depend on the tiling.
const TILING: Tiling = Tiling::Direct { rows: 1, columns: 1, workgroup: 64 };

const ACTIVATIONS: [Activation; 21] = [
    Activation::Linear,
    Activation::Relu,
    Activation::LeakyRelu(0.2),
    Activation::Elu(1.0),
    Activation::Elu(0.5),
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Gelu,
    Activation::Softplus,
    Activation::GeluExact,
    Activation::ReluWith { negative_slope: 0.1, max_value: Some(0.75), threshold: 0.0 },
    Activation::ReluWith { negative_slope: 0.1, max_value: None, threshold: 0.5 },
    Activation::Selu,
    Activation::Celu(0.5),
    Activation::Softsign,
    Activation::HardSigmoid,
    Activation::HardTanh,
    Activation::HardSilu,
    Activation::Mish,
    Activation::Exponential,
];

/// Random numbers: a linear congruence, of which the high bits are used.
struct Random(u64);

impl Random {
    fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From −1.5 to 1.5, and at least 0.01 from zero.
    fn away_from_zero(&mut self) -> f64 {
        let size = 0.01 + 1.49 * self.number();
        if self.number() < 0.5 { -size } else { size }
    }

    /// A matrix with padded rows; the padding rows and columns are zero.
    fn matrix(&mut self, rows: usize, columns: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; padded(rows) * padded(columns)];
        real(rows, columns).for_each(|at| matrix[at] = self.away_from_zero());
        matrix
    }
}

/// The places of a padded matrix's own elements.
fn real(rows: usize, columns: usize) -> impl Iterator<Item = usize> + Clone {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| row * padded(columns) + column))
}

fn step(rows: usize) -> StepBlock {
    StepBlock { rows: rows as u32, ..StepBlock::default() }
}

/// The only output of a kernel whose inputs are all numbers.
fn run(kernel: impl Into<Kernel>, rows: usize, inputs: &[&[f64]], length: usize) -> Vec<f64> {
    let inputs: Vec<_> = inputs.iter().map(|values| Input::Floats(values)).collect();
    let mut output = vec![0.0; length];
    kernel.into().reference(&step(rows), &inputs, &mut [Output::Floats(&mut output)]);
    output
}

/// Compares a gradient with finite differences of `loss` at `point`, in the places given.
fn check(
    what: &str,
    loss: impl Fn(&[f64]) -> f64,
    point: &[f64],
    places: impl Iterator<Item = usize>,
    gradient: &[f64],
) {
    let mut point = point.to_vec();
    for at in places {
        let value = point[at];
        point[at] = value + STEP;
        let above = loss(&point);
        point[at] = value - STEP;
        let below = loss(&point);
        point[at] = value;
        let expected = (above - below) / (2.0 * STEP);
        let distance = (gradient[at] - expected).abs();
        assert!(
            distance <= TOLERANCE * (1.0 + expected.abs()),
            "{what}: derivative {at} is {}, the difference quotient {expected}",
            gradient[at]
        );
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn activations() {
    let (rows, columns) = (5, 7);
    for activation in ACTIVATIONS {
        let mut random = Random(1);
        let (z, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
        let forward = |z: &[f64]| run(ActivationForward { columns, activation }, rows, &[z], z.len());
        let y = forward(&z);
        let kept = if activation.keeps_input() { &z } else { &y };
        let gradient = run(ActivationBackward { columns, activation }, rows, &[&dy, kept], z.len());
        check(&format!("{activation:?}"), |z| dot(&dy, &forward(z)), &z, real(rows, columns), &gradient);
    }
}

#[test]
fn relu() {
    let (rows, columns) = (6, 5);
    let mut random = Random(2);
    let (z, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
    let forward = |z: &[f64]| run(ReluForward { columns }, rows, &[z], z.len());
    let gradient = run(ReluBackward { columns }, rows, &[&dy, &forward(&z)], z.len());
    check("relu", |z| dot(&dy, &forward(z)), &z, real(rows, columns), &gradient);
}

#[test]
fn rescale() {
    let (rows, columns) = (5, 6);
    let mut random = Random(9);
    let (x, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
    let forward = |x: &[f64]| run(RescaleForward { columns, scale: -0.7, offset: 2.5 }, rows, &[x], x.len());
    let gradient = run(RescaleBackward { columns, scale: -0.7 }, rows, &[&dy], x.len());
    check("rescale", |x| dot(&dy, &forward(x)), &x, real(rows, columns), &gradient);
}

#[test]
fn dropout() {
    let (rows, columns) = (6, 11);
    for rate in [0.0, 0.25, 0.8] {
        let mut random = Random(10);
        let (x, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
        let kernel = DropoutForward { columns, rate, draws: Draws { seed: 1, layer: 2 } };
        let forward = |x: &[f64]| run(kernel.clone(), rows, &[x], x.len());
        let gradient = run(DropoutBackward { forward: kernel.clone() }, rows, &[&dy], x.len());
        check("dropout", |x| dot(&dy, &forward(x)), &x, real(rows, columns), &gradient);
    }
}

/// Outputs of a kernel whose inputs are all numbers, from what they hold before.
fn run_all<const N: usize>(
    kernel: &Kernel,
    rows: usize,
    inputs: &[&[f64]],
    mut outputs: [Vec<f64>; N],
) -> [Vec<f64>; N] {
    let inputs: Vec<_> = inputs.iter().map(|values| Input::Floats(values)).collect();
    kernel.reference(&step(rows), &inputs, &mut outputs.each_mut().map(|output| Output::Floats(output)));
    outputs
}

/// Shapes of normalizations, and where γ and β are.
fn norms() -> impl Iterator<Item = (usize, usize, Affine)> {
    let shapes = [(1, 1), (1, 6), (5, 1), (2, 3), (6, 7), (7, 4)];
    let kinds = [(Some(0), Some(64)), (Some(0), None), (None, Some(0)), (None, None)];
    shapes.into_iter().flat_map(move |(rows, columns)| {
        kinds.into_iter().map(move |(gamma, beta)| (rows, columns, Affine { gamma, beta }))
    })
}

/// A layer's range with γ and β in it, and the places of their numbers.
fn range_of(affine: Affine, columns: usize, random: &mut Random) -> (Vec<f64>, Vec<usize>) {
    let offsets = [affine.gamma, affine.beta].into_iter().flatten();
    let places: Vec<_> = offsets.flat_map(|offset| offset..offset + columns).collect();
    let mut weights = vec![0.0; 64 + padded(columns)];
    places.iter().for_each(|&at| weights[at] = random.away_from_zero());
    (weights, places)
}

#[test]
fn prelu() {
    let (rows, columns) = (5, 6);
    let mut random = Random(13);
    let (x, dy, alpha) = (random.matrix(rows, columns), random.matrix(rows, columns), random.matrix(1, columns));
    let loss = |x: &[f64], alpha: &[f64]| dot(&dy, &run(PreluForward { columns }, rows, &[x, alpha], x.len()));
    let dx = run(PreluBackward { columns }, rows, &[&dy, &x, &alpha], x.len());
    check("prelu", |x| loss(x, &alpha), &x, real(rows, columns), &dx);
    let kernel = PreluBackwardParameters { columns, keep: Keep::Overwrite };
    let gradients = run(kernel, rows, &[&dy, &x], alpha.len());
    check("prelu's slopes", |alpha| loss(&x, alpha), &alpha, real(1, columns), &gradients);
}

#[test]
fn layer_norm() {
    for (rows, columns, affine) in norms() {
        let mut random = Random(11);
        let (x, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
        let (weights, places) = range_of(affine, columns, &mut random);
        // Large, so that what is nearly constant does not bend too much for a difference.
        let forward_kernel: Kernel = LayerNormForward { columns, epsilon: 0.1, affine }.into();
        let forward = |x: &[f64], weights: &[f64]| {
            let outputs = [vec![0.0; x.len()], vec![0.0; 2 * padded(rows)]];
            run_all(&forward_kernel, rows, &[x, weights], outputs)
        };
        let [_, moments] = forward(&x, &weights);
        let loss = |x: &[f64], weights: &[f64]| dot(&dy, &forward(x, weights)[0]);
        let what = format!("layer norm of {rows} × {columns}, {affine:?}");
        let dx = run(LayerNormBackward { columns, affine }, rows, &[&dy, &x, &weights, &moments], x.len());
        check(&what, |x| loss(x, &weights), &x, real(rows, columns), &dx);
        let kernel = LayerNormBackwardParameters { columns, affine, keep: Keep::Overwrite };
        let gradients = run(kernel, rows, &[&dy, &x, &moments], weights.len());
        check(&what, |weights| loss(&x, weights), &weights, places.into_iter(), &gradients);
    }
}

#[test]
fn batch_norm() {
    for (rows, columns, affine) in norms() {
        let mut random = Random(12);
        let (x, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
        let (weights, places) = range_of(affine, columns, &mut random);
        let (epsilon, momentum, variance_offset) = (0.1, 0.9, 64);
        let forward_kernel: Kernel = BatchNormForward { columns, epsilon, momentum, affine, variance_offset }.into();
        let forward = |x: &[f64], weights: &[f64]| {
            let outputs = [vec![0.0; x.len()], vec![0.0; 2 * padded(columns)], vec![0.0; 64 + padded(columns)]];
            run_all(&forward_kernel, rows, &[x, weights], outputs)
        };
        let [_, moments, _] = forward(&x, &weights);
        let loss = |x: &[f64], weights: &[f64]| dot(&dy, &forward(x, weights)[0]);
        let kernel = BatchNormBackward { columns, affine, input_gradient: true, keep: Keep::Overwrite }.into();
        let outputs = [vec![0.0; x.len()], vec![0.0; weights.len()]];
        let [dx, gradients] = run_all(&kernel, rows, &[&dy, &x, &weights, &moments], outputs);
        let what = format!("batch norm of {rows} × {columns}, {affine:?}");
        check(&what, |x| loss(x, &weights), &x, real(rows, columns), &dx);
        check(&what, |weights| loss(&x, weights), &weights, places.into_iter(), &gradients);
    }
}

#[test]
fn batch_norm_inference() {
    for (rows, columns, affine) in norms() {
        let mut random = Random(13);
        let (x, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
        let (weights, _) = range_of(affine, columns, &mut random);
        let mut moving = random.matrix(1, 64 + columns);
        moving.iter_mut().for_each(|value| *value = value.abs());
        let kernel = BatchNormInferenceForward { columns, epsilon: 1e-3, affine, variance_offset: 64 };
        let forward = |x: &[f64]| run(kernel.clone(), rows, &[x, &weights, &moving], x.len());
        let backward = BatchNormInferenceBackward { forward: kernel.clone() };
        let dx = run(backward, rows, &[&dy, &weights, &moving], x.len());
        check("batch norm in inference", |x| dot(&dy, &forward(x)), &x, real(rows, columns), &dx);
    }
}

#[test]
fn softmax() {
    for (rows, columns) in [(3, 1), (4, 2), (5, 10)] {
        let mut random = Random(3);
        let (z, dy) = (random.matrix(rows, columns), random.matrix(rows, columns));
        let forward = |z: &[f64]| run(SoftmaxForward { columns }, rows, &[z], z.len());
        let gradient = run(SoftmaxBackward { columns }, rows, &[&dy, &forward(&z)], z.len());
        check("softmax", |z| dot(&dy, &forward(z)), &z, real(rows, columns), &gradient);
    }
}

/// A layer's weights: the kernel, and the bias behind it.
struct Layer {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    weights: Vec<f64>,
}

impl Layer {
    fn new(random: &mut Random, inputs: usize, outputs: usize, activation: Activation) -> Self {
        let mut weights = random.matrix(inputs, outputs);
        weights.extend((0..padded(outputs)).map(|o| if o < outputs { random.away_from_zero() } else { 0.0 }));
        Layer { inputs, outputs, activation, weights }
    }

    fn bias(&self) -> Option<usize> {
        Some(padded(self.inputs) * padded(self.outputs))
    }

    /// The places of W's elements and of b's.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let offset = padded(self.inputs) * padded(self.outputs);
        real(self.inputs, self.outputs).chain(offset..offset + self.outputs)
    }

    fn forward(&self, rows: usize, x: &[f64], weights: &[f64], activation: Activation) -> Vec<f64> {
        let (inputs, outputs, bias_offset) = (self.inputs, self.outputs, self.bias());
        let kernel =
            DenseForward { inputs, outputs, bias_offset, activation, tiling: TILING, shares: Shares::default() };
        run(kernel, rows, &[x, weights], padded(rows) * padded(outputs))
    }

    /// The gradient of the weights, from that of z.
    fn backward_weights(&self, rows: usize, x: &[f64], dz: &[f64]) -> Vec<f64> {
        let (inputs, outputs, bias_offset) = (self.inputs, self.outputs, self.bias());
        let (shares, keep) = (Shares::default(), Keep::Overwrite);
        let kernel = DenseBackwardWeights { inputs, outputs, bias_offset, tiling: TILING, shares, keep };
        run(kernel, rows, &[x, dz], self.weights.len())
    }

    /// The gradient of the sums of the layer before, whose activation kept `kept`.
    fn backward_input(&self, rows: usize, dz: &[f64], before: Activation, kept: &[f64]) -> Vec<f64> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let kernel = DenseBackwardInput { inputs, outputs, activation: before, tiling: TILING };
        run(kernel, rows, &[dz, &self.weights, kept], padded(rows) * padded(inputs))
    }
}

#[test]
fn dense() {
    let rows = 5;
    for (inputs, outputs) in [(1, 1), (3, 6), (7, 2), (4, 4)] {
        let mut random = Random(4);
        let layer = Layer::new(&mut random, inputs, outputs, Activation::Linear);
        let (x, dz) = (random.matrix(rows, inputs), random.matrix(rows, outputs));
        let loss = |x: &[f64], weights: &[f64]| dot(&dz, &layer.forward(rows, x, weights, Activation::Linear));
        let dx = layer.backward_input(rows, &dz, Activation::Linear, &x);
        check("dx", |x| loss(x, &layer.weights), &x, real(rows, inputs), &dx);
        let gradients = layer.backward_weights(rows, &x, &dz);
        check("dW and db", |weights| loss(&x, weights), &layer.weights, layer.places(), &gradients);
    }
}

/// The product's epilogue, f′ of the layer before, against differences through f and the product.
#[test]
fn dense_behind_an_activation() {
    let rows = 5;
    for activation in ACTIVATIONS {
        let mut random = Random(5);
        let layer = Layer::new(&mut random, 6, 3, Activation::Linear);
        let (z, dy) = (random.matrix(rows, 6), random.matrix(rows, 3));
        let activate = |z: &[f64]| run(ActivationForward { columns: 6, activation }, rows, &[z], z.len());
        let forward = |z: &[f64]| dot(&dy, &layer.forward(rows, &activate(z), &layer.weights, Activation::Linear));
        let y = activate(&z);
        let gradient = layer.backward_input(rows, &dy, activation, if activation.keeps_input() { &z } else { &y });
        check(&format!("{activation:?}"), forward, &z, real(rows, 6), &gradient);
    }
}

/// Every loss, with settings of its own.
fn all_losses() -> impl Iterator<Item = Loss> {
    let focal = [0.0, 0.7, 3.0].into_iter().flat_map(|gamma| {
        let balanced = Loss::BinaryFocalCrossentropy { alpha: Some(0.3), gamma };
        [Loss::CategoricalFocalCrossentropy { alpha: 0.6, gamma }, balanced]
    });
    Loss::ALL.into_iter().chain([Loss::Huber { delta: 0.4 }]).chain(focal)
}

fn loss_kernel(loss: Loss, targets: TargetLayout) -> Kernel {
    match loss {
        Loss::CategoricalCrossentropy => SoftmaxCrossEntropy { targets, gradient: true }.into(),
        loss => OutputLoss { loss, targets, gradient: true }.into(),
    }
}

/// The mean loss of a batch, and the gradient that the kernel gives.
fn loss_of(kernel: &Kernel, rows: usize, z: &[f64], labels: &[u32]) -> (f64, Vec<f64>) {
    let (mut gradient, mut losses) = (vec![0.0; z.len()], vec![0.0; 2 * padded(rows)]);
    let inputs = [Input::Floats(z), Input::Words(labels)];
    kernel.reference(&step(rows), &inputs, &mut [Output::Floats(&mut gradient), Output::Floats(&mut losses)]);
    (mean_loss(&losses, rows), gradient)
}

fn mean_loss(losses: &[f64], rows: usize) -> f64 {
    losses.chunks_exact(2).take(rows).map(|row| row[0]).sum::<f64>() / rows as f64
}

/// Targets, each row with a weight behind it.
fn labels_of(random: &mut Random, layout: &TargetLayout, rows: usize) -> Vec<u32> {
    let classes = layout.columns.max(2) as f64;
    let mut labels = vec![0; padded(rows) * layout.label_words()];
    for label in labels.chunks_exact_mut(layout.label_words()).take(rows) {
        let (targets, weight) = label.split_at_mut(layout.words());
        targets.iter_mut().for_each(|word| {
            *word = match layout.ids {
                true => (random.number() * classes) as u32,
                false => (random.number() as f32).to_bits(),
            }
        });
        weight[0] = (0.1 + random.number() as f32).to_bits();
    }
    labels
}

/// Every loss with class ids and rows, one output and several, with label smoothing and without.
fn losses_and_layouts() -> impl Iterator<Item = (Loss, TargetLayout)> {
    let shapes = [(1, true), (1, false), (4, true), (10, false), (3, true)];
    let smoothed = |shape| [(shape, 0.0), (shape, 0.1)];
    all_losses().flat_map(move |loss| {
        let binary = matches!(loss, Loss::BinaryCrossentropy | Loss::BinaryFocalCrossentropy { .. });
        shapes.into_iter().flat_map(smoothed).map(move |((columns, ids), smoothing)| {
            let share = if binary { 2.0 } else { columns as f32 };
            (loss, TargetLayout { ids, columns, smoothing, smoothing_share: smoothing / share })
        })
    })
}

/// Outputs that the loss has an opinion of, and away from where it bends: shares for the divergence, counts for Poisson's.
fn suited(loss: Loss, mut z: Vec<f64>) -> Vec<f64> {
    let positive = |y: f64| y.abs() + 0.2;
    z.iter_mut().for_each(|z| {
        *z = match loss {
            Loss::KlDivergence => 0.55 * positive(*z),
            Loss::Poisson | Loss::MeanSquaredLogarithmicError => positive(*z),
            _ => *z,
        }
    });
    z
}

#[test]
fn losses() {
    let rows = 5;
    // In per cent of a target of 0 a loss is so large that differences have no digits left.
    let told = |(loss, layout): &(Loss, TargetLayout)| !(layout.ids && *loss == Loss::MeanAbsolutePercentageError);
    for (loss, layout) in losses_and_layouts().filter(told) {
        let mut random = Random(6);
        let kernel = loss_kernel(loss, layout);
        let (labels, z) = (labels_of(&mut random, &layout, rows), random.matrix(rows, layout.columns));
        let z = suited(loss, z);
        let (_, gradient) = loss_of(&kernel, rows, &z, &labels);
        let loss = |z: &[f64]| loss_of(&kernel, rows, z, &labels).0;
        check(&format!("{kernel:?}"), loss, &z, real(rows, layout.columns), &gradient);
    }
}

/// The last layer with its loss: the gradient of what the layer before computed its activation from, and that of the layer's
/// own outputs by way of its bias, whose gradient is its sum.
#[test]
fn dense_loss() {
    let rows = 5;
    // What a formula may be is the test before's matter: one of each loop.
    let loops = [Loss::CategoricalCrossentropy, Loss::BinaryCrossentropy, Loss::MeanSquaredError];
    for (index, (loss, targets)) in losses_and_layouts().filter(|(loss, _)| loops.contains(loss)).enumerate() {
        let activations = ACTIVATIONS.into_iter().filter(|activation| !activation.keeps_input());
        let activation = activations.clone().nth(index % activations.count()).unwrap();
        let mut random = Random(8);
        let layer = Layer::new(&mut random, 6, targets.columns, Activation::Linear);
        let bias = padded(6) * padded(targets.columns);
        let kernel: Kernel = DenseLoss {
            inputs: 6,
            bias_offset: Some(bias),
            loss: RowLoss { loss, targets, gradient: true },
            before: Some(activation),
            tile: Tile { lines: 1, rows: 4, splits: 8 },
        }
        .into();
        let (labels, before) = (labels_of(&mut random, &targets, rows), random.matrix(rows, 6));
        let all = |before: &[f64], weights: &[f64]| {
            let x = run(ActivationForward { columns: 6, activation }, rows, &[before], before.len());
            let mut outputs =
                [vec![0.0; padded(rows) * padded(targets.columns)], vec![0.0; 2 * padded(rows)], x.clone()];
            let inputs = [Input::Floats(&x), Input::Floats(weights), Input::Words(&labels)];
            let mut sinks = outputs.each_mut().map(|output| Output::Floats(output));
            kernel.reference(&step(rows), &inputs, &mut sinks);
            outputs
        };
        let [gradient, _, down] = all(&before, &layer.weights);
        let loss = |before: &[f64], weights: &[f64]| mean_loss(&all(before, weights)[1], rows);
        check(&format!("{kernel:?}"), |before| loss(before, &layer.weights), &before, real(rows, 6), &down);
        let mut sums = vec![0.0; layer.weights.len()];
        real(rows, targets.columns).for_each(|at| sums[bias + at % padded(targets.columns)] += gradient[at]);
        let places = bias..bias + targets.columns;
        check(&format!("{kernel:?}"), |weights| loss(&before, weights), &layer.weights, places, &sums);
    }
}

/// A whole net of two layers, its backward pass chained by hand as a plan chains it.
#[test]
fn net_of_two_layers() {
    let rows = 5;
    for hidden in ACTIVATIONS {
        let mut random = Random(7);
        let first = Layer::new(&mut random, 6, 5, hidden);
        let second = Layer::new(&mut random, 5, 3, Activation::Linear);
        let layout = TargetLayout { ids: true, columns: 3, smoothing: 0.1, smoothing_share: 0.1 / 3.0 };
        let kernel: Kernel = SoftmaxCrossEntropy { targets: layout, gradient: true }.into();
        let (x, labels) = (random.matrix(rows, 6), labels_of(&mut random, &layout, rows));
        let logits = |w1: &[f64], w2: &[f64]| {
            let y = first.forward(rows, &x, w1, first.activation);
            second.forward(rows, &y, w2, second.activation)
        };
        let loss = |w1: &[f64], w2: &[f64]| loss_of(&kernel, rows, &logits(w1, w2), &labels).0;
        let (_, dz2) = loss_of(&kernel, rows, &logits(&first.weights, &second.weights), &labels);
        let z1 = first.forward(rows, &x, &first.weights, Activation::Linear);
        let y1 = first.forward(rows, &x, &first.weights, hidden);
        let dw2 = second.backward_weights(rows, &y1, &dz2);
        let dz1 = second.backward_input(rows, &dz2, hidden, if hidden.keeps_input() { &z1 } else { &y1 });
        let dw1 = first.backward_weights(rows, &x, &dz1);
        check(&format!("{hidden:?}, layer 2"), |w| loss(&first.weights, w), &second.weights, second.places(), &dw2);
        check(&format!("{hidden:?}, layer 1"), |w| loss(w, &second.weights), &first.weights, first.places(), &dw1);
    }
}
