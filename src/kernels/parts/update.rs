//! What the optimizers' updates share: the settings of a tensor, the gradient as a rule sees it, and the rules under one
//! name. The mirror of `shaders/parts/update.wgsl`.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use crate::cpu::Cpu;
use crate::cpu::product::{Apply, Finished};
use crate::cpu::vector::Vector;
use crate::kernels::{Binding, Input, Output, Real, WORKGROUP, Workgroup};
use crate::shader::{Header, Part};
use crate::step::StepBlock;

pub(crate) mod formula;

use super::adadelta::Adadelta;
use super::adagrad::Adagrad;
use super::adam::Adam;
use super::adamax::Adamax;
use super::ftrl::Ftrl;
use super::lion::Lion;
use super::nadam::Nadam;
use super::rmsprop::Rmsprop;
use super::sgd::Sgd;
use crate::net::regularizers::Regularizer;
use formula::{Formula, Number};

/// Numbers between the starts of tensors in the parameter buffer: 256 bytes, the offset that every device accepts for a
/// binding.
pub const TENSOR_ALIGNMENT: usize = 64;

/// Words of a tensor's entry in the tensor table: L2 coefficient, weight decay, 1 if it is trained, clipping factor, L1
/// coefficient, learning-rate factor, and two that are not used.
pub const TENSOR_ENTRY: usize = 8;

/// Where in an entry stands whether the tensor is trained.
pub(crate) const TRAINED: usize = 2;

/// Where in an entry the clipping factor stands.
pub(crate) const CLIPPING_FACTOR: usize = 3;

/// Where in an entry the coefficients of its penalty stand, l2 and l1.
pub(crate) const L2: usize = 0;
pub(crate) const L1: usize = 4;

/// And the factor of its learning rate.
const LEARNING_RATE_FACTOR: usize = 5;

pub(crate) const GRADIENTS: Binding = Binding::read("gradients");
pub(crate) const TENSORS: Binding = Binding::read("tensors");
pub(crate) const TENSOR_OF: Binding = Binding::words("tensor_of");
pub(crate) const PARAMETERS: Binding = Binding::update("parameters");

/// The first slot's binding in the operations that update all parameters.
const FIRST_SLOT: usize = 5;

/// What an update of a range binds before the slots.
pub(crate) const RANGE: &[Binding] = &[Binding::STEP, GRADIENTS, TENSORS, TENSOR_OF, PARAMETERS];

/// An operation that changes parameters: what it binds before the slots.
pub(crate) trait Own {
    const OWN: &'static [Binding];
}

/// The bindings of an operation with a rule's slots behind its own.
pub(crate) struct Joined<O, R>(PhantomData<(O, R)>);

impl<O: Own, R: Formula> Joined<O, R> {
    /// With all the rule's slots.
    pub(crate) const ALL: &'static [Binding] = Self::JOINED.split_at(O::OWN.len() + R::SLOTS.len()).0;

    const JOINED: &'static [Binding; 8] = &joined(O::OWN, R::SLOTS);
}

const fn joined(own: &[Binding], slots: &[Binding]) -> [Binding; 8] {
    let mut all = [Binding::STEP; 8];
    let mut index = 0;
    while index < own.len() + slots.len() {
        all[index] = if index < own.len() { own[index] } else { slots[index - own.len()] };
        index += 1;
    }
    all
}

/// What an update is told of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorSettings {
    /// What the size of its numbers costs.
    pub regularizer: Regularizer,
    /// The share of a number that an update takes off, times the learning rate.
    pub weight_decay: f32,
    /// What the learning rate is multiplied by.
    pub learning_rate_factor: f32,
}

impl TensorSettings {
    /// With nothing to pay, no decay, and the learning rate as it is.
    pub const PLAIN: TensorSettings =
        TensorSettings { regularizer: Regularizer::NONE, weight_decay: 0.0, learning_rate_factor: 1.0 };

    /// The tensor's entry in the table, before any clipping.
    pub(crate) fn entry(&self, trained: bool) -> [f32; TENSOR_ENTRY] {
        let Regularizer { l1, l2 } = self.regularizer;
        let trained = if trained { 1.0 } else { 0.0 };
        [l2, self.weight_decay, trained, 1.0, l1, self.learning_rate_factor, 0.0, 0.0]
    }
}

macro_rules! rules {
    ($($(#[$what:meta])* $Rule:ident,)*) => {
        /// An optimizer's rule: how a parameter and its slots follow from a gradient. Each is a part of its own.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Rule {
            $($(#[$what])* $Rule($Rule),)*
        }

        $(impl From<$Rule> for Rule {
            fn from(rule: $Rule) -> Self {
                Rule::$Rule(rule)
            }
        })*

        macro_rules! every {
            ($rule:expr, $r:ident => $value:expr) => {
                match $rule { $(Rule::$Rule($r) => $value,)* }
            };
        }

        impl Rule {
            /// What an operation with this rule binds.
            pub(crate) fn bindings<O: Own>(&self) -> &'static [Binding] {
                match self { $(Rule::$Rule(rule) => &Joined::<O, $Rule>::ALL[..O::OWN.len() + rule.slots()],)* }
            }
        }
    };
}

rules! {
    /// Gradient descent's.
    Sgd,
    /// RMSprop's.
    Rmsprop,
    /// Adam's and AdamW's.
    Adam,
    /// Adagrad's.
    Adagrad,
    /// Nadam's.
    Nadam,
    /// Lion's.
    Lion,
    /// Adamax's.
    Adamax,
    /// Adadelta's.
    Adadelta,
    /// Ftrl's.
    Ftrl,
}

impl Rule {
    pub(crate) fn parts(&self) -> Vec<Part> {
        every!(self, rule => rule.parts())
    }

    pub(crate) fn header(&self, header: &mut Header) {
        every!(self, rule => rule.header(header));
    }

    /// An update of a range as the CPU device runs it.
    pub(crate) fn run(
        &self,
        common: &Common,
        cpu: &Cpu,
        step: &StepBlock,
        inputs: &[Input<'_, f32>],
        outputs: &mut [Output<'_, f32>],
    ) {
        every!(self, rule => common.run(cpu, step, inputs, outputs, rule));
    }
}

/// For the reference, which has nothing to hurry for.
impl Formula for Rule {
    const SLOTS: &'static [Binding] = &[];
    const PLAIN_SLOTS: usize = 3;

    fn parts(&self) -> Vec<Part> {
        Rule::parts(self)
    }

    fn header(&self, header: &mut Header) {
        Rule::header(self, header);
    }

    fn is_plain(&self) -> bool {
        false
    }

    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        slots: [T; 3],
    ) -> (T, [T; 3]) {
        every!(self, rule => rule.apply::<F, T, PLAIN>(step, g, w, slots))
    }
}

/// A formula with everything it needs to know of a tensor and a step.
#[derive(Clone, Copy)]
pub(crate) struct Update<'a, R, F> {
    formula: &'a R,
    /// With the tensor's own learning rate.
    step: StepBlock,
    clip_value: f32,
    /// The tensor's entry in the table.
    entry: [F; TENSOR_ENTRY],
}

impl<'a, R: Formula, F: Real> Update<'a, R, F> {
    pub(crate) fn new(formula: &'a R, step: &StepBlock, clip_value: f32, entry: [F; TENSOR_ENTRY]) -> Self {
        let factor = entry[LEARNING_RATE_FACTOR].wide() as f32;
        let step = StepBlock { learning_rate: step.learning_rate * factor, ..*step };
        Update { formula, step, clip_value, entry }
    }

    /// From the gradient as the product leaves it to the parameter's new value.
    #[inline(always)]
    fn apply<T: Number<F>, const PLAIN: bool>(&self, g: T, w: T, slots: [T; 3]) -> (T, [T; 3]) {
        let [l2, decay, _, factor, l1, ..] = self.entry;
        let (mut gradient, mut decayed) = (g, w);
        if PLAIN {
            return self.formula.apply::<F, T, true>(&self.step, gradient, decayed, slots);
        }
        if l2 != F::zero() || factor != F::one() || l1 != F::zero() {
            let mut penalised = g + g.like(F::of(2.0) * l2) * w;
            if l1 != F::zero() {
                penalised = penalised + g.like(l1) * w.sign();
            }
            gradient = penalised * g.like(factor);
        }
        if self.clip_value > 0.0 {
            gradient = gradient.limited(F::of(self.clip_value));
        }
        if decay != F::zero() {
            decayed = w - w * g.like(decay * F::of(self.step.learning_rate));
        }
        self.formula.apply::<F, T, false>(&self.step, gradient, decayed, slots)
    }

    /// Whether gradients and parameters reach the formula as they are, and it is plain itself.
    fn is_plain(&self) -> bool {
        let [l2, decay, _, factor, l1, ..] = self.entry;
        let unchanged = l2 == F::zero() && l1 == F::zero() && factor == F::one() && decay == F::zero();
        unchanged && self.clip_value <= 0.0 && self.formula.is_plain()
    }

    /// Updates parameters and slots, number by number, with gradients, the first of the buffers. Slots that are not used
    /// are empty.
    pub(crate) fn each(&self, [g, w, a, b, c]: [&mut [F]; 5]) {
        let slot = |slot: &[F], index: usize| slot.get(index).copied().unwrap_or(F::zero());
        for (index, (w, &mut g)) in w.iter_mut().zip(g).enumerate() {
            let (updated, slots) = self.apply::<F, false>(g, *w, [slot(a, index), slot(b, index), slot(c, index)]);
            *w = updated;
            for (slot, value) in [&mut *a, &mut *b, &mut *c].into_iter().zip(slots) {
                slot.get_mut(index).into_iter().for_each(|place| *place = value);
            }
        }
    }
}

impl<R: Formula> Update<'_, R, f32> {
    /// [`each`](Self::each), vector by vector.
    #[inline(always)]
    pub(crate) fn vectors<S: Simd>(&self, simd: S, buffers: [&mut [f32]; 5]) {
        if self.is_plain() { self.settled::<S, true>(simd, buffers) } else { self.settled::<S, false>(simd, buffers) }
    }

    /// The same once it is settled whether there is anything to ask.
    #[inline(always)]
    fn settled<S: Simd, const PLAIN: bool>(&self, simd: S, [g, w, a, b, c]: [&mut [f32]; 5]) {
        // Copies of its own: behind references, the loop would read settings anew after each store, and make constants of them
        // anew for each vector.
        let formula = self.formula.clone();
        let update = Update { formula: &formula, ..*self };
        let (g, g_rest) = S::as_simd_f32s(g);
        let (w, w_rest) = S::as_mut_simd_f32s(w);
        // One length for all, so that nothing is asked in the loop.
        let whole = w.len().min(g.len());
        let (g, w) = (&g[..whole], &mut w[..whole]);
        let (a, a_rest) = slot::<S, R, PLAIN>(0, a, whole);
        let (b, b_rest) = slot::<S, R, PLAIN>(1, b, whole);
        let (c, c_rest) = slot::<S, R, PLAIN>(2, c, whole);
        let vector = |numbers| Vector::new(simd, numbers);
        let zero = simd.splat_f32s(0.0);
        for index in 0..whole {
            let (old_a, old_b, old_c) = (a.get(index), b.get(index), c.get(index));
            let slots =
                [vector(*old_a.unwrap_or(&zero)), vector(*old_b.unwrap_or(&zero)), vector(*old_c.unwrap_or(&zero))];
            let (updated, [new_a, new_b, new_c]) = update.apply::<_, PLAIN>(vector(g[index]), vector(w[index]), slots);
            w[index] = updated.numbers();
            if let Some(place) = a.get_mut(index) {
                *place = new_a.numbers();
            }
            if let Some(place) = b.get_mut(index) {
                *place = new_b.numbers();
            }
            if let Some(place) = c.get_mut(index) {
                *place = new_c.numbers();
            }
        }
        if !g_rest.is_empty() {
            let slots = [
                vector(simd.partial_load_f32s(a_rest)),
                vector(simd.partial_load_f32s(b_rest)),
                vector(simd.partial_load_f32s(c_rest)),
            ];
            let (g, w) = (vector(simd.partial_load_f32s(g_rest)), vector(simd.partial_load_f32s(w_rest)));
            let (updated, [new_a, new_b, new_c]) = update.apply::<_, PLAIN>(g, w, slots);
            simd.partial_store_f32s(w_rest, updated.numbers());
            simd.partial_store_f32s(a_rest, new_a.numbers());
            simd.partial_store_f32s(b_rest, new_b.numbers());
            simd.partial_store_f32s(c_rest, new_c.numbers());
        }
    }
}

impl Apply for Update<'_, Rule, f32> {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, finished: &mut Finished<'_, '_>) {
        // The rule is told apart once for a tile, not for each of its numbers.
        let Update { formula, step, clip_value, entry } = *self;
        every!(formula, formula => {
            let update = Update { formula, step, clip_value, entry };
            for row in 0..finished.rows() {
                let (sums, [w, a, b, c]) = finished.row(row);
                update.vectors(simd, [sums, w, a, b, c]);
            }
        });
    }
}

/// A slot's whole vectors and the rest. Where the formula is plain, the slots that it leaves alone are empty, and the
/// others as long as the parameters: both are known when the loop over them is compiled.
#[inline(always)]
fn slot<S: Simd, R: Formula, const PLAIN: bool>(
    index: usize,
    numbers: &mut [f32],
    vectors: usize,
) -> (&mut [S::f32s], &mut [f32]) {
    match PLAIN {
        true if index >= R::PLAIN_SLOTS => (&mut [], &mut []),
        true => {
            let (whole, rest) = S::as_mut_simd_f32s(numbers);
            (&mut whole[..vectors], rest)
        }
        false => S::as_mut_simd_f32s(numbers),
    }
}

/// The parameters and the slots among an operation's outputs.
pub(crate) fn split<'o, F>(outputs: &'o mut [Output<'_, F>]) -> [&'o mut [F]; 4] {
    let mut outputs = outputs.iter_mut();
    std::array::from_fn(|_| outputs.next().map(Output::floats).unwrap_or_default())
}

/// What every update of a range of the parameters is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Common {
    /// Where the range starts among all parameters, in numbers: a multiple of [`TENSOR_ALIGNMENT`].
    pub start: usize,
    /// Numbers in the range, which parameters, gradients and slots are bound by.
    pub length: usize,
    /// Gradients are cut to ±this; 0 for not at all.
    pub clip_value: f32,
    /// Invocations of a workgroup.
    pub workgroup: usize,
}

impl Common {
    /// For a whole buffer of so many numbers, gradients being cut to ±`clip_value`.
    pub fn all(length: usize, clip_value: f32) -> Self {
        Common { start: 0, length, clip_value, workgroup: WORKGROUP }
    }

    pub(crate) fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", self.workgroup).number("BLOCKS", self.length.div_ceil(4));
        header.number("FIRST_RUN", self.start / TENSOR_ALIGNMENT).number("FIRST_SLOT", FIRST_SLOT);
        header.float("CLIP_VALUE", self.clip_value);
    }

    pub(crate) fn workgroups(&self) -> usize {
        self.length.div_ceil(4).div_ceil(self.workgroup)
    }

    pub(crate) fn workgroup(&self) -> Workgroup {
        Workgroup { invocations: self.workgroup, bytes: 0, tiling: None }
    }

    /// The update as a reference runs it.
    pub(crate) fn reference<F: Real>(
        &self,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
        formula: &impl Formula,
    ) {
        self.tensors(step, inputs, 0, split(outputs), formula, |update, buffers| update.each(buffers));
    }

    /// The update as the CPU device runs it, shared out among its threads.
    pub(crate) fn run<R: Formula>(
        &self,
        cpu: &Cpu,
        step: &StepBlock,
        inputs: &[Input<'_, f32>],
        outputs: &mut [Output<'_, f32>],
        formula: &R,
    ) {
        let instructions = cpu.instructions();
        cpu.pool.for_parts(split(outputs), TENSOR_ALIGNMENT, self.length, |start, slices| {
            instructions.dispatch(Share { common: self, step, inputs, start, slices, formula });
        });
    }

    /// Calls `apply` with each stretch of the parameters that the tensor table speaks of at once, if it is trained.
    /// `outputs` are the parameters and the slots, which start at `start` of the whole buffers.
    #[inline(always)]
    fn tensors<F: Real, R: Formula>(
        &self,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        start: usize,
        outputs: [&mut [F]; 4],
        formula: &R,
        apply: impl Fn(&Update<'_, R, F>, [&mut [F]; 5]),
    ) {
        let [w, a, b, c] = outputs;
        let (gradients, tensors, tensor_of) = (inputs[0].floats(), inputs[1].floats(), inputs[2].words());
        let tensor_of = &tensor_of[(self.start + start) / TENSOR_ALIGNMENT..];
        let (entries, _) = tensors.as_chunks::<TENSOR_ENTRY>();
        for (at, &tensor) in (0..w.len()).step_by(TENSOR_ALIGNMENT).zip(tensor_of) {
            let update = Update::new(formula, step, self.clip_value, entries[tensor as usize]);
            if update.entry[2] != F::zero() {
                let length = TENSOR_ALIGNMENT.min(w.len() - at);
                let mut g = [F::zero(); TENSOR_ALIGNMENT];
                g[..length].copy_from_slice(&gradients[start + at..][..length]);
                let [w, a, b, c] = [&mut *w, &mut *a, &mut *b, &mut *c].map(|numbers| stretch(numbers, at, length));
                apply(&update, [&mut g[..length], w, a, b, c]);
            }
        }
    }
}

/// The numbers from `at` on that the tensor table speaks of at once; none in a slot that is not used, which is shorter.
#[inline(always)]
fn stretch<F>(numbers: &mut [F], at: usize, length: usize) -> &mut [F] {
    numbers.get_mut(at..at + length).unwrap_or_default()
}

/// One thread's share of an update of all parameters.
struct Share<'a, R> {
    common: &'a Common,
    step: &'a StepBlock,
    inputs: &'a [Input<'a, f32>],
    start: usize,
    slices: [&'a mut [f32]; 4],
    formula: &'a R,
}

impl<R: Formula> WithSimd for Share<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Share { common, step, inputs, start, slices, formula } = self;
        common.tensors(
            step,
            inputs,
            start,
            slices,
            formula,
            #[inline(always)]
            |update, buffers| update.vectors(simd, buffers),
        );
    }
}
