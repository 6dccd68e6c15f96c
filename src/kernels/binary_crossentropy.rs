//! binary_crossentropy: sigmoid and binary cross-entropy from the logits, with the gradient.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::targets::TargetLayout;

/// The parameters of `binary_crossentropy`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossentropy {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl Operation for BinaryCrossentropy {
    const DEFINITION: Definition = Definition {
        name: "binary_crossentropy",
        source: include_str!("../../shaders/binary_crossentropy.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("z"),
            Binding::words("targets"),
            Binding::read("weights"),
            Binding::write("dz").stored(),
            Binding::write("rows"),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Made("dz");

    fn header(&self, header: &mut Header) {
        lanes::header(header, WORKGROUP, lanes::for_columns(self.targets.columns));
        self.targets.header(header);
        header.flag("GRADIENT", self.gradient);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::TARGETS]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.targets.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (z, targets, weights) = (inputs[0].floats(), inputs[1].words(), inputs[2].floats());
        let [dz, rows] = outputs else { return };
        let (dz, rows) = (dz.floats(), rows.floats());
        let (stride, columns, count) = (padded(self.targets.columns), self.targets.columns, step.rows as usize);
        if self.gradient {
            dz[..padded(count) * stride].fill(F::zero());
        }
        for row in 0..count {
            let width = F::near(columns as f64);
            let logits = &z[row * stride..][..columns];
            let mut loss = F::zero();
            for column in 0..columns {
                let logit = logits[column];
                let t = self.targets.at::<F>(targets, row, column);
                let positive = if logit < F::zero() { F::zero() } else { logit };
                loss += positive - logit * t + (-logit.abs()).exp().ln_1p();
                if self.gradient {
                    let p = F::one() / (F::one() + (-logit).exp());
                    dz[row * stride + column] = weights[row] / (width * F::near(count as f64)) * (p - t);
                }
            }
            rows[2 * row] = weights[row] * loss / width;
            let correct = if columns == 1 {
                (logits[0] > F::zero()) == (self.targets.raw::<F>(targets, row, 0) > F::of(0.5))
            } else {
                self.targets.agrees(logits, targets, row)
            };
            rows[2 * row + 1] = if correct { F::one() } else { F::zero() };
        }
    }
}
