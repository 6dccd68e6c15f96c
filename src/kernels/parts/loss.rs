//! The losses, one row of outputs at a time, with the gradient of these outputs: the mirror of
//! `shaders/parts/loss_*.wgsl`. An operation of a loss has its outputs in memory; `dense_loss` makes them itself. This file has
//! the list of formulas and the loops over rows; `elements.rs` has the formulas that see one output, `rows.rs` those that see a
//! row, `custom.rs` the way to one of the user's.

mod custom;
mod elements;
mod rows;

use super::scale::Gradients;
use super::targets::TargetLayout;
use crate::cpu::Cpu;
use crate::kernels::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, lanes, padded};
use crate::net::losses::Loss;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;
use elements::Element;

/// A loss of the rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLoss {
    /// Which loss.
    pub loss: Loss,
    /// What the targets are, and how many outputs there are.
    pub targets: TargetLayout,
    /// Whether the gradient is wanted; evaluation needs none.
    pub gradient: bool,
}

/// What a loss is in a shader.
enum Formula {
    /// A formula of a whole row.
    Row(Part),
    /// One of a whole row that the user has written.
    Custom(Part),
    /// A sum of a formula of each output, divided by `sharers`.
    Elements { part: Part, sharers: usize },
}

/// A row of outputs as a formula sees it, in a batch of `count`.
struct Row<'a, F, T> {
    outputs: &'a [F],
    /// The target of a column.
    target: T,
    weight: F,
    count: F,
}

impl<F: Real, T: Fn(usize) -> F> Row<'_, F, T> {
    /// The mean of a loss of single outputs.
    fn mean(self, element: impl Element<F>, gradient: &mut [F]) -> F {
        let width = F::near(self.outputs.len() as f64);
        self.shared_by(width, element, gradient)
    }

    /// The sum of a loss of single outputs.
    fn sum(self, element: impl Element<F>, gradient: &mut [F]) -> F {
        self.shared_by(F::one(), element, gradient)
    }

    /// The mirror of `loss_elements.wgsl`.
    fn shared_by(self, sharers: F, element: impl Element<F>, gradient: &mut [F]) -> F {
        let Row { outputs, target, weight, count } = self;
        let mut sum = F::zero();
        for (column, &y) in outputs.iter().enumerate() {
            sum += element.loss(y, target(column));
        }
        let share = weight / (sharers * count);
        for (column, slope) in gradient.iter_mut().enumerate() {
            *slope = share * element.slope(outputs[column], target(column));
        }
        weight * sum / sharers
    }
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
        let threshold = self.loss.threshold();
        header
            .flag("GRADIENT", self.gradient)
            .flag("HAS_THRESHOLD", threshold.is_some())
            .float("THRESHOLD", threshold.unwrap_or(0.0));
        match self.loss {
            Loss::Huber { delta } => header.float("LOSS_DELTA", delta),
            Loss::CategoricalFocalCrossentropy { alpha, gamma } => {
                header.float("LOSS_ALPHA", alpha).float("LOSS_GAMMA", gamma)
            }
            Loss::BinaryFocalCrossentropy { alpha, gamma } => header
                .float("LOSS_ALPHA", alpha.unwrap_or(0.0))
                .float("LOSS_GAMMA", gamma)
                .flag("LOSS_BALANCED", alpha.is_some()),
            _ => header,
        };
        if let Formula::Elements { sharers, .. } = self.formula() {
            header.number("SHARERS", sharers);
        }
    }

    /// The formula and what it needs.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts = vec![shader::STEP, shader::LANES, shader::TARGETS];
        match self.formula() {
            Formula::Row(part) => parts.push(part),
            Formula::Custom(part) => parts.extend([shader::LOSS_CUSTOM, part]),
            Formula::Elements { part, .. } => parts.extend([shader::LOSS_ELEMENTS, part]),
        }
        parts
    }

    /// A row a loss.
    fn formula(&self) -> Formula {
        let mean = |part| Formula::Elements { part, sharers: self.targets.columns };
        match self.loss {
            Loss::CategoricalCrossentropy => Formula::Row(shader::LOSS_SOFTMAX_CROSS_ENTROPY),
            Loss::CategoricalFocalCrossentropy { .. } => Formula::Row(shader::LOSS_CATEGORICAL_FOCAL_CROSSENTROPY),
            Loss::CategoricalHinge => Formula::Row(shader::LOSS_CATEGORICAL_HINGE),
            Loss::CosineSimilarity => Formula::Row(shader::LOSS_COSINE_SIMILARITY),
            Loss::KlDivergence => Formula::Elements { part: shader::LOSS_KL_DIVERGENCE, sharers: 1 },
            Loss::BinaryCrossentropy => mean(shader::LOSS_BINARY_CROSSENTROPY),
            Loss::BinaryFocalCrossentropy { .. } => mean(shader::LOSS_BINARY_FOCAL_CROSSENTROPY),
            Loss::Poisson => mean(shader::LOSS_POISSON),
            Loss::MeanSquaredError => mean(shader::LOSS_MEAN_SQUARED_ERROR),
            Loss::MeanAbsoluteError => mean(shader::LOSS_MEAN_ABSOLUTE_ERROR),
            Loss::MeanAbsolutePercentageError => mean(shader::LOSS_MEAN_ABSOLUTE_PERCENTAGE_ERROR),
            Loss::MeanSquaredLogarithmicError => mean(shader::LOSS_MEAN_SQUARED_LOGARITHMIC_ERROR),
            Loss::Huber { .. } => mean(shader::LOSS_HUBER),
            Loss::LogCosh => mean(shader::LOSS_LOG_COSH),
            Loss::Hinge => mean(shader::LOSS_HINGE),
            Loss::SquaredHinge => mean(shader::LOSS_SQUARED_HINGE),
            Loss::Custom(custom) => Formula::Custom(Part { name: custom.name, source: custom.wgsl }),
        }
    }

    /// Loss and correct answer of row `row` of a batch of `count`; the gradient of its outputs goes to `gradient`, which is
    /// as long or, where none is wanted, empty.
    fn row<F: Real>(&self, labels: &[u32], (row, count): (usize, usize), outputs: &[F], gradient: &mut [F]) -> [F; 2] {
        let weight = self.targets.weight::<F>(labels, row);
        let target = |column| self.targets.at::<F>(labels, row, column);
        let found = Row { outputs, target, weight, count: F::near(count as f64) };
        let loss = match self.loss {
            Loss::CategoricalCrossentropy => rows::softmax_cross_entropy(found, gradient),
            Loss::CategoricalFocalCrossentropy { alpha, gamma } => rows::focal(alpha, gamma, found, gradient),
            Loss::CategoricalHinge => rows::hinge(found, gradient),
            Loss::CosineSimilarity => rows::cosine_similarity(found, gradient),
            Loss::KlDivergence => found.sum(elements::kl_divergence(), gradient),
            Loss::BinaryCrossentropy => found.mean(elements::binary_crossentropy(), gradient),
            Loss::BinaryFocalCrossentropy { alpha, gamma } => {
                found.mean(elements::binary_focal_crossentropy(alpha, gamma), gradient)
            }
            Loss::Poisson => found.mean(elements::poisson(), gradient),
            Loss::MeanSquaredError => found.mean(elements::squared_error(), gradient),
            Loss::MeanAbsoluteError => found.mean(elements::absolute_error(), gradient),
            Loss::MeanAbsolutePercentageError => found.mean(elements::absolute_percentage_error(), gradient),
            Loss::MeanSquaredLogarithmicError => found.mean(elements::squared_logarithmic_error(), gradient),
            Loss::Huber { delta } => found.mean(elements::huber(delta), gradient),
            Loss::LogCosh => found.mean(elements::log_cosh(), gradient),
            Loss::Hinge => found.mean(elements::hinge(), gradient),
            Loss::SquaredHinge => found.mean(elements::squared_hinge(), gradient),
            Loss::Custom(custom) => custom::custom(custom, found, gradient),
        };
        let correct = self.is_correct(outputs, labels, row);
        [loss, if correct { F::one() } else { F::zero() }]
    }

    fn is_correct<F: Real>(&self, outputs: &[F], labels: &[u32], row: usize) -> bool {
        match self.loss.threshold().filter(|_| outputs.len() == 1) {
            Some(threshold) => (outputs[0] > F::of(threshold)) == (self.targets.raw::<F>(labels, row, 0) > F::of(0.5)),
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
