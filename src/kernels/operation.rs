//! What an operation is: its list of bindings, what it is told, and what its Rust file gives. The operations themselves are in
//! the files beside this one, and listed in the registry, `kernels.rs`.

use super::parts::{product, storage::Precision};
use super::real::Real;
use crate::cpu::Cpu;
use crate::shader::{Header, Part};
use crate::step::StepBlock;

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
    pub(super) const STEP: Binding = Binding::new("step", Access::Step, Element::Word);

    pub(super) const fn new(name: &'static str, access: Access, element: Element) -> Self {
        Binding { name, access, element, stored: false }
    }
    pub(super) const fn stored(self) -> Self {
        Binding { stored: true, ..self }
    }
    pub(super) const fn read(name: &'static str) -> Self {
        Binding::new(name, Access::Read, Element::Float)
    }
    pub(super) const fn words(name: &'static str) -> Self {
        Binding::new(name, Access::Read, Element::Word)
    }
    pub(super) const fn write(name: &'static str) -> Self {
        Binding::new(name, Access::Write, Element::Float)
    }
    pub(super) const fn update(name: &'static str) -> Self {
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

/// What an operation has to do with gradients of activations, and so with the loss scale. Bindings go by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradients {
    /// Nothing.
    None,
    /// It makes these from the loss.
    Made(&'static [&'static str]),
    /// It makes this one from the next layer's.
    Passed(&'static str),
    /// It makes gradients of parameters from this one.
    Used(&'static str),
    /// It ends the step.
    Counted,
}
