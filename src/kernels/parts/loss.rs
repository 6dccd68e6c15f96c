//! The losses, one row of outputs at a time, with the gradient of these outputs: the mirror of
//! `shaders/parts/loss_*.wgsl`. An operation of a loss has its outputs in memory; `dense_loss` makes them itself.

use super::scale::Gradients;
use super::targets::TargetLayout;
use crate::cpu::Cpu;
use crate::kernels::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// What a loss is computed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// Softmax and categorical cross-entropy, from the logits.
    SoftmaxCrossEntropy,
    /// Sigmoid and binary cross-entropy, from the logits.
    BinaryCrossentropy,
    /// The mean over a row's outputs of (y − t)².
    MeanSquaredError,
}

/// A loss of the rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLoss {
    /// By what it is computed.
    pub formula: Formula,
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

/// What the losses' operations bind.
pub(crate) const BINDINGS: [Binding; 5] = [
    Binding::STEP,
    Binding::read("outputs"),
    Binding::words("labels"),
    Binding::write("gradient").stored(),
    Binding::write("rows"),
];

/// Fewer outputs than this are one thread's work: waking another takes as long.
const WORTH_SHARING: usize = 512;

impl RowLoss {
    /// Constants for a shader whose rows are shared by so many invocations.
    pub(crate) fn header(&self, header: &mut Header, workgroup: usize, lanes: usize) {
        lanes::header(header, workgroup, lanes);
        self.targets.header(header);
        header.flag("GRADIENT", self.gradient);
    }

    /// The formula and what it needs.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let formula = match self.formula {
            Formula::SoftmaxCrossEntropy => shader::LOSS_SOFTMAX_CROSS_ENTROPY,
            Formula::BinaryCrossentropy => shader::LOSS_BINARY_CROSSENTROPY,
            Formula::MeanSquaredError => shader::LOSS_MEAN_SQUARED_ERROR,
        };
        vec![shader::STEP, shader::LANES, shader::TARGETS, formula]
    }

    /// Loss and correct answer of row `row` of a batch of `count`; the gradient of its outputs goes to `gradient`, which is
    /// as long or, where none is wanted, empty.
    fn row<F: Real>(&self, labels: &[u32], (row, count): (usize, usize), outputs: &[F], gradient: &mut [F]) -> [F; 2] {
        let weight = self.targets.weight::<F>(labels, row);
        let target = |column| self.targets.at::<F>(labels, row, column);
        let (count, width) = (F::near(count as f64), F::near(outputs.len() as f64));
        let gradient = gradient.iter_mut().enumerate();
        let mut loss = F::zero();
        match self.formula {
            Formula::SoftmaxCrossEntropy => {
                let largest = outputs.iter().fold(F::neg_infinity(), |a, &b| a.max(b));
                let (mut exponentials, mut all, mut agreement) = (F::zero(), F::zero(), F::zero());
                for (column, &logit) in outputs.iter().enumerate() {
                    let t = target(column);
                    exponentials += (logit - largest).exp();
                    all += t;
                    // A target of zero asks nothing, not even of a logit of −∞.
                    agreement += if t == F::zero() { t } else { t * (logit - largest) };
                }
                loss = weight * (all * exponentials.ln() - agreement);
                for (column, slope) in gradient {
                    let p = (outputs[column] - largest).exp() / exponentials;
                    *slope = weight / count * (p * all - target(column));
                }
            }
            Formula::BinaryCrossentropy => {
                for (column, &logit) in outputs.iter().enumerate() {
                    let positive = if logit < F::zero() { F::zero() } else { logit };
                    loss += positive - logit * target(column) + (-logit.abs()).exp().ln_1p();
                }
                loss = weight * loss / width;
                for (column, slope) in gradient {
                    let p = F::one() / (F::one() + (-outputs[column]).exp());
                    *slope = weight / (width * count) * (p - target(column));
                }
            }
            Formula::MeanSquaredError => {
                for (column, &output) in outputs.iter().enumerate() {
                    let difference = output - target(column);
                    loss += difference * difference;
                }
                loss = weight * loss / width;
                for (column, slope) in gradient {
                    *slope = F::of(2.0) * weight / (width * count) * (outputs[column] - target(column));
                }
            }
        }
        let correct = self.is_correct(outputs, labels, row);
        [loss, if correct { F::one() } else { F::zero() }]
    }

    fn is_correct<F: Real>(&self, outputs: &[F], labels: &[u32], row: usize) -> bool {
        let threshold = match self.formula {
            Formula::SoftmaxCrossEntropy => None,
            Formula::BinaryCrossentropy => Some(F::zero()),
            Formula::MeanSquaredError => Some(F::of(0.5)),
        };
        match threshold.filter(|_| outputs.len() == 1) {
            Some(threshold) => (outputs[0] > threshold) == (self.targets.raw::<F>(labels, row, 0) > F::of(0.5)),
            None => self.targets.agrees(outputs, labels, row),
        }
    }

    /// Rows of a batch of `count`, as many as `rows` has room for, from row `first` on, where the slices start.
    fn block<F: Real>(
        &self,
        labels: &[u32],
        (first, count): (usize, usize),
        outputs: &[F],
        gradient: &mut [F],
        rows: &mut [F],
    ) {
        let (columns, stride) = (self.targets.columns, padded(self.targets.columns));
        for (index, found) in rows.chunks_exact_mut(2).enumerate() {
            let at = index * stride;
            let slopes = if self.gradient { &mut gradient[at..at + stride] } else { &mut [] };
            let (slopes, padding) = slopes.split_at_mut(slopes.len().min(columns));
            padding.fill(F::zero());
            found.copy_from_slice(&self.row(labels, (first + index, count), &outputs[at..at + columns], slopes));
        }
    }

    /// All rows of a batch in plain loops: the reference of the losses' operations. The gradient is multiplied by `scale`.
    pub(crate) fn reference<F: Real>(
        &self,
        scale: F,
        step: &StepBlock,
        inputs: &[Input<'_, F>],
        outputs: &mut [Output<'_, F>],
    ) {
        let [gradient, rows] = outputs else { return };
        let count = step.rows as usize;
        self.fill_padding(count, gradient.floats());
        let rows = &mut rows.floats()[..2 * count];
        let gradient = gradient.floats();
        self.block(inputs[1].words(), (0, count), inputs[0].floats(), gradient, rows);
        let made = if self.gradient { count * padded(self.targets.columns) } else { 0 };
        gradient[..made].iter_mut().for_each(|slope| *slope = scale * *slope);
    }

    /// The same on the CPU device's threads, for whom rows are enough.
    pub(crate) fn run(
        &self,
        cpu: &Cpu,
        step: &StepBlock,
        (outputs, labels): (&[f32], &[u32]),
        [gradient, rows]: [&mut [f32]; 2],
    ) {
        let (count, stride) = (step.rows as usize, padded(self.targets.columns));
        self.fill_padding(count, gradient);
        let rows = &mut rows[..2 * count];
        if count * self.targets.columns < WORTH_SHARING {
            return self.block(labels, (0, count), outputs, gradient, rows);
        }
        let lengths = [if self.gradient { stride } else { 0 }, 2];
        cpu.pool.for_rows_of([gradient, rows], lengths, count, |first, [gradient, rows]| {
            self.block(labels, (first, count), &outputs[first * stride..], gradient, rows);
        });
    }

    /// The rows that fill the gradient's last block of four.
    fn fill_padding<F: Real>(&self, count: usize, gradient: &mut [F]) {
        if self.gradient {
            let stride = padded(self.targets.columns);
            gradient[count * stride..padded(count) * stride].fill(F::zero());
        }
    }
}

/// A loss of outputs that lie in memory. All of these operations are one but for the formula.
pub(crate) trait LossOperation {
    /// Its row in the registry.
    const DEFINITION: Definition;

    /// The loss with its parameters.
    fn rows(&self) -> RowLoss;
}

impl<L: LossOperation> Operation for L {
    const DEFINITION: Definition = L::DEFINITION;

    const GRADIENTS: Gradients = Gradients::Made(&["gradient"]);

    fn header(&self, header: &mut Header) {
        let rows = self.rows();
        rows.header(header, WORKGROUP, lanes::for_columns(rows.targets.columns));
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = self.rows().parts();
        parts.push(shader::LOSS_ROWS);
        parts
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.rows().targets.columns)
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
