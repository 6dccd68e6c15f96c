//! Cases once more in half precision: the same inputs, rounded to halves, and the same bounds, with what storing the results
//! in halves adds. Gradients carry a loss scale of [`SCALE`], a power of two, so it rounds nothing by itself.
//!
//! # Bound
//! A half has 11 bits: rounding adds half a unit of the last of them, 2⁻¹¹ of the number, or half of the smallest, 2⁻²⁵,
//! where the number is so small. A result that its own error moves past the middle between two halves is rounded to the
//! other one, but is no further away for that than error and rounding together.

use wgrad::kernels::scale::{Gradients, LossScale};
use wgrad::kernels::storage::{Storage, pack_halves, unpack_halves};
use wgrad::kernels::{Access, Binding, Element, Kernel};
use wgrad::{Device, StepBlock};

use super::arrays::{Array, Output};
use super::case::{Case, Values, compare};

/// The loss scale of the cases.
pub const SCALE: f32 = 64.0;

/// Every binding that can be in half precision but for those named is, and gradients are scaled where any are.
pub fn storage_but(kernel: &Kernel, full: &[&str]) -> Storage {
    let bindings = kernel.definition().bindings.iter().enumerate();
    let halves = bindings.filter(|(_, binding)| binding.stored && !full.contains(&binding.name));
    let storage = halves.fold(Storage::default(), |storage, (index, _)| storage.with_half(index));
    if kernel.gradients() == Gradients::None { storage } else { storage.with_scale() }
}

/// The loss scale's words.
pub fn block(scale: LossScale) -> Vec<u32> {
    bytemuck::cast_slice(&[scale]).to_vec()
}

/// The block of the cases.
pub fn scale() -> LossScale {
    LossScale { scale: SCALE, inverse: 1.0 / SCALE, steps: 7, saturated: 0 }
}

impl Case {
    /// [`Case::check`] with all that can be in half precision.
    pub fn check_half(self, device: &Device) -> Result<(), String> {
        self.check_half_but(&[], scale(), device)
    }

    /// The same with some bindings left in single precision, and a loss scale.
    pub fn check_half_but(self, full: &[&str], scale: LossScale, device: &Device) -> Result<(), String> {
        let Case { kernel, step, capacity, inputs, outputs } = self;
        let (storage, gradients) = (storage_but(&kernel, full), kernel.gradients());
        let bindings = kernel.bindings(storage);
        let inputs: Vec<_> = inputs.into_iter().chain([Array::words(block(scale))]).collect();
        let words = |binding: &Binding, words: &[u32]| match (binding.element, gradients) {
            (Element::Half, Gradients::Used(name)) if name == binding.name => scaled_halves(words, scale.scale),
            (Element::Half, _) => scaled_halves(words, 1.0),
            _ => words.to_vec(),
        };
        let read: Vec<_> = bindings.iter().filter(|binding| binding.is_input()).zip(&inputs).collect();
        let read: Vec<_> = read.into_iter().map(|(binding, array)| (binding, words(binding, &array.words))).collect();
        let written: Vec<_> = bindings.iter().filter(|binding| binding.is_output()).collect();
        let block_out = Output::list(LossScale::WORDS, 0, LossScale::WORDS).from(block(scale));
        let outputs: Vec<_> = outputs.into_iter().chain([block_out]).take(written.len()).collect();
        let before: Vec<_> =
            written.iter().zip(&outputs).map(|(binding, output)| words(binding, &output.before)).collect();

        let mut expected: Vec<_> =
            written.iter().zip(&before).map(|(b, words)| Values::new(b.element, words)).collect();
        {
            let inputs: Vec<_> = read.iter().map(|(b, words)| Values::<f64>::new(b.element, words)).collect();
            let inputs: Vec<_> = inputs.iter().map(Values::as_input).collect();
            let mut sinks: Vec<_> = expected.iter_mut().map(Values::as_output).collect();
            kernel.reference_stored(storage, &step, &inputs, &mut sinks);
        }
        let found = launch(device, (&kernel, storage), (&step, capacity), &read, &before)?;

        for (index, (output, binding)) in outputs.into_iter().zip(written).enumerate() {
            let factor = match gradients {
                Gradients::Made(names) if names.contains(&binding.name) => f64::from(scale.scale),
                _ => 1.0,
            };
            let (half, bound) = (binding.element == Element::Half, output.bound);
            let output = Output {
                bound: Box::new(move |at, value: f64| {
                    let own = factor * bound(at, value / factor);
                    if half {
                        own * (1.0 + 2f64.powi(-10)) + value.abs() * 2f64.powi(-11) + 2f64.powi(-25)
                    } else {
                        own
                    }
                }),
                ..output
            };
            let numbers = |words: &[u32]| match half {
                true => bytemuck::cast_slice(&unpack_halves(words)).to_vec(),
                false => words.to_vec(),
            };
            let describe =
                |wrong: String| format!("{} of {kernel:?} in half, {} rows: {wrong}", binding.name, step.rows);
            let (before, found) = (numbers(&before[index]), numbers(&found[index]));
            compare(&output, &before, &found, &expected[index]).map_err(describe)?;
        }
        Ok(())
    }
}

/// Floats times a factor as halves.
fn scaled_halves(words: &[u32], factor: f32) -> Vec<u32> {
    let scaled: Vec<_> = words.iter().map(|&word| factor * f32::from_bits(word)).collect();
    pack_halves(&scaled)
}

/// Launches a kernel once; returns the outputs as the device leaves them.
fn launch(
    device: &Device,
    (kernel, storage): (&Kernel, Storage),
    (step, capacity): (&StepBlock, usize),
    inputs: &[(&Binding, Vec<u32>)],
    outputs: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>, String> {
    let (mut inputs, mut outputs) = (inputs.iter(), outputs.iter());
    let bindings = kernel.bindings(storage);
    let argument = |binding: &Binding| match binding.access {
        Access::Step => Some(bytemuck::cast_slice(&[*step]).to_vec()),
        Access::Read => inputs.next().map(|(_, words)| words.clone()),
        Access::Write | Access::Update => outputs.next().cloned(),
    };
    let mut arguments: Vec<_> = bindings.iter().map_while(argument).collect();
    assert_eq!(arguments.len(), bindings.len(), "an argument of {} is missing", kernel.definition().name);
    device.launch_stored(kernel, storage, capacity, &mut arguments).map_err(|error| error.to_string())?;
    let written = bindings.iter().zip(arguments).filter(|(binding, _)| binding.is_output());
    Ok(written.map(|(_, words)| words).collect())
}
