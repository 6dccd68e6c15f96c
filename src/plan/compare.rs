//! One launch against its reference, on the device's own inputs: what verify mode does with each launch of a step.

use std::fmt;

use crate::error::{Error, Result};
use crate::kernels::product::Tiling;
use crate::kernels::storage::unpack_halves;
use crate::kernels::{Access, Binding, Element, Input, Output};
use crate::plan::Launch;
use crate::step::StepBlock;

/// How far an element may be from its reference, as a share of its own size and of the largest element of its output.
/// A sum of n terms in f32 is off by at most n·2⁻²⁴ of the sum of their sizes and by about √n·2⁻²⁴ as a rule: 2e-6 for
/// a thousand terms. Drivers' `exp` and `log` add about 2e-6. Twenty times that, and a wrong index still stands out.
const TOLERANCE: f64 = 1e-4;

/// What storing a number in half precision adds: half the distance to the next of its 11 bits, and below its smallest
/// normal number, 2⁻¹⁴, half of 2⁻²⁴. Twice that, since a value near the middle of two may round to either.
const HALF_TOLERANCE: f64 = 1.0 / 1024.0;
const SMALLEST_HALF: f64 = 1.0 / 16_777_216.0;

/// What verify mode found, all being well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verification {
    /// Steps that were made.
    pub steps: usize,
    /// Launches that were compared.
    pub launches: usize,
    /// The largest difference found, as a share of what is tolerated.
    pub largest_share: f64,
    /// The launch where it was found.
    pub largest_at: String,
    /// What was found of each operation in each of its forms, where somebody asked: the doctor. A wrong launch is kept then,
    /// and the rest of the step goes on.
    pub(crate) kept: Option<Vec<Compared>>,
    /// Whether the launches that are compared next share a dispatch.
    pub(crate) shared: bool,
}

/// One launch that was compared.
#[cfg_attr(not(feature = "native"), allow(dead_code, reason = "the doctor looks at them"))]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compared {
    pub operation: &'static str,
    /// Of a product, how it was computed.
    pub tiling: Option<Tiling>,
    /// Whether it shared a dispatch with others.
    pub shared: bool,
    /// The largest difference, as a share of what is tolerated.
    pub share: f64,
    /// What is wrong with it.
    pub wrong: Option<Wrong>,
}

/// An element that is too far from its reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrong {
    pub launch: String,
    pub output: &'static str,
    pub element: usize,
    pub expected: f64,
    pub found: f64,
    pub tolerance: f64,
}

impl From<Wrong> for Error {
    fn from(Wrong { launch, output, element, expected, found, tolerance }: Wrong) -> Self {
        Error::Verification { launch, output, element, expected, found, tolerance }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} launches of {} steps agree with their references; largest difference {:.2} % of the tolerance, in {}",
            self.launches,
            self.steps,
            100.0 * self.largest_share,
            self.largest_at
        )
    }
}

/// A binding's words as a reference takes them.
enum Values {
    Floats(Vec<f64>),
    Words(Vec<u32>),
}

/// A binding's numbers, whether they are halves or not; words as numbers.
fn numbers(element: Element, words: &[u32]) -> Vec<f64> {
    match element {
        Element::Float => words.iter().map(|&word| f32::from_bits(word).into()).collect(),
        Element::Half => unpack_halves(words).into_iter().map(f64::from).collect(),
        Element::Word => words.iter().map(|&word| word.into()).collect(),
    }
}

impl Values {
    fn new(binding: &Binding, words: &[u32]) -> Self {
        match binding.element {
            Element::Float | Element::Half => Values::Floats(numbers(binding.element, words)),
            Element::Word => Values::Words(words.to_vec()),
        }
    }

    fn input(&self) -> Input<'_, f64> {
        match self {
            Values::Floats(values) => Input::Floats(values),
            Values::Words(words) => Input::Words(words),
        }
    }

    fn output(&mut self) -> Output<'_, f64> {
        match self {
            Values::Floats(values) => Output::Floats(values),
            Values::Words(words) => Output::Words(words),
        }
    }
}

impl Verification {
    /// One that keeps what it finds, wrong launches too.
    #[cfg(feature = "native")]
    pub(crate) fn keeping() -> Self {
        Verification { kept: Some(Vec::new()), ..Verification::default() }
    }

    /// Compares one launch: what it bound before, and after.
    pub(crate) fn check(
        &mut self,
        launch: &Launch,
        step: &StepBlock,
        before: Vec<Vec<u32>>,
        after: Vec<Vec<u32>>,
    ) -> Result<()> {
        let bindings = launch.kernel.bindings(launch.storage);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (binding, words) in bindings.iter().zip(&before) {
            match binding.access {
                Access::Step => {}
                Access::Read => inputs.push(Values::new(binding, words)),
                Access::Write | Access::Update => outputs.push(Values::new(binding, words)),
            }
        }
        let input_views: Vec<_> = inputs.iter().map(Values::input).collect();
        let mut output_views: Vec<_> = outputs.iter_mut().map(Values::output).collect();
        launch.kernel.reference_stored(launch.storage, step, &input_views, &mut output_views);
        let found = bindings.iter().zip(&after).filter(|(binding, _)| binding.is_output());
        let (mut share, mut wrong): (f64, Option<Wrong>) = (0.0, None);
        for ((binding, found), expected) in found.zip(&outputs) {
            match compare(launch, binding, found, expected) {
                Ok(found) => share = share.max(found),
                Err(found) => wrong = wrong.or(Some(*found)),
            }
        }
        if share > self.largest_share {
            self.largest_share = share;
            self.largest_at = launch.label.clone();
        }
        self.launches += 1;
        match (&mut self.kept, wrong) {
            (Some(kept), wrong) => {
                let (operation, tiling) = (launch.kernel.definition().name, launch.kernel.tiling());
                kept.push(Compared { operation, tiling, shared: self.shared, share, wrong });
                Ok(())
            }
            (None, Some(wrong)) => Err(wrong.into()),
            (None, None) => Ok(()),
        }
    }
}

/// The largest difference of an output's elements, as a share of what is tolerated; the first element that is beyond.
fn compare(launch: &Launch, binding: &Binding, found: &[u32], expected: &Values) -> Result<f64, Box<Wrong>> {
    let pairs: Vec<(f64, f64)> = match expected {
        Values::Floats(values) => numbers(binding.element, found).into_iter().zip(values.iter().copied()).collect(),
        Values::Words(words) if is_block(binding) => step_pairs(found, words),
        Values::Words(words) => {
            numbers(binding.element, found).into_iter().zip(numbers(binding.element, words)).collect()
        }
    };
    let sizes = pairs.iter().map(|pair| pair.1.abs()).filter(|size| size.is_finite());
    let largest = sizes.fold(0.0, f64::max);
    let mut largest_share: f64 = 0.0;
    for (element, &(found, expected)) in pairs.iter().enumerate() {
        let mut tolerance = TOLERANCE * (expected.abs() + largest) + f64::from(f32::MIN_POSITIVE);
        match binding.element {
            Element::Float => {}
            Element::Half => tolerance += HALF_TOLERANCE * expected.abs() + SMALLEST_HALF,
            // Indexes, bytes, bits: the step block alone holds numbers among its words.
            Element::Word if is_block(binding) => {}
            Element::Word => tolerance = 0.0,
        }
        let apart = (found - expected).abs();
        let same = found == expected || (found.is_nan() && expected.is_nan());
        if !same && !matches!(apart.partial_cmp(&tolerance), Some(std::cmp::Ordering::Less)) {
            let (launch, output) = (launch.label.clone(), binding.name);
            return Err(Box::new(Wrong { launch, output, element, expected, found, tolerance }));
        }
        if !same {
            largest_share = largest_share.max(apart / tolerance);
        }
    }
    Ok(largest_share)
}

/// Whether this is a step block: that of the step, or of the next.
fn is_block(binding: &Binding) -> bool {
    matches!(binding.name, "step" | "next")
}

/// A step block's words, those that are floats as such.
fn step_pairs(found: &[u32], expected: &[u32]) -> Vec<(f64, f64)> {
    let block = |words: &[u32]| bytemuck::pod_read_unaligned::<StepBlock>(bytemuck::cast_slice(words));
    block(found).numbers().into_iter().zip(block(expected).numbers()).collect()
}
