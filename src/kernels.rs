//! The operations: what is computed, each in one WGSL file, one Rust file and one test file of the same name, and one row
//! in the registry below. An operation's Rust file holds its parameters, its list of bindings, its grid and its
//! `reference`, the same arithmetic in plain loops. *How* a product is computed is a [`product::Tiling`].
//!
//! Nothing here knows of models, plans or devices. The module is public for those who test kernels or add one; its
//! contents may change in any release.

use crate::cpu::Cpu;
use crate::shader::{self, Header, Part, Side};
use crate::step::StepBlock;

mod operation;
pub mod parts;
mod real;
pub use operation::{Access, Binding, Definition, Element, Input, Operation, Output, Work, Workgroup};
pub use parts::{
    activation, adadelta, adagrad, adam, adamax, columns, ftrl, gradients, hash, lanes, lion, loss, nadam, norm,
    product, rmsprop, scale, sgd, storage, targets, update,
};
pub(crate) use real::WORKGROUP;
pub use real::{Real, blocks, padded};

pub use crate::cpu::shares;

use scale::Gradients;
use storage::{Precision, Storage};

macro_rules! registry {
    ($($module:ident $Name:ident: $what:literal,)*) => {
        $(pub mod $module;)*

        /// An operation with its parameters: what a launch runs.
        #[derive(Clone, Debug)]
        pub enum Kernel {
            $(#[doc = $what] $Name($module::$Name),)*
        }

        /// Every operation there is.
        pub const REGISTRY: &[Definition] = &[$($module::$Name::DEFINITION,)*];

        impl Kernel {
            /// The operation's row in the registry, with the bindings that its parameters have.
            pub fn definition(&self) -> Definition {
                match self { $(Kernel::$Name(operation) => operation.definition(),)* }
            }

            /// What the operation has to do with gradients of activations.
            pub fn gradients(&self) -> Gradients {
                match self { $(Kernel::$Name(_) => $module::$Name::GRADIENTS,)* }
            }

            fn header(&self, header: &mut Header) {
                match self { $(Kernel::$Name(operation) => operation.header(header),)* }
            }

            fn parts(&self) -> Vec<Part> {
                match self { $(Kernel::$Name(operation) => operation.parts(),)* }
            }

            /// The matrix product that it computes; see [`Operation::product`].
            pub fn product(&self, capacity: usize, precision: Precision) -> Option<product::Product> {
                match self { $(Kernel::$Name(operation) => operation.product(capacity, precision),)* }
            }

            /// How many workgroups a launch has, for a batch of at most `capacity` rows.
            pub fn workgroups(&self, capacity: usize) -> usize {
                match self { $(Kernel::$Name(operation) => operation.workgroups(capacity),)* }
            }

            /// What its workgroups are, if it may stand beside others; see [`Operation::workgroup`].
            pub fn workgroup(&self) -> Option<Workgroup> {
                match self { $(Kernel::$Name(operation) => operation.workgroup(),)* }
            }

            /// What a launch does at least; see [`Operation::work`].
            pub fn work(&self, rows: usize, bound: u64) -> Work {
                match self { $(Kernel::$Name(operation) => operation.work(rows, bound),)* }
            }

            /// The operation in plain loops; see [`Operation::reference`].
            pub fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
                match self { $(Kernel::$Name(operation) => operation.reference(step, inputs, outputs),)* }
            }

            /// The same with a scaled loss; see [`Operation::reference_scaled`].
            pub(crate) fn reference_scaled<F: Real>(
                &self,
                scale: F,
                step: &StepBlock,
                inputs: &[Input<'_, F>],
                outputs: &mut [Output<'_, F>],
            ) {
                match self {
                    $(Kernel::$Name(operation) => operation.reference_scaled(scale, step, inputs, outputs),)*
                }
            }

            /// The operation as the CPU device runs it; see [`Operation::run`].
            pub fn run(
                &self,
                cpu: &mut Cpu,
                step: &StepBlock,
                inputs: &[Input<'_, f32>],
                outputs: &mut [Output<'_, f32>],
            ) {
                match self { $(Kernel::$Name(operation) => operation.run(cpu, step, inputs, outputs),)* }
            }
        }

        $(impl From<$module::$Name> for Kernel {
            fn from(operation: $module::$Name) -> Self {
                Kernel::$Name(operation)
            }
        })*
    };
}

registry! {
    gather_batch GatherBatch: "Builds a batch from the data set by index.",
    dense_forward DenseForward: "A layer's output.",
    dense_backward_input DenseBackwardInput: "The gradient of a layer's input.",
    dense_backward_weights DenseBackwardWeights: "The gradients of a layer's kernel and bias.",
    dense_backward_update DenseBackwardUpdate: "The update of a layer's kernel and bias, their gradients in registers.",
    dense_loss DenseLoss: "The last layer, its loss, and the gradients of its outputs and inputs.",
    relu_forward ReluForward: "ReLU.",
    relu_backward ReluBackward: "ReLU's gradient.",
    activation_forward ActivationForward: "Any other activation of one number.",
    activation_backward ActivationBackward: "Its gradient.",
    prelu_forward PreluForward: "ReLU with slopes of its own below zero.",
    prelu_backward PreluBackward: "The gradient of its input.",
    prelu_backward_parameters PreluBackwardParameters: "The gradients of its slopes.",
    softmax_forward SoftmaxForward: "Softmax over a row.",
    softmax_backward SoftmaxBackward: "Its gradient.",
    rescale_forward RescaleForward: "Numbers times a factor and plus an offset.",
    rescale_backward RescaleBackward: "Its gradient.",
    dropout_forward DropoutForward: "Inverted dropout.",
    dropout_backward DropoutBackward: "Its gradient.",
    layer_norm_forward LayerNormForward: "Layer normalization.",
    layer_norm_backward LayerNormBackward: "The gradient of its input.",
    layer_norm_backward_parameters LayerNormBackwardParameters: "The gradients of its γ and β.",
    batch_norm_forward BatchNormForward: "Batch normalization in training.",
    batch_norm_backward BatchNormBackward: "Its gradients.",
    batch_norm_inference_forward BatchNormInferenceForward: "Batch normalization by its moving statistics.",
    batch_norm_inference_backward BatchNormInferenceBackward: "Its gradient.",
    gaussian_noise_forward GaussianNoiseForward: "Numbers with normal noise added.",
    augmentation_forward AugmentationForward: "Images moved, bent and cut.",
    softmax_cross_entropy SoftmaxCrossEntropy: "Softmax and categorical cross-entropy with its gradient.",
    output_loss OutputLoss: "Any other loss with its gradient.",
    sum_squares SumSquares: "Sums of squares, chunk by chunk.",
    gradient_scales GradientScales: "The factors by which clipping by norm shrinks the gradients.",
    rmsprop_update RmspropUpdate: "RMSprop's update.",
    optimizer_update OptimizerUpdate: "Any other optimizer's update.",
    average_weights AverageWeights: "The moving average of the weights.",
    constrain Constrain: "Holds a tensor within bounds.",
    count_answers CountAnswers: "Counts answers for metrics, in tables.",
    sum_errors SumErrors: "Sums up errors for metrics.",
    advance_step AdvanceStep: "Adds up the step's statistics and moves the step block on.",
}

impl Kernel {
    /// How a product is computed, if it is one.
    pub fn tiling(&self) -> Option<product::Tiling> {
        match self {
            Kernel::DenseForward(kernel) => Some(kernel.tiling),
            Kernel::DenseBackwardInput(kernel) => Some(kernel.tiling),
            Kernel::DenseBackwardWeights(kernel) => Some(kernel.tiling),
            Kernel::DenseBackwardUpdate(kernel) => Some(kernel.gradients.tiling),
            _ => None,
        }
    }

    /// The whole shader for numbers that are stored in this way.
    pub fn shader(&self, storage: Storage) -> String {
        let (mut header, mut parts, definition) = (Header::default(), self.parts(), self.definition());
        self.header(&mut header);
        for (index, binding) in definition.bindings.iter().enumerate().filter(|(_, binding)| binding.stored) {
            header.storage(binding.name, storage.is_half(index));
        }
        if definition.bindings.iter().any(|binding| binding.stored) {
            parts.push(shader::STORAGE);
        }
        match (self.gradients(), storage.is_scaled()) {
            (Gradients::None, _) => {}
            (_, false) => parts.push(shader::SCALE_NONE),
            (Gradients::Made(_) | Gradients::Passed(_), true) => parts.push(shader::SCALE_STORED),
            (Gradients::Used(_), true) => parts.push(shader::SCALE_USED),
            (Gradients::Counted, true) => {
                header.number("GROWTH_STEPS", scale::GROWTH_STEPS as usize);
                header.float("SMALLEST_SCALE", scale::SMALLEST).float("LARGEST_SCALE", scale::LARGEST);
                parts.push(shader::SCALE_ADAPTED);
            }
        }
        if storage.is_scaled() && self.gradients() != Gradients::None {
            header.number("LOSS_SCALE", definition.bindings.len());
        }
        header.compose(&parts, definition.source)
    }

    /// One shader for several kernels that share a dispatch, each with the number of its workgroups, which are of one size. It
    /// binds what [`bindings_side_by_side`](Self::bindings_side_by_side) lists.
    pub fn shader_side_by_side(kernels: &[(&Kernel, Storage, usize)]) -> String {
        let texts: Vec<_> = kernels.iter().map(|(kernel, storage, _)| kernel.shader(*storage)).collect();
        shader::side_by_side(&Kernel::sides(kernels, &texts))
    }

    /// What that shader binds: the step block, which all have first, then the others of each.
    pub fn bindings_side_by_side(kernels: &[(&Kernel, Storage, usize)]) -> Vec<Binding> {
        let others = kernels.iter().flat_map(|(kernel, storage, _)| kernel.bindings(*storage).into_iter().skip(1));
        std::iter::once(Binding::STEP).chain(others).collect()
    }

    pub(crate) fn sides<'a>(kernels: &[(&Kernel, Storage, usize)], texts: &'a [String]) -> Vec<Side<'a>> {
        let memories = Kernel::memories(kernels.iter().map(|(kernel, ..)| *kernel));
        let sides = kernels.iter().zip(texts).zip(memories);
        sides
            .map(|((&(kernel, storage, workgroups), text), memory)| Side {
                text,
                bindings: kernel.bindings(storage).len(),
                workgroups,
                memory,
            })
            .collect()
    }

    /// For each of several kernels that share a dispatch, which of them its workgroup memory belongs to: the first with
    /// the same tiling, else itself.
    pub(crate) fn memories<'a>(kernels: impl Iterator<Item = &'a Kernel>) -> Vec<usize> {
        let tilings: Vec<_> = kernels.map(|kernel| kernel.workgroup().and_then(|workgroup| workgroup.tiling)).collect();
        let first = |(index, tiling): (usize, &Option<product::Tiling>)| {
            let same = tilings[..index].iter().position(|other| tiling.is_some() && other == tiling);
            same.unwrap_or(index)
        };
        tilings.iter().enumerate().map(first).collect()
    }

    /// The bindings for numbers that are stored in this way: the operation's own, then the loss scale where there is one.
    pub fn bindings(&self, storage: Storage) -> Vec<Binding> {
        let own = self.definition().bindings.iter().enumerate().map(|(index, &binding)| match storage.is_half(index) {
            true => Binding { element: Element::Half, ..binding },
            false => binding,
        });
        let loss_scale = match self.gradients() {
            _ if !storage.is_scaled() => None,
            Gradients::None => None,
            Gradients::Used(_) => Some(Access::Read),
            Gradients::Made(_) | Gradients::Passed(_) | Gradients::Counted => Some(Access::Update),
        };
        own.chain(loss_scale.map(|access| Binding::new("loss_scale", access, Element::Word))).collect()
    }
}
