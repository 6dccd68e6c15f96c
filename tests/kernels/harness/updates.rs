//! What the optimizers' tests share: several steps in a row over a table of tensors, against the reference doing the same
//! steps in f64 on numbers of its own.
//!
//! # Bound
//! A new value is an old one and a change. The change is a dozen correctly or nearly correctly rounded operations on the
//! gradient (root and quotient: 2 to 5 units each in WGSL), so CHANGE units of its size are enough; adding it costs a unit
//! of the value. A step's errors are carried on into the next, at most as they are (all factors are below one). So after
//! n steps: n·u·(4·largest |value| + CHANGE·Σ |change|).

use wgrad::kernels::update::{Common, TENSOR_ALIGNMENT};
use wgrad::kernels::{Element, Kernel};
use wgrad::{Betas, Device, StepBlock};

use super::arrays::Place;
use super::case::{Values, compare, launch, reference};
use super::{Array, Output, Random, UNIT, tensor_entry};

const CHANGE: f64 = 48.0;

/// The tensors: runs of 64 numbers, and L2, weight decay, trained, clipping factor, L1, learning-rate factor. The third is
/// frozen.
const TENSORS: [(usize, [f32; 6]); 6] = [
    (1, [0.0, 0.0, 1.0, 1.0, 0.0, 1.0]),
    (5, [0.01, 0.0, 1.0, 1.0, 0.0, 0.5]),
    (2, [0.01, 0.1, 0.0, 1.0, 0.1, 1.0]),
    (3, [0.0, 0.1, 1.0, 1.0, 0.03, 2.0]),
    (1, [0.0, 0.0, 1.0, 0.25, 0.0, 0.0]),
    (7, [0.05, 0.02, 1.0, 0.5, 0.02, 1.0]),
];
const FROZEN: u32 = 2;

/// Runs of all parameters before those that are updated; were they looked at, those tensors would be frozen.
const RUNS_BEFORE: usize = 3;

/// An optimizer's slots, with what each starts from; `None` for one that its settings do not use.
pub type Slots = &'static [Option<f32>];

/// One optimizer over the tensors above.
pub struct Update {
    kernel: Kernel,
    slots: Slots,
    tensor_of: Vec<u32>,
    warms_up: bool,
    slack: [f64; 3],
}

impl Update {
    /// `kernel` is made for a range that starts behind some runs of other tensors.
    pub fn new(kernel: impl FnOnce(Common) -> Kernel, clip_value: f32, slots: Slots) -> Self {
        let runs = TENSORS.iter().enumerate().flat_map(|(tensor, (runs, _))| vec![tensor as u32; *runs]);
        let tensor_of: Vec<_> = runs.collect();
        let length = TENSOR_ALIGNMENT * tensor_of.len();
        let common = Common { start: TENSOR_ALIGNMENT * RUNS_BEFORE, ..Common::all(length, clip_value) };
        Update { kernel: kernel(common), slots, tensor_of, warms_up: false, slack: [0.0; 3] }
    }

    /// With a warm-up of β₁, as Nadam has it.
    pub fn warming_up(self, warms_up: bool) -> Self {
        Update { warms_up, ..self }
    }

    /// With further units that the parameters and each slot may be off by in a step, where a rule's intermediate numbers are
    /// larger than what it leaves.
    pub fn with_slack(self, slack: [f64; 3]) -> Self {
        Update { slack, ..self }
    }

    /// Makes `steps` steps and compares parameters and slots after each.
    pub fn check(&self, device: &Device, steps: usize) -> Result<(), String> {
        self.steps(device, steps, |_, _| {})
    }

    /// As [`Update::check`], with something done to each step's gradients first.
    pub fn steps(&self, device: &Device, steps: usize, spoil: impl Fn(usize, &mut Array)) -> Result<(), String> {
        let mut random = Random::new(steps);
        let mut found = self.initial(&mut random);
        let initial = found.clone();
        let as_values = |words: &Vec<u32>| Values::new(Element::Float, words);
        let mut expected: Vec<Values<f64>> = found.iter().map(as_values).collect();
        let mut travels: Vec<_> = found.iter().map(|words| vec![(0.0, 0.0); words.len()]).collect();
        let betas = Betas { beta_1: 0.9, beta_2: 0.999, warmup_decay: if self.warms_up { 0.96 } else { 0.0 } };
        let mut step = StepBlock { learning_rate: 0.1, ..StepBlock::default() }.after(0, 0, betas);
        for number in 1..=steps {
            let mut inputs = self.inputs(&mut random);
            spoil(number, &mut inputs[0]);
            launch(device, &self.kernel, (&step, 1), &inputs, &mut found)?;
            let before = expected.clone();
            reference(&self.kernel, &step, &inputs, &mut expected);
            for (index, travel) in travels.iter_mut().enumerate() {
                follow(travel, before[index].floats(), expected[index].floats());
                let output = self.output(
                    &initial[index],
                    travel.clone(),
                    (number, self.slack.get(index).copied().unwrap_or(0.0)),
                );
                compare(&output, &initial[index], &found[index], &expected[index])
                    .map_err(|wrong| format!("{:?}, step {number}, output {index}: {wrong}", self.kernel))?;
            }
            step = step.advance(betas);
        }
        Ok(())
    }

    /// The parameters, then the slots; an unused one has four words that nobody may touch.
    fn initial(&self, random: &mut Random) -> Vec<Vec<u32>> {
        let length = TENSOR_ALIGNMENT * self.tensor_of.len();
        let parameters = random.list(length, -1.0, 1.0).iter().map(|value| value.to_bits()).collect();
        let slot =
            |slot: &Option<f32>| slot.map_or_else(|| Output::dummy().before, |first| vec![first.to_bits(); length]);
        std::iter::once(parameters).chain(self.slots.iter().map(slot)).collect()
    }

    /// The step's gradients, some of them tiny or zero, and the tables. Large ones are larger than any penalty's slope, which they
    /// might else nearly cancel: of what is left, rounding would be a large part.
    fn inputs(&self, random: &mut Random) -> Vec<Array> {
        let length = TENSOR_ALIGNMENT * self.tensor_of.len();
        let gradients: Vec<_> = (0..length)
            .map(|_| match random.below(8) {
                0 => random.uniform(-1e-4, 1e-4),
                1 => 0.0,
                draw => random.uniform(0.25, 1.0) * if draw % 2 == 0 { 1.0 } else { -1.0 },
            })
            .collect();
        let tensors: Vec<_> = TENSORS.iter().flat_map(|(_, entry)| tensor_entry(*entry)).collect();
        vec![
            Array::floats(&gradients),
            Array::floats(&tensors),
            Array::words([vec![FROZEN; RUNS_BEFORE], self.tensor_of.clone()].concat()),
        ]
    }

    fn output(&self, initial: &[u32], travel: Vec<(f64, f64)>, (steps, slack): (usize, f64)) -> Output {
        let unused = initial.len() == 4;
        let place = |at: usize| match unused || self.tensor_of[at / TENSOR_ALIGNMENT] == FROZEN {
            true => Place::Kept,
            false => Place::Written,
        };
        let bound = move |at: usize, _| steps as f64 * UNIT * (4.0 * travel[at].0 + CHANGE * travel[at].1 + slack);
        Output { before: initial.to_vec(), places: (0..initial.len()).map(place).collect(), bound: Box::new(bound) }
    }
}

/// Keeps the largest value so far and the way that each element has come.
fn follow(travel: &mut [(f64, f64)], before: &[f64], after: &[f64]) {
    for ((largest, way), (before, after)) in travel.iter_mut().zip(before.iter().zip(after)) {
        *largest = largest.max(before.abs()).max(after.abs());
        *way += (after - before).abs();
    }
}
