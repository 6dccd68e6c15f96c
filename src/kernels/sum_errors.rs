//! sum_errors: how far a batch's outputs are from their targets, in sums over the batch.

use super::targets::TargetLayout;
use super::{Binding, Definition, Input, Operation, Output, Real, advance_step::Counter, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Invocations that share a sum.
const WORKGROUP: usize = 256;

/// Numbers that a group of columns leaves in a step's slot.
pub const SUMS: usize = 4;

/// The parameters of `sum_errors`.
#[derive(Clone, Debug, PartialEq)]
pub struct SumErrors {
    /// What the targets are, and how many outputs there are; sums see no smoothing.
    pub targets: TargetLayout,
    /// Groups that the columns are dealt out to.
    pub groups: usize,
    /// How many steps' statistics are kept.
    pub slots: usize,
}

impl SumErrors {
    /// Numbers of a step's slot with the sums of so many groups.
    pub const fn slot(groups: usize) -> usize {
        Counter::COUNT + SUMS * groups
    }
}

impl Operation for SumErrors {
    const DEFINITION: Definition = Definition {
        name: "sum_errors",
        source: include_str!("../../shaders/sum_errors.wgsl"),
        bindings: &[Binding::STEP, Binding::read("outputs"), Binding::words("labels"), Binding::write("statistics")],
    };

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, WORKGROUP);
        self.targets.header(header);
        header.number("GROUPS", self.groups).number("SLOTS", self.slots);
        header.number("SLOT_BLOCKS", SumErrors::slot(self.groups) / 4);
        // What targets.wgsl counts answers by; nothing is counted here.
        header.flag("HAS_THRESHOLD", false).float("THRESHOLD", 0.0);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::TARGETS]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.groups
    }

    /// In f64 throughout, on the CPU device too.
    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (values, labels) = (inputs[0].floats(), inputs[1].words());
        let [statistics] = outputs else { return };
        let (rows, columns) = (step.rows as usize, self.targets.columns);
        let slot = step.slot as usize % self.slots * SumErrors::slot(self.groups);
        let target = |row: usize, column: usize| self.targets.raw::<f64>(labels, row, column);
        for group in 0..self.groups {
            let places = || (group..columns).step_by(self.groups).flat_map(|c| (0..rows).map(move |row| (row, c)));
            let (mut absolute, mut squares, mut sum, mut spread) = (0.0, 0.0, 0.0, 0.0);
            for (row, column) in places() {
                let t = target(row, column);
                let error = values[row * padded(columns) + column].wide() - t;
                absolute += error.abs();
                squares += error * error;
                sum += t;
            }
            let mean = sum / rows.max(1) as f64;
            places().for_each(|(row, column)| spread += (target(row, column) - mean).powi(2));
            let place = slot + Counter::COUNT + SUMS * group;
            statistics.floats()[place..place + SUMS].copy_from_slice(&[absolute, squares, mean, spread].map(F::near));
        }
    }
}
