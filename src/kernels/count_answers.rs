//! count_answers: counts what a batch's outputs and targets say in tables that a pass over the data fills.

use super::targets::{TargetLayout, first_largest};
use super::{Access, Binding, Definition, Element, Input, Operation, Output, Real, WORKGROUP, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Buckets of an ROC curve: between Keras's 200 thresholds, which lie evenly from 0 to 1.
pub const BUCKETS: usize = 199;

/// Which tables there are, one behind the other in this order. All are counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// How many ranks are counted: samples of which r outputs are larger than that of the right class, by r.
    pub ranks: usize,
    /// Whether right answers, answers and samples are counted for each class.
    pub classes: bool,
    /// Whether each pair of a class and the answer is counted.
    pub matrix: bool,
    /// For each of these and each output: outputs above it that are right, outputs above it, and targets above one half.
    pub thresholds: Vec<f32>,
    /// Whether outputs are counted by bucket, those with targets up to one half and above it.
    pub curve: bool,
}

impl Tables {
    /// Classes of a net with so many outputs: one output stands for two.
    pub fn classes_of(columns: usize) -> usize {
        columns.max(2)
    }

    /// Where the classes' counts start: right, answers and samples of each.
    pub fn classes_at(&self) -> usize {
        self.ranks
    }

    /// Where the matrix starts, a row a class.
    pub fn matrix_at(&self, columns: usize) -> usize {
        self.classes_at() + if self.classes { 3 * Tables::classes_of(columns) } else { 0 }
    }

    /// Where the first threshold's counts start: right, answers and targets of each output.
    pub fn thresholds_at(&self, columns: usize) -> usize {
        self.matrix_at(columns) + if self.matrix { Tables::classes_of(columns).pow(2) } else { 0 }
    }

    /// Where the curve starts: both counts of each bucket.
    pub fn curve_at(&self, columns: usize) -> usize {
        self.thresholds_at(columns) + 3 * columns * self.thresholds.len()
    }

    /// Words of all.
    pub fn words(&self, columns: usize) -> usize {
        self.curve_at(columns) + if self.curve { 2 * BUCKETS } else { 0 }
    }
}

/// The parameters of `count_answers`.
#[derive(Clone, Debug, PartialEq)]
pub struct CountAnswers {
    /// What the targets are, and how many outputs there are; counts see no smoothing.
    pub targets: TargetLayout,
    /// What is counted.
    pub tables: Tables,
    /// What the output of a net with one is above where its class is 1.
    pub threshold: f32,
}

impl Operation for CountAnswers {
    const DEFINITION: Definition = Definition {
        name: "count_answers",
        source: include_str!("../../shaders/count_answers.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("outputs"),
            Binding::words("labels"),
            Binding::new("counts", Access::Update, Element::Word),
        ],
    };

    fn header(&self, header: &mut Header) {
        let (tables, columns) = (&self.tables, self.targets.columns);
        lanes::header(header, WORKGROUP, lanes::for_columns(columns));
        self.targets.header(header);
        header.flag("HAS_THRESHOLD", true).float("THRESHOLD", self.threshold);
        header.number("RANKS", tables.ranks).number("CLASSES", Tables::classes_of(columns));
        header.flag("HAS_CLASSES", tables.classes).number("CLASSES_AT", tables.classes_at());
        header.flag("HAS_MATRIX", tables.matrix).number("MATRIX_AT", tables.matrix_at(columns));
        header.number("THRESHOLDS", tables.thresholds.len()).number("THRESHOLDS_AT", tables.thresholds_at(columns));
        header.floats("THRESHOLD_LIST", &tables.thresholds);
        header.flag("HAS_CURVE", tables.curve).number("CURVE_AT", tables.curve_at(columns));
        header.number("BUCKETS", BUCKETS);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES, shader::TARGETS]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        lanes::workgroups(capacity, self.targets.columns)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (values, labels) = (inputs[0].floats(), inputs[1].words());
        let [counts] = outputs else { return };
        let (counts, columns) = (counts.words(), self.targets.columns);
        for row in 0..step.rows as usize {
            let values = &values[row * padded(columns)..][..columns];
            self.count_row(values, |column| self.targets.raw::<f64>(labels, row, column), counts);
        }
    }
}

impl CountAnswers {
    fn count_row<F: Real>(&self, values: &[F], target: impl Fn(usize) -> f64, counts: &mut [u32]) {
        let (tables, columns) = (&self.tables, self.targets.columns);
        let (mut answer, mut class) =
            (first_largest(values.iter().map(|y| y.wide())), first_largest((0..columns).map(&target)));
        if let (Some(right), true) = (class, tables.ranks > 0) {
            let right = values[right];
            let rank = values.iter().filter(|&&y| y > right).count();
            if rank < tables.ranks && right.is_finite() {
                counts[rank] += 1;
            }
        }
        if columns == 1 {
            answer = Some(usize::from(values[0].wide() > self.threshold.into()));
            class = Some(usize::from(target(0) > 0.5));
        }
        if let Some(class) = class {
            let at = |class: usize| tables.classes_at() + 3 * class;
            if tables.classes {
                counts[at(class)] += u32::from(answer == Some(class));
                counts[at(class) + 2] += 1;
            }
            if let Some(answer) = answer {
                if tables.classes {
                    counts[at(answer) + 1] += 1;
                }
                if tables.matrix {
                    counts[tables.matrix_at(columns) + Tables::classes_of(columns) * class + answer] += 1;
                }
            }
        }
        for (column, y) in values.iter().enumerate() {
            let (y, positive) = (y.wide(), target(column) > 0.5);
            for (index, &threshold) in tables.thresholds.iter().enumerate() {
                let (at, above) =
                    (tables.thresholds_at(columns) + 3 * (index * columns + column), y > threshold.into());
                counts[at] += u32::from(above && positive);
                counts[at + 1] += u32::from(above);
                counts[at + 2] += u32::from(positive);
            }
            if tables.curve {
                counts[tables.curve_at(columns) + 2 * bucket(y) + usize::from(positive)] += 1;
            }
        }
    }
}

/// The bucket of an output: as many thresholds as lie below it, but for the first, which all are above. In f32, as shaders and
/// Keras reckon.
fn bucket(output: f64) -> usize {
    let place = (output as f32 * BUCKETS as f32).ceil() - 1.0;
    (place.max(0.0) as usize).min(BUCKETS - 1)
}
