//! mean_squared_error: the mean over the outputs of (y − t)², with the gradient.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::targets::TargetLayout;

/// The parameters of `mean_squared_error`.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanSquaredError {
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

impl Operation for MeanSquaredError {
    const DEFINITION: Definition = Definition {
        name: "mean_squared_error",
        source: include_str!("../../shaders/mean_squared_error.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("y"),
            Binding::words("targets"),
            Binding::read("weights"),
            Binding::write("dy").stored(),
            Binding::write("rows"),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Made("dy");

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
        let (y, targets, weights) = (inputs[0].floats(), inputs[1].words(), inputs[2].floats());
        let [dy, rows] = outputs else { return };
        let (dy, rows) = (dy.floats(), rows.floats());
        let (stride, columns, count) = (padded(self.targets.columns), self.targets.columns, step.rows as usize);
        if self.gradient {
            dy[..padded(count) * stride].fill(F::zero());
        }
        for row in 0..count {
            let outputs = &y[row * stride..][..columns];
            let width = F::near(columns as f64);
            let mut squares = F::zero();
            for (column, &output) in outputs.iter().enumerate() {
                let difference = output - self.targets.at::<F>(targets, row, column);
                squares += difference * difference;
                if self.gradient {
                    let scale = F::of(2.0) * weights[row] / (width * F::near(count as f64));
                    dy[row * stride + column] = scale * difference;
                }
            }
            rows[2 * row] = weights[row] * squares / width;
            let half = F::of(0.5);
            let correct = if columns == 1 {
                (outputs[0] > half) == (self.targets.raw::<F>(targets, row, 0) > half)
            } else {
                self.targets.agrees(outputs, targets, row)
            };
            rows[2 * row + 1] = if correct { F::one() } else { F::zero() };
        }
    }
}
