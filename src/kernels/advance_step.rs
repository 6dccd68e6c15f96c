//! advance_step: adds up the step's loss and correct answers, and makes the block of the next step.

use super::scale::Gradients;
use super::{Access, Binding, Definition, Element, Input, Operation, Output, Real, Work, Workgroup, lanes};
use crate::shader::{self, Header, Part};
use crate::step::{Betas, StepBlock};

/// Invocations of its one workgroup, where it is launched alone.
pub const WORKGROUP: usize = 256;

/// What is counted in a step, in the order in which it stands in the step's slot: the one list of counters. A slot begins with
/// them; where metrics are asked for, `sum_errors` has the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The sum of the rows' losses.
    Loss,
    /// Right answers.
    Correct,
    /// The penalty on the parameters' sizes.
    Penalty,
    /// Rows of the batch.
    Rows,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = Counter::Rows as usize + 1;

    /// Its number in a step's slot.
    pub fn of(self, slot: &[f32]) -> f64 {
        slot[self as usize].into()
    }
}

/// The parameters of `advance_step`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvanceStep {
    /// How many sums of the L2 penalty there are.
    pub penalties: usize,
    /// How many steps' statistics are kept.
    pub slots: usize,
    /// Numbers of a step's slot, a multiple of four.
    pub slot: usize,
    /// What the running products are moved on by.
    pub betas: Betas,
    /// Invocations of its one workgroup, which share the sums; a power of two.
    pub workgroup: usize,
}

impl Operation for AdvanceStep {
    const DEFINITION: Definition = Definition {
        name: "advance_step",
        source: include_str!("../../shaders/advance_step.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("rows"),
            Binding::read("penalties"),
            Binding::new("next", Access::Write, Element::Word),
            Binding::write("statistics"),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Counted;

    fn header(&self, header: &mut Header) {
        lanes::header(header, self.workgroup, self.workgroup);
        header.number("PENALTIES", self.penalties).number("SLOTS", self.slots);
        header.number("SLOT_BLOCKS", self.slot / 4);
        header.float("BETA_1", self.betas.beta_1).float("BETA_2", self.betas.beta_2);
        header.float("WARMUP_DECAY", self.betas.warmup_decay);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        1
    }

    fn workgroup(&self) -> Option<Workgroup> {
        Some(Workgroup { invocations: self.workgroup, bytes: 4 * self.workgroup, tiling: None })
    }

    fn work(&self, rows: usize, _bound: u64) -> Work {
        // Of the ring of statistics one slot is written; the step block is read and written.
        let step = 2 * size_of::<StepBlock>();
        Work { flops: 0, bytes: (8 * rows + 4 * self.penalties + step + 4 * Counter::COUNT) as u64 }
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (rows, penalties) = (inputs[0].floats(), inputs[1].floats());
        let [next, statistics] = outputs else { return };
        let (mut loss, mut correct, mut penalty) = (F::zero(), F::zero(), F::zero());
        for row in rows.chunks_exact(2).take(step.rows as usize) {
            loss += row[0];
            correct += row[1];
        }
        for &sum in &penalties[..self.penalties] {
            penalty += sum;
        }
        let slot = step.slot as usize % self.slots;
        let found: [F; Counter::COUNT] = [loss, correct, penalty, F::near(f64::from(step.rows))];
        statistics.floats()[self.slot * slot..][..Counter::COUNT].copy_from_slice(&found);
        next.words().copy_from_slice(bytemuck::cast_slice(&[step.advance(self.betas)]));
    }
}
