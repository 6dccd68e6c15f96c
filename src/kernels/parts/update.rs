//! What the optimizers' updates share: the settings of a tensor, the gradient as a rule sees it, and the rules under one
//! name. The mirror of `shaders/parts/update.wgsl`.

use pulp::{Simd, WithSimd};

use crate::cpu::Cpu;
use crate::cpu::product::{Apply, Finished};
use crate::cpu::vector::Vector;
use crate::kernels::{Binding, Input, Output, Real, WORKGROUP, Workgroup};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

pub(crate) mod formula;

use super::adagrad::Adagrad;
use super::adam::Adam;
use super::rmsprop::Rmsprop;
use super::sgd::Sgd;
use formula::{Formula, Number};

/// Numbers between the starts of tensors in the parameter buffer: 256 bytes, the offset that every device accepts for a
/// binding.
pub const TENSOR_ALIGNMENT: usize = 64;

/// Words of a tensor's entry in the tensor table: L2 coefficient, weight decay, 1 if it is trained, clipping factor, L1
/// coefficient, and three that are not used.
pub const TENSOR_ENTRY: usize = 8;

/// Where in an entry the clipping factor stands.
pub(crate) const CLIPPING_FACTOR: usize = 3;

/// Where in an entry the coefficients of its penalty stand, l2 and l1.
pub(crate) const L2: usize = 0;
pub(crate) const L1: usize = 4;

pub(crate) const GRADIENTS: Binding = Binding::read("gradients");
pub(crate) const TENSORS: Binding = Binding::read("tensors");
pub(crate) const TENSOR_OF: Binding = Binding::words("tensor_of");
pub(crate) const PARAMETERS: Binding = Binding::update("parameters");

/// The first slot's binding in the operations that update all parameters.
const FIRST_SLOT: usize = 5;

/// An optimizer's rule: how a parameter and its slots follow from a gradient. Each is a part of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Gradient descent's.
    Sgd(Sgd),
    /// RMSprop's.
    Rmsprop(Rmsprop),
    /// Adam's and AdamW's.
    Adam(Adam),
    /// Adagrad's.
    Adagrad(Adagrad),
}

macro_rules! every {
    ($rule:expr, $r:ident => $value:expr) => {
        match $rule {
            Rule::Sgd($r) => $value,
            Rule::Rmsprop($r) => $value,
            Rule::Adam($r) => $value,
            Rule::Adagrad($r) => $value,
        }
    };
}

impl Rule {
    pub(crate) fn part(&self) -> Part {
        match self {
            Rule::Sgd(_) => shader::SGD,
            Rule::Rmsprop(_) => shader::RMSPROP,
            Rule::Adam(_) => shader::ADAM,
            Rule::Adagrad(_) => shader::ADAGRAD,
        }
    }

    pub(crate) fn header(&self, header: &mut Header, first_slot: usize) {
        header.number("FIRST_SLOT", first_slot);
        every!(self, rule => rule.header(header));
    }
}

/// For the reference, which has nothing to hurry for.
impl Formula for Rule {
    const PLAIN_SLOTS: usize = 3;

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
    pub(crate) formula: &'a R,
    pub(crate) step: &'a StepBlock,
    pub(crate) clip_value: f32,
    /// The tensor's entry in the table.
    pub(crate) entry: [F; TENSOR_ENTRY],
}

impl<R: Formula, F: Real> Update<'_, R, F> {
    /// From the gradient as the product leaves it to the parameter's new value.
    #[inline(always)]
    fn apply<T: Number<F>, const PLAIN: bool>(&self, g: T, w: T, slots: [T; 3]) -> (T, [T; 3]) {
        let [l2, decay, _, factor, l1, ..] = self.entry;
        let (mut gradient, mut decayed) = (g, w);
        if PLAIN {
            return self.formula.apply::<F, T, true>(self.step, gradient, decayed, slots);
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
        self.formula.apply::<F, T, false>(self.step, gradient, decayed, slots)
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
        let (g, g_rest) = S::as_simd_f32s(g);
        let (w, w_rest) = S::as_mut_simd_f32s(w);
        let (a, a_rest) = slot::<S, R, PLAIN>(0, a, w.len());
        let (b, b_rest) = slot::<S, R, PLAIN>(1, b, w.len());
        let (c, c_rest) = slot::<S, R, PLAIN>(2, c, w.len());
        let vector = |numbers| Vector::new(simd, numbers);
        let zero = simd.splat_f32s(0.0);
        for (index, (w, &g)) in w.iter_mut().zip(g).enumerate() {
            let (old_a, old_b, old_c) = (a.get(index), b.get(index), c.get(index));
            let slots =
                [vector(*old_a.unwrap_or(&zero)), vector(*old_b.unwrap_or(&zero)), vector(*old_c.unwrap_or(&zero))];
            let (updated, [new_a, new_b, new_c]) = self.apply::<_, PLAIN>(vector(g), vector(*w), slots);
            *w = updated.numbers();
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
            let (updated, [new_a, new_b, new_c]) = self.apply::<_, PLAIN>(g, w, slots);
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
            let update = Update { formula, step, clip_value: self.clip_value, entry: entries[tensor as usize] };
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
