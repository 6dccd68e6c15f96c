//! The operations: what is computed, each in one WGSL file, one Rust file and one test file of the same name, and one row
//! in the registry below. An operation's Rust file holds its parameters, its list of bindings, its grid and its
//! `reference`, the same arithmetic in plain loops. *How* a product is computed is a [`product::Tiling`].
//!
//! Nothing here knows of models, plans or devices. The module is public for those who test kernels or add one; its
//! contents may change in any release.

use crate::cpu::Cpu;
use crate::shader::{self, Header, Part, Side};
use crate::step::StepBlock;

pub mod parts;
pub use parts::{
    activation, adagrad, adam, columns, gradients, hash, lanes, loss, norm, product, rmsprop, scale, sgd, storage,
    targets, update,
};

pub use crate::cpu::shares;

use scale::Gradients;
use storage::{Precision, Storage};

/// A floating-point type that references compute in: f32 for the CPU device, f64 for the oracle.
pub trait Real: num_traits::Float + std::ops::AddAssign + std::fmt::Debug + Send + Sync + 'static {
    /// The value of an f32, exactly.
    fn of(value: f32) -> Self;
    /// The value as f64, exactly.
    fn wide(self) -> f64;
    /// The nearest value to an f64.
    fn near(value: f64) -> Self;
}

impl Real for f32 {
    fn of(value: f32) -> Self {
        value
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn near(value: f64) -> Self {
        value as f32
    }
}

impl Real for f64 {
    fn of(value: f32) -> Self {
        f64::from(value)
    }
    fn wide(self) -> f64 {
        self
    }
    fn near(value: f64) -> Self {
        value
    }
}

/// How a shader sees a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The step block, as a uniform.
    Step,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer of which every element in reach is written and none is read first.
    Write,
    /// A storage buffer that is updated in place.
    Update,
}

/// What a binding's words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floats, the type that a reference sees as its own.
    Float,
    /// 16-bit floats, two a word; a reference sees them as its own type too.
    Half,
    /// 32-bit words: indexes, packed bytes, the step block.
    Word,
}

/// One line of an operation's list of bindings. Binding numbers are the positions in the list: the step block first
/// (where it is a uniform), then inputs, then outputs.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The variable's name in the WGSL file.
    pub name: &'static str,
    /// How the shader sees it.
    pub access: Access,
    /// What its words are.
    pub element: Element,
    /// Whether these are a batch's activations or their gradients, which may be stored in half precision.
    pub stored: bool,
}

impl Binding {
    const STEP: Binding = Binding::new("step", Access::Step, Element::Word);

    const fn new(name: &'static str, access: Access, element: Element) -> Self {
        Binding { name, access, element, stored: false }
    }
    const fn stored(self) -> Self {
        Binding { stored: true, ..self }
    }
    const fn read(name: &'static str) -> Self {
        Binding::new(name, Access::Read, Element::Float)
    }
    const fn words(name: &'static str) -> Self {
        Binding::new(name, Access::Read, Element::Word)
    }
    const fn write(name: &'static str) -> Self {
        Binding::new(name, Access::Write, Element::Float)
    }
    const fn update(name: &'static str) -> Self {
        Binding::new(name, Access::Update, Element::Float)
    }

    /// Whether the operation only reads it; the step block is apart.
    pub fn is_input(&self) -> bool {
        self.access == Access::Read
    }

    /// Whether the operation changes it.
    pub fn is_output(&self) -> bool {
        matches!(self.access, Access::Write | Access::Update)
    }
}

/// An operation's row in the registry.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name: `shaders/NAME.wgsl`, `src/kernels/NAME.rs`, `tests/kernels/NAME.rs`.
    pub name: &'static str,
    /// The text of its WGSL file.
    pub source: &'static str,
    /// Its bindings in order.
    pub bindings: &'static [Binding],
}

/// An argument that an operation reads.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, F> {
    /// Numbers.
    Floats(&'a [F]),
    /// Words.
    Words(&'a [u32]),
}

impl<'a, F> Input<'a, F> {
    /// The numbers; none if these are words.
    pub fn floats(&self) -> &'a [F] {
        match self {
            Input::Floats(values) => values,
            Input::Words(_) => &[],
        }
    }

    /// The words; none if these are numbers.
    pub fn words(&self) -> &'a [u32] {
        match self {
            Input::Words(values) => values,
            Input::Floats(_) => &[],
        }
    }
}

/// An argument that an operation writes or updates.
#[derive(Debug)]
pub enum Output<'a, F> {
    /// Numbers.
    Floats(&'a mut [F]),
    /// Words.
    Words(&'a mut [u32]),
}

impl<F> Output<'_, F> {
    /// The numbers; none if these are words.
    pub fn floats(&mut self) -> &mut [F] {
        match self {
            Output::Floats(values) => values,
            Output::Words(_) => &mut [],
        }
    }

    /// The words; none if these are numbers.
    pub fn words(&mut self) -> &mut [u32] {
        match self {
            Output::Words(values) => values,
            Output::Floats(_) => &mut [],
        }
    }
}

/// What a launch must do at least: the floor under its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Floating-point operations of matrix products, a multiplication and an addition counting as two.
    pub flops: u64,
    /// Bytes read and written if each number crosses the memory's bus once.
    pub bytes: u64,
}

/// A workgroup as a GPU sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workgroup {
    /// How many invocations it has.
    pub invocations: usize,
    /// Bytes of its memory.
    pub bytes: usize,
    /// The tiling that lays its memory out, where the operation is a product: products of one tiling can share it.
    pub tiling: Option<product::Tiling>,
}

/// What an operation's Rust file gives, beside its parameters.
pub trait Operation {
    /// Its row in the registry.
    const DEFINITION: Definition;

    /// The same with the bindings that these parameters have; most operations have one list for all.
    fn definition(&self) -> Definition {
        Self::DEFINITION
    }

    /// What it has to do with gradients of activations.
    const GRADIENTS: Gradients = Gradients::None;

    /// The constants of the shader's header.
    fn header(&self, header: &mut Header);

    /// The parts that its shader uses.
    fn parts(&self) -> Vec<Part>;

    /// The matrix product that it computes for a batch of at most `capacity` rows in this precision, where it is one.
    fn product(&self, _capacity: usize, _precision: Precision) -> Option<product::Product> {
        None
    }

    /// How many workgroups a launch has, for a batch of at most `capacity` rows.
    fn workgroups(&self, capacity: usize) -> usize;

    /// What its workgroups are, where launches of it may be part of another's dispatch.
    fn workgroup(&self) -> Option<Workgroup> {
        None
    }

    /// What a launch on `rows` rows does. `bound` are the bytes of what it binds, updates counted twice, the data set
    /// left out: most operations touch just that, and multiply no matrices.
    fn work(&self, _rows: usize, bound: u64) -> Work {
        Work { flops: 0, bytes: bound }
    }

    /// The operation in plain loops, in the order of its formula. `inputs` are the bindings that are read and `outputs`
    /// those that are written or updated, each in the order of the list.
    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]);

    /// The same, the gradient of the loss multiplied by `scale` in what is made from it; for operations that make it.
    fn reference_scaled<F: Real>(
        &self,
        _scale: F,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        self.reference(step, inputs, outputs);
    }

    /// The operation as the CPU device runs it.
    fn run(&self, _cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        self.reference(step, inputs, outputs);
    }
}

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
    softmax_cross_entropy SoftmaxCrossEntropy: "Softmax and categorical cross-entropy with its gradient.",
    binary_crossentropy BinaryCrossentropy: "Sigmoid and binary cross-entropy with its gradient.",
    mean_squared_error MeanSquaredError: "Mean squared error with its gradient.",
    sum_squares SumSquares: "Sums of squares, chunk by chunk.",
    gradient_scales GradientScales: "The factors by which clipping by norm shrinks the gradients.",
    rmsprop_update RmspropUpdate: "RMSprop's update.",
    sgd_update SgdUpdate: "Gradient descent's update.",
    adam_update AdamUpdate: "Adam's and AdamW's update.",
    adagrad_update AdagradUpdate: "Adagrad's update.",
    advance_step AdvanceStep: "Adds up the step's statistics and moves the step block on.",
}

impl Kernel {
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

/// Numbers in blocks of four: rows of matrices are padded to them.
pub const fn blocks(count: usize) -> usize {
    count.div_ceil(4)
}

/// `count` rounded up to whole blocks of four.
pub const fn padded(count: usize) -> usize {
    4 * blocks(count)
}

/// Invocations in a workgroup of the operations that work element by element.
const WORKGROUP: usize = 64;
