//! batch_norm_inference_forward: y = γ ⊙ (x − mean) / √(variance + ε) + β, column by column, mean and variance being the moving
//! ones: Keras's `BatchNormalization` in evaluation and prediction, and in training where it is frozen.

use super::norm::Affine;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `batch_norm_inference_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormInferenceForward {
    /// Features of a row.
    pub columns: usize,
    /// ε, what is added to the variance; Keras has 1e-3.
    pub epsilon: f32,
    /// Where γ and β stand in `weights`, which is not read where there is neither.
    pub affine: Affine,
    /// Where the variances start in `moving`, in numbers, a multiple of four; the means start it.
    pub variance_offset: usize,
}

impl BatchNormInferenceForward {
    /// 1/√(variance + ε) of every column.
    pub(super) fn inverses<F: Real>(&self, moving: &[F]) -> impl Iterator<Item = F> {
        let variances = &moving[self.variance_offset..][..self.columns];
        variances.iter().map(|&variance| (variance + F::of(self.epsilon)).sqrt().recip())
    }

    /// The constants of the shader's header, backward as forward.
    pub(super) fn constants(&self, header: &mut Header) {
        header
            .number("WORKGROUP", WORKGROUP)
            .number("COLUMNS", self.columns)
            .number("COLUMN_BLOCKS", blocks(self.columns))
            .number("VARIANCE_OFFSET", self.variance_offset / 4)
            .float("EPSILON", self.epsilon);
        self.affine.header(header);
    }
}

impl Operation for BatchNormInferenceForward {
    const DEFINITION: Definition = Definition {
        name: "batch_norm_inference_forward",
        source: include_str!("../../shaders/batch_norm_inference_forward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("x").stored(),
            Binding::read("weights"),
            Binding::read("moving"),
            Binding::write("y").stored(),
        ],
    };

    fn header(&self, header: &mut Header) {
        self.constants(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::NORM]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [x, weights, moving] = [0, 1, 2].map(|index| inputs[index].floats());
        let y = outputs[0].floats();
        let (stride, rows) = (padded(self.columns), step.rows as usize);
        y[..padded(rows) * stride].fill(F::zero());
        for row in 0..rows {
            for (column, inverse) in self.inverses(moving).enumerate() {
                let (gamma, beta) = (self.affine.gamma_of(weights, column), self.affine.beta_of(weights, column));
                let at = row * stride + column;
                y[at] = (x[at] - moving[column]) * inverse * gamma + beta;
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let [x, weights, moving] = [0, 1, 2].map(|index| inputs[index].floats());
        let size = (step.rows as usize, self.columns);
        let statistics = (moving, self.inverses(moving));
        self.affine.normalize(cpu, size, (x, weights), statistics, outputs[0].floats());
    }
}
