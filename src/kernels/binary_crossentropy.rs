//! binary_crossentropy: sigmoid and binary cross-entropy from the logits, with the gradient.

use super::loss::{Formula, RowLoss};
use super::scale::Gradients;
use super::targets::TargetLayout;
use super::{Definition, Input, Operation, Output, Real, WORKGROUP, lanes, loss};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `binary_crossentropy`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossentropy {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl BinaryCrossentropy {
    fn rows(&self) -> RowLoss {
        RowLoss { formula: Formula::BinaryCrossentropy, targets: self.targets, gradient: self.gradient }
    }
}

impl Operation for BinaryCrossentropy {
    const DEFINITION: Definition = Definition {
        name: "binary_crossentropy",
        source: include_str!("../../shaders/binary_crossentropy.wgsl"),
        bindings: &loss::BINDINGS,
    };

    const GRADIENTS: Gradients = Gradients::Made(&["gradient"]);

    fn header(&self, header: &mut Header) {
        self.rows().header(header, WORKGROUP, lanes::for_columns(self.targets.columns));
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = self.rows().parts();
        parts.push(shader::LOSS_ROWS);
        parts
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.targets.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        self.reference_scaled(F::one(), step, inputs, outputs);
    }

    fn reference_scaled<F: Real>(
        &self,
        scale: F,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        self.rows().reference(scale, step, inputs, outputs);
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let [gradient, rows] = outputs else { return };
        let read = (inputs[0].floats(), inputs[1].words());
        self.rows().run(cpu, step, read, [gradient.floats(), rows.floats()]);
    }
}
