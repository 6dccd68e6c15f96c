//! softmax_cross_entropy: softmax and categorical cross-entropy from the logits, with the gradient.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::targets::TargetLayout;

/// The parameters of `softmax_cross_entropy`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxCrossEntropy {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl Operation for SoftmaxCrossEntropy {
    const DEFINITION: Definition = Definition {
        name: "softmax_cross_entropy",
        source: include_str!("../../shaders/softmax_cross_entropy.wgsl"),
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
            let logits = &z[row * stride..][..columns];
            let largest = logits.iter().fold(F::neg_infinity(), |a, &b| a.max(b));
            let (mut exponentials, mut targets_sum, mut agreement) = (F::zero(), F::zero(), F::zero());
            for (column, &logit) in logits.iter().enumerate() {
                let t = self.targets.at::<F>(targets, row, column);
                exponentials += (logit - largest).exp();
                targets_sum += t;
                // A target of zero asks nothing, not even of a logit of −∞.
                agreement += if t == F::zero() { t } else { t * (logit - largest) };
            }
            rows[2 * row] = weights[row] * (targets_sum * exponentials.ln() - agreement);
            let correct = self.targets.agrees(logits, targets, row);
            rows[2 * row + 1] = if correct { F::one() } else { F::zero() };
            for column in 0..if self.gradient { columns } else { 0 } {
                let p = (logits[column] - largest).exp() / exponentials;
                let t = self.targets.at::<F>(targets, row, column);
                dz[row * stride + column] = weights[row] / F::near(count as f64) * (p * targets_sum - t);
            }
        }
    }
}
