//! One launch on a device against the operation's reference in f64.

use wgrad::kernels::storage::unpack_halves;
use wgrad::kernels::{Access, Element, Input, Kernel, Output as Sink, Real};
use wgrad::{Device, DeviceKind, StepBlock};

use super::arrays::{Array, Output, POISON, Place};

/// A launch with its arguments, and what must come of it.
pub struct Case {
    /// What is launched.
    pub kernel: Kernel,
    /// The step block, which holds the number of rows.
    pub step: StepBlock,
    /// Rows that the launch is made for.
    pub capacity: usize,
    /// The bindings that are read, in their order.
    pub inputs: Vec<Array>,
    /// The bindings that are written or updated, in their order.
    pub outputs: Vec<Output>,
}

/// The contents of a binding as a reference sees them.
#[derive(Clone, Debug)]
pub enum Values<F> {
    /// Numbers.
    Floats(Vec<F>),
    /// Words.
    Words(Vec<u32>),
}

impl<F: Real> Values<F> {
    /// A binding's words, floats by their bits.
    pub fn new(element: Element, words: &[u32]) -> Self {
        match element {
            Element::Float => Values::Floats(words.iter().map(|&word| F::of(f32::from_bits(word))).collect()),
            Element::Half => Values::Floats(unpack_halves(words).into_iter().map(F::of).collect()),
            Element::Word => Values::Words(words.to_vec()),
        }
    }

    /// The numbers; none of words.
    pub fn floats(&self) -> &[F] {
        match self {
            Values::Floats(values) => values,
            Values::Words(_) => &[],
        }
    }

    pub(super) fn as_input(&self) -> Input<'_, F> {
        match self {
            Values::Floats(values) => Input::Floats(values),
            Values::Words(words) => Input::Words(words),
        }
    }

    pub(super) fn as_output(&mut self) -> Sink<'_, F> {
        match self {
            Values::Floats(values) => Sink::Floats(values),
            Values::Words(words) => Sink::Words(words),
        }
    }
}

/// Runs a kernel's reference in f64 on outputs that hold the values given.
pub fn reference(kernel: &Kernel, step: &StepBlock, inputs: &[Array], outputs: &mut [Values<f64>]) {
    let reads = kernel.definition().bindings.iter().filter(|binding| binding.access == Access::Read);
    let inputs: Vec<_> = reads.zip(inputs).map(|(binding, array)| Values::new(binding.element, &array.words)).collect();
    let inputs: Vec<_> = inputs.iter().map(Values::as_input).collect();
    let mut sinks: Vec<_> = outputs.iter_mut().map(Values::as_output).collect();
    kernel.reference(step, &inputs, &mut sinks);
}

/// Launches a kernel once; `outputs` come back as the device leaves them.
pub fn launch(
    device: &Device,
    kernel: &Kernel,
    (step, capacity): (&StepBlock, usize),
    inputs: &[Array],
    outputs: &mut [Vec<u32>],
) -> Result<(), String> {
    let bindings = kernel.definition().bindings;
    let mut inputs = inputs.iter().map(|array| array.words.clone());
    let mut before = outputs.iter_mut().map(std::mem::take);
    let argument = |access| match access {
        Access::Step => Some(bytemuck::cast_slice(&[*step]).to_vec()),
        Access::Read => inputs.next(),
        Access::Write | Access::Update => before.next(),
    };
    let mut arguments: Vec<_> = bindings.iter().map(|binding| binding.access).map_while(argument).collect();
    assert_eq!(arguments.len(), bindings.len(), "an argument of {} is missing", kernel.definition().name);
    device.launch(kernel, capacity, &mut arguments).map_err(|error| error.to_string())?;
    let written = bindings.iter().zip(arguments).filter(|(binding, _)| binding.is_output());
    outputs.iter_mut().zip(written).for_each(|(output, (_, words))| *output = words);
    Ok(())
}

impl Case {
    /// The outputs as the reference leaves them.
    pub fn expected(&self) -> Vec<Values<f64>> {
        let writes = self.kernel.definition().bindings.iter().filter(|binding| binding.is_output());
        let mut values: Vec<_> =
            writes.zip(&self.outputs).map(|(binding, output)| Values::new(binding.element, &output.before)).collect();
        reference(&self.kernel, &self.step, &self.inputs, &mut values);
        values
    }

    /// The first output that the reference makes of other inputs: the condition of a sum, from absolute values.
    pub fn magnitude(&self, kernel: &Kernel) -> Vec<f64> {
        let inputs: Vec<_> = self.inputs.iter().map(Array::absolute).collect();
        let mut values: Vec<_> = self.outputs.iter().map(|o| Values::new(Element::Float, &o.before)).collect();
        reference(kernel, &self.step, &inputs, &mut values);
        values.swap_remove(0).floats().to_vec()
    }

    /// The outputs as a device gets them and as it leaves them.
    pub fn launched(&self, device: &Device) -> Result<[Vec<Vec<u32>>; 2], String> {
        let cpu = device.info().kind == DeviceKind::Cpu;
        let before: Vec<_> = self.outputs.iter().map(|output| output.for_device(cpu)).collect();
        let mut found = before.clone();
        launch(device, &self.kernel, (&self.step, self.capacity), &self.inputs, &mut found)?;
        Ok([before, found])
    }

    /// Launches the case and compares every element of every output.
    pub fn check(&self, device: &Device) -> Result<(), String> {
        self.compare(self.launched(device)?)
    }

    /// The same where the rows that fill the last block of four hold what a larger batch has left there, on the CPU device
    /// too. Columns must fill whole blocks.
    pub fn check_after_larger(&self, device: &Device) -> Result<(), String> {
        let before: Vec<_> = self.outputs.iter().map(|output| output.before.clone()).collect();
        let mut found = before.clone();
        launch(device, &self.kernel, (&self.step, self.capacity), &self.inputs, &mut found)?;
        self.compare([before, found])
    }

    fn compare(&self, [before, found]: [Vec<Vec<u32>>; 2]) -> Result<(), String> {
        let names = self.kernel.definition().bindings.iter().filter(|binding| binding.is_output());
        for ((output, binding), ((before, found), expected)) in
            self.outputs.iter().zip(names).zip(before.iter().zip(&found).zip(self.expected()))
        {
            let describe = |wrong: String| {
                format!("{} of {:?}, {} rows for {}: {wrong}", binding.name, self.kernel, self.step.rows, self.capacity)
            };
            compare(output, before, found, &expected).map_err(describe)?;
        }
        Ok(())
    }
}

/// Compares an output with what is expected of it; the error names the worst element.
pub fn compare(output: &Output, before: &[u32], found: &[u32], expected: &Values<f64>) -> Result<(), String> {
    assert_eq!(output.places.len(), found.len());
    let mut worst = (1.0, String::new());
    for (index, &place) in output.places.iter().enumerate() {
        let (word, old) = (found[index], before[index]);
        let number = f32::from_bits(word);
        match place {
            Place::Kept if word != old => {
                return Err(format!("{index} was {old:#x}, to be left alone, and is {word:#x}"));
            }
            Place::Zero if number != 0.0 => return Err(format!("{index} is padding, and is {number:e} ({word:#x})")),
            Place::Written if word == old && output.before[index] == POISON => {
                return Err(format!("{index} was not written"));
            }
            Place::Written => {
                let (excess, bound) = excess(output, index, word, expected);
                if excess > worst.0 {
                    let expected = expected.floats().get(index);
                    worst = (excess, format!("{index} is {number:e} ({word:#x}), expected {expected:?} ± {bound:e}"));
                }
            }
            Place::Kept | Place::Zero => {}
        }
    }
    if worst.1.is_empty() { Ok(()) } else { Err(format!("the worst of {}: {}", found.len(), worst.1)) }
}

/// How many times its bound an element is away, and the bound. A NaN is infinitely far from a number, and none from a NaN.
fn excess(output: &Output, index: usize, word: u32, expected: &Values<f64>) -> (f64, f64) {
    let differs = |different: bool| if different { f64::INFINITY } else { 0.0 };
    let expected = match expected {
        Values::Floats(values) => values[index],
        Values::Words(words) => return (differs(words[index] != word), 0.0),
    };
    let found = f64::from(f32::from_bits(word));
    let bound = (output.bound)(index, expected);
    if bound == f64::INFINITY {
        return (0.0, bound);
    }
    if expected.is_nan() || found.is_nan() || found.is_infinite() {
        let same = expected.is_nan() && found.is_nan() || f64::from(expected as f32) == found;
        return (differs(!same), bound);
    }
    let distance = (found - expected).abs();
    (if distance <= bound { 0.0 } else { distance / bound }, bound)
}
