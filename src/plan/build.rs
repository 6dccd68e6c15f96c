//! Builds a plan from the descriptions. Each method adds the launches of one part of a step; what a layer leaves behind
//! for the backward pass is in [`Trace`]. What becomes of the gradients is in `updates`.

mod updates;

use super::dispatches::{Room, dispatches};
use super::{Argument, Buffer, Launch, Mode, Phase, Plan, PlanKey, Store};
use crate::kernels::activation_backward::ActivationBackward;
use crate::kernels::activation_forward::ActivationForward;
use crate::kernels::binary_crossentropy::BinaryCrossentropy;
use crate::kernels::dense_backward_input::DenseBackwardInput;
use crate::kernels::dense_backward_weights::DenseBackwardWeights;
use crate::kernels::dense_forward::DenseForward;
use crate::kernels::dense_loss::{self, DenseLoss, Tile};
use crate::kernels::gather_batch::GatherBatch;
use crate::kernels::loss::{Formula, RowLoss};
use crate::kernels::mean_squared_error::MeanSquaredError;
use crate::kernels::product::{Choices, Tiling};
use crate::kernels::relu_backward::ReluBackward;
use crate::kernels::relu_forward::ReluForward;
use crate::kernels::scale::{Gradients, LossScale};
use crate::kernels::shares::Shares;
use crate::kernels::softmax_backward::SoftmaxBackward;
use crate::kernels::softmax_cross_entropy::SoftmaxCrossEntropy;
use crate::kernels::softmax_forward::SoftmaxForward;
use crate::kernels::storage::{Precision, Storage};
use crate::kernels::targets::TargetLayout;
use crate::kernels::update::TENSOR_ENTRY;
use crate::kernels::{Kernel, Operation, padded};
use crate::layers::Activation;
use crate::losses::{Loss, LossFunction};
use crate::optimizers::Optimizer;
use crate::parameters::{LayerRange, Layout};
use crate::sequential::Sequential;
use crate::step::StepBlock;

/// Everything that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe<'a> {
    pub model: &'a Sequential,
    pub layout: &'a Layout,
    pub loss: &'a LossFunction,
    pub optimizer: &'a Optimizer,
    pub choices: &'a Choices,
}

/// What stands in a product until its tiling is chosen.
const UNCHOSEN: Tiling = Tiling::Direct { rows: 1, columns: 1, workgroup: 1 };

/// What a layer's forward pass leaves behind.
#[derive(Clone, Copy, Debug)]
struct Trace {
    input: Argument,
    output: Argument,
    /// What f′ is computed from.
    kept: Argument,
}

/// What the loss leaves for the backward pass.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// The gradient of what the loss is computed from.
    gradient: Argument,
    /// The gradient of the last layer's input, where it was made along with that, and whether it is dz of the layer below
    /// already.
    below: Option<(Argument, bool)>,
}

struct Builder<'a> {
    recipe: Recipe<'a>,
    key: PlanKey,
    buffers: Vec<Buffer>,
    launches: Vec<Launch>,
    step: Argument,
    next: Argument,
}

impl Recipe<'_> {
    /// The plan for one way of using the model.
    pub fn plan(&self, key: PlanKey) -> Plan {
        let mut builder = Builder {
            recipe: *self,
            key,
            buffers: Vec::new(),
            launches: Vec::new(),
            step: Argument { buffer: 0, offset: 0, words: 0 },
            next: Argument { buffer: 0, offset: 0, words: 0 },
        };
        builder.step = builder.local("step", StepBlock::WORDS);
        builder.next = builder.local("next", StepBlock::WORDS);
        let (x, labels) = builder.gather();
        let traces = builder.forward(x);
        let outputs = traces.last().map_or(x, |trace| trace.output);
        let mut statistics = None;
        if key.mode != Mode::Predict {
            let rows = builder.local("rows", 2 * padded(key.capacity));
            let made = match builder.ends_in_one() {
                true => builder.dense_loss(&traces, labels, rows),
                false => builder.loss(outputs, labels, rows),
            };
            if key.mode == Mode::Train {
                builder.backward(&traces, made);
            }
            statistics = Some(builder.finish(rows));
        }
        let room = builder.room();
        Plan {
            key,
            buffers: builder.buffers,
            dispatches: dispatches(&builder.launches, room),
            launches: builder.launches,
            step: builder.step.buffer,
            next: builder.next.buffer,
            statistics,
            outputs: outputs.buffer,
        }
    }
}

impl Builder<'_> {
    fn buffer(&mut self, label: &str, store: Store, words: usize) -> Argument {
        let known = self.buffers.iter().position(|buffer| store != Store::Local && buffer.store == store);
        let buffer = known.unwrap_or_else(|| {
            self.buffers.push(Buffer { label: label.to_string(), store, words, precision: Precision::F32, copies: 1 });
            self.buffers.len() - 1
        });
        Argument { buffer, offset: 0, words: 0 }
    }

    fn local(&mut self, label: &str, words: usize) -> Argument {
        self.buffer(label, Store::Local, words)
    }

    /// A batch of rows, each padded to four numbers.
    fn batch(&mut self, label: &str, columns: usize, precision: Precision) -> Argument {
        let numbers = padded(self.key.capacity) * padded(columns);
        let words = match precision {
            Precision::F32 => numbers,
            Precision::F16 => numbers / 2,
        };
        let batch = self.local(label, words);
        self.buffers[batch.buffer].precision = precision;
        batch
    }

    /// What layer `index` leaves is stored in: the model's outputs are in f32 always.
    fn precision_of(&self, index: usize) -> Precision {
        if index + 1 == self.recipe.model.layers.len() { Precision::F32 } else { self.key.precision }
    }

    /// What gradients of activations are stored in, where there are any.
    fn gradient_precision(&self) -> Precision {
        if self.key.mode == Mode::Train { self.key.precision } else { Precision::F32 }
    }

    fn parameters(&mut self) -> Argument {
        self.buffer("parameters", Store::Parameters, self.recipe.layout.length)
    }

    fn gradients(&mut self) -> Argument {
        self.buffer("gradients", Store::Gradients, self.recipe.layout.length)
    }

    fn tensors(&mut self) -> Argument {
        self.buffer("tensors", Store::Tensors, self.recipe.layout.tensors.len() * TENSOR_ENTRY)
    }

    fn range(argument: Argument, range: LayerRange) -> Argument {
        Argument { offset: range.offset, words: range.length, ..argument }
    }

    /// Adds a launch. How its numbers are stored follows from its buffers; where gradients are scaled, it binds the scale
    /// too.
    fn launch(&mut self, phase: Phase, label: impl Into<String>, kernel: impl Into<Kernel>, arguments: &[Argument]) {
        let (kernel, mut arguments) = (kernel.into(), arguments.to_vec());
        let mut storage = Storage::default();
        for (binding, argument) in arguments.iter().enumerate() {
            if self.buffers[argument.buffer].precision == Precision::F16 {
                storage = storage.with_half(binding);
            }
        }
        if self.gradient_precision() == Precision::F16 && kernel.gradients() != Gradients::None {
            storage = storage.with_scale();
            arguments.push(self.buffer("loss_scale", Store::LossScale, LossScale::WORDS));
        }
        self.launches.push(Launch { label: label.into(), phase, kernel, storage, arguments });
    }

    /// The tiling that suits a product: the fastest one where that was measured, else by its size.
    fn tiling(&self, product: &impl Operation) -> Tiling {
        let product = product.product(self.key.capacity, self.key.precision);
        product.map_or(UNCHOSEN, |product| self.recipe.choices.choose(product, self.key.device))
    }

    /// How a layer's memory is shared out.
    fn shares(&self, index: usize) -> Shares {
        let kernel = self.recipe.layout.layers.get(index).map_or(1, |layer| layer.shares);
        let features = self.recipe.model.input.features();
        Shares { kernel, input: Shares::of_input(kernel, self.key.capacity, features) }
    }

    fn target_layout(&self) -> TargetLayout {
        let loss = self.recipe.loss;
        let columns = self.recipe.model.outputs();
        let smoothing = if self.key.mode == Mode::Train { loss.label_smoothing } else { 0.0 };
        let sharers = if loss.loss == Loss::BinaryCrossentropy { 2.0 } else { columns as f32 };
        TargetLayout {
            ids: self.key.format.target_ids.unwrap_or(false),
            columns,
            smoothing,
            smoothing_share: smoothing / sharers,
        }
    }

    /// Builds the batch; returns samples and labels.
    fn gather(&mut self) -> (Argument, Argument) {
        let features = self.recipe.model.input.features();
        let target_words = if self.key.format.target_ids.is_some() { self.target_layout().words() } else { 0 };
        let copies = self.shares(0).input;
        let kernel = GatherBatch {
            features,
            copies,
            byte_scale: self.key.format.byte_scale,
            target_words,
            weighted: self.key.format.weighted,
        };
        let x = self.batch("x", features, self.key.precision);
        let buffer = &mut self.buffers[x.buffer];
        (buffer.words, buffer.copies) = (copies * buffer.words, copies);
        let labels = self.local("labels", padded(self.key.capacity) * (target_words + 1));
        let arguments = [
            self.next,
            self.buffer("samples", Store::Samples, 0),
            self.buffer("sample_targets", Store::SampleTargets, 0),
            self.buffer("sample_weights", Store::SampleWeights, 0),
            self.buffer("order", Store::Order, 0),
            x,
            labels,
            self.step,
        ];
        self.launch(Phase::Gather, "gather", kernel, &arguments);
        (x, labels)
    }

    /// Whether the last layer, the loss and the gradients down to the layer before are one launch: the loss, or nothing, follows
    /// its sums, and they are few.
    fn ends_in_one(&self) -> bool {
        let (model, key) = (self.recipe.model, &self.key);
        let last = model.layers.len().checked_sub(1);
        let pays = |last| {
            let (inputs, outputs) = model.widths().nth(last).unwrap_or_default();
            dense_loss::pays(inputs, outputs, key.capacity, key.device.family)
        };
        key.fused
            && key.mode != Mode::Predict
            && last.is_some_and(|last| self.activation(last) == Activation::Linear && pays(last))
    }

    /// The layers, first to last; of one that the loss is computed with, what goes into it.
    fn forward(&mut self, x: Argument) -> Vec<Trace> {
        let mut traces: Vec<Trace> = Vec::new();
        let mut input = x;
        let layers = self.recipe.model.layers.len();
        for index in 0..layers {
            let trace = match index + 1 == layers && self.ends_in_one() {
                true => Trace { input, output: input, kept: input },
                false => self.layer_forward(index, input),
            };
            traces.push(trace);
            input = trace.output;
        }
        traces
    }

    /// The activation that layer `index` applies in this plan: none where the loss, or nothing, follows its sums.
    fn activation(&self, index: usize) -> Activation {
        let model = self.recipe.model;
        let is_last = index + 1 == model.layers.len();
        if is_last && self.key.mode != Mode::Predict && model.loss_takes_logits(self.recipe.loss) {
            return Activation::Linear;
        }
        model.layers[index].activation
    }

    /// Whether an activation may ride in a product's epilogue: it works number by number, and nobody needs z.
    fn fuses(&self, activation: Activation) -> bool {
        self.key.fused && activation != Activation::Softmax && !activation.keeps_input()
    }

    fn layer_forward(&mut self, index: usize, input: Argument) -> Trace {
        let Some((inputs, outputs)) = self.recipe.model.widths().nth(index) else {
            return Trace { input, output: input, kept: input };
        };
        let range = self.recipe.layout.layers[index];
        let activation = self.activation(index);
        let fused = self.fuses(activation);
        let mut kernel = DenseForward {
            inputs,
            outputs,
            bias_offset: range.bias,
            activation: if fused { activation } else { Activation::Linear },
            tiling: UNCHOSEN,
            shares: self.shares(index),
        };
        kernel.tiling = self.tiling(&kernel);
        let parameters = self.parameters();
        let separate = !fused && activation != Activation::Linear;
        let precision = self.precision_of(index);
        let sums = self.batch(&format!("dense_{index}.{}", if separate { "z" } else { "y" }), outputs, precision);
        let arguments = [self.step, input, Self::range(parameters, range), sums];
        self.launch(Phase::Forward, format!("dense_{index}.forward"), kernel, &arguments);
        if !separate {
            return Trace { input, output: sums, kept: sums };
        }
        let y = self.batch(&format!("dense_{index}.y"), outputs, precision);
        let kernel: Kernel = match activation {
            Activation::Relu => ReluForward { columns: outputs }.into(),
            Activation::Softmax => SoftmaxForward { columns: outputs }.into(),
            _ => ActivationForward { columns: outputs, activation }.into(),
        };
        let label = format!("dense_{index}.{activation}");
        self.launch(Phase::Forward, label, kernel, &[self.step, sums, y]);
        Trace { input, output: y, kept: if activation.keeps_input() { sums } else { y } }
    }

    fn row_loss(&self) -> RowLoss {
        let formula = match self.recipe.loss.loss {
            Loss::CategoricalCrossentropy => Formula::SoftmaxCrossEntropy,
            Loss::BinaryCrossentropy => Formula::BinaryCrossentropy,
            Loss::MeanSquaredError => Formula::MeanSquaredError,
        };
        RowLoss { formula, targets: self.target_layout(), gradient: self.key.mode == Mode::Train }
    }

    /// The loss; makes the gradient of what it is computed from.
    fn loss(&mut self, outputs: Argument, labels: Argument, rows: Argument) -> Made {
        let RowLoss { formula, targets, gradient } = self.row_loss();
        let kernel: Kernel = match formula {
            Formula::SoftmaxCrossEntropy => SoftmaxCrossEntropy { targets, gradient }.into(),
            Formula::BinaryCrossentropy => BinaryCrossentropy { targets, gradient }.into(),
            Formula::MeanSquaredError => MeanSquaredError { targets, gradient }.into(),
        };
        let down = self.batch("loss.gradient", targets.columns, self.gradient_precision());
        let arguments = [self.step, outputs, labels, down, rows];
        self.launch(Phase::Loss, self.recipe.loss.loss.to_string(), kernel, &arguments);
        Made { gradient: down, below: None }
    }

    /// The last layer and the loss in one launch, with the gradient of its input where a layer below is trained.
    fn dense_loss(&mut self, traces: &[Trace], labels: Argument, rows: Argument) -> Made {
        let (index, loss) = (traces.len() - 1, self.row_loss());
        let (input, range) = (traces[index].input, self.recipe.layout.layers[index]);
        let (inputs, outputs) = self.recipe.model.widths().nth(index).unwrap_or_default();
        let wanted = loss.gradient && self.lowest_trained().is_some_and(|lowest| lowest < index);
        // f' is had from what the layer reads, or else in a launch of its own, which has another buffer for it.
        let riding = wanted.then(|| self.riding_derivative(index - 1)).filter(|(f, _)| !f.keeps_input());
        let below = riding.map(|(_, rides)| (self.gradient_below(index, rides), rides));
        let tile = Tile::choose(inputs, outputs, self.key.capacity, self.key.device.family);
        let kernel = DenseLoss { inputs, bias_offset: range.bias, loss, before: riding.map(|(f, _)| f), tile };
        let gradient = self.batch("loss.gradient", outputs, self.gradient_precision());
        let dx = below.map_or_else(|| self.local("no_gradient", 4), |(down, _)| down);
        let weights = Self::range(self.parameters(), range);
        let label = format!("dense_{index}.{}", self.recipe.loss.loss);
        self.launch(Phase::Loss, label, kernel, &[self.step, input, weights, labels, gradient, rows, dx]);
        Made { gradient, below }
    }

    /// Below this layer no gradient is needed.
    fn lowest_trained(&self) -> Option<usize> {
        self.recipe.model.layers.iter().position(|layer| layer.trainable)
    }

    /// The layers, last to first, then the reductions and the update.
    fn backward(&mut self, traces: &[Trace], made: Made) {
        let model = self.recipe.model;
        let Some(lowest) = self.lowest_trained() else { return };
        let mut below = made.below;
        let mut down = made.gradient;
        let mut done = false; // whether `down` is dz already, not dy
        let mut riding = Vec::new();
        for index in (lowest..model.layers.len()).rev() {
            let dz = if done { down } else { self.activation_backward(index, &traces[index], down) };
            if model.layers[index].trainable {
                if self.updates_ride() {
                    riding.push((index, dz));
                } else {
                    self.weights_backward(index, &traces[index], dz);
                }
            }
            if index > lowest {
                let made = below.take();
                (down, done) = made.unwrap_or_else(|| self.input_backward(index, &traces[index - 1], dz));
            }
        }
        if !self.updates_ride() {
            self.update();
        }
        // Only now: the gradient of a layer's input is computed with its parameters as they were.
        let first = self.launches.len();
        for (index, dz) in riding {
            self.riding_update(index, &traces[index], dz);
        }
        self.bring_to_one_size(first);
    }

    /// What a dispatch may take.
    fn room(&self) -> Room {
        if self.key.fused { self.key.room } else { Room::default() }
    }

    fn activation_backward(&mut self, index: usize, trace: &Trace, dy: Argument) -> Argument {
        let columns = self.recipe.model.layers[index].units;
        let activation = self.activation(index);
        let kernel: Kernel = match activation {
            Activation::Linear => return dy,
            Activation::Relu => ReluBackward { columns }.into(),
            Activation::Softmax => SoftmaxBackward { columns }.into(),
            _ => ActivationBackward { columns, activation }.into(),
        };
        let dz = self.batch(&format!("dense_{index}.dz"), columns, self.gradient_precision());
        let label = format!("dense_{index}.{activation}.backward");
        self.launch(Phase::Backward, label, kernel, &[self.step, dy, trace.kept, dz]);
        dz
    }

    fn weights_kernel(&self, index: usize) -> Option<DenseBackwardWeights> {
        let (inputs, outputs) = self.recipe.model.widths().nth(index)?;
        let bias_offset = self.recipe.layout.layers[index].bias;
        let mut kernel =
            DenseBackwardWeights { inputs, outputs, bias_offset, tiling: UNCHOSEN, shares: self.shares(index) };
        kernel.tiling = self.tiling(&kernel);
        Some(kernel)
    }

    fn weights_backward(&mut self, index: usize, trace: &Trace, dz: Argument) {
        let Some(kernel) = self.weights_kernel(index) else { return };
        let gradients = Self::range(self.gradients(), self.recipe.layout.layers[index]);
        let label = format!("dense_{index}.backward_weights");
        self.launch(Phase::Backward, label, kernel, &[self.step, trace.input, dz, gradients]);
    }

    /// The activation of layer `index` whose derivative rides in the launch that makes the gradient of its output, linear for
    /// none, and whether that makes it dz.
    fn riding_derivative(&self, index: usize) -> (Activation, bool) {
        let activation = self.recipe.model.layers[index].activation;
        let rides = self.key.fused && activation != Activation::Softmax;
        (if rides { activation } else { Activation::Linear }, rides)
    }

    /// Where the gradient of layer `index`'s input goes.
    fn gradient_below(&mut self, index: usize, is_dz: bool) -> Argument {
        let inputs = self.recipe.model.widths().nth(index).map_or(0, |(inputs, _)| inputs);
        self.batch(
            &format!("dense_{}.{}", index - 1, if is_dz { "dz" } else { "dy" }),
            inputs,
            self.gradient_precision(),
        )
    }

    /// The gradient of layer `index`'s input, which is the output of the layer before: dz of that layer where its
    /// activation may ride along, else dy.
    fn input_backward(&mut self, index: usize, before: &Trace, dz: Argument) -> (Argument, bool) {
        let Some((inputs, outputs)) = self.recipe.model.widths().nth(index) else { return (dz, false) };
        let (activation, rides) = self.riding_derivative(index - 1);
        let mut kernel = DenseBackwardInput { inputs, outputs, activation, tiling: UNCHOSEN };
        kernel.tiling = self.tiling(&kernel);
        let parameters = self.parameters();
        let weights = Self::range(parameters, self.recipe.layout.layers[index]);
        let down = self.gradient_below(index, rides);
        let arguments = [self.step, dz, weights, before.kept, down];
        self.launch(Phase::Backward, format!("dense_{index}.backward_input"), kernel, &arguments);
        (down, rides)
    }
}
