//! constrain: holds a tensor within bounds, after the update. Moves 8 bytes a number, 12 where norms are bounded.

use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, lanes, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// What is added to a norm before it divides, Keras's `epsilon()`.
const EPSILON: f32 = 1e-7;

/// What the numbers are held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    /// What is below zero becomes zero.
    NotNegative,
    /// Norms of columns go from n to rate·clip(n, low, high) + (1 − rate)·n.
    Norm {
        /// The least norm.
        low: f32,
        /// The largest.
        high: f32,
        /// How much of the way is gone.
        rate: f32,
    },
}

/// The parameters of `constrain`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constrain {
    /// Rows of the tensor; 1 of a vector.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Whether it is one column that lies along a row.
    pub is_vector: bool,
    /// What the numbers are held to.
    pub bounds: Bounds,
}

impl Constrain {
    fn column_blocks(&self) -> usize {
        if self.is_vector { 1 } else { blocks(self.columns) }
    }
}

impl Operation for Constrain {
    const DEFINITION: Definition = Definition {
        name: "constrain",
        source: include_str!("../../shaders/constrain.wgsl"),
        bindings: &[Binding::STEP, Binding::update("weights")],
    };

    fn header(&self, header: &mut Header) {
        let rows = if self.is_vector { blocks(self.columns) } else { self.rows };
        let (low, high, rate) = match self.bounds {
            Bounds::NotNegative => (0.0, 0.0, 0.0),
            Bounds::Norm { low, high, rate } => (low, high, rate),
        };
        lanes::header(header, WORKGROUP, WORKGROUP);
        header.number("ROWS", rows).number("COLUMN_BLOCKS", self.column_blocks()).flag("VECTOR", self.is_vector);
        header.flag("NOT_NEGATIVE", self.bounds == Bounds::NotNegative).float("EPSILON", EPSILON);
        header.float("LOW", low).float("HIGH", high).float("RATE", rate);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::LANES]
    }

    fn workgroups(&self, _capacity: usize) -> usize {
        self.column_blocks()
    }

    fn reference<F: Real>(&self, _step: &StepBlock, _inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let weights = outputs[0].floats();
        let Bounds::Norm { low, high, rate } = self.bounds else {
            weights.iter_mut().filter(|w| **w < F::zero()).for_each(|w| *w = F::zero());
            return;
        };
        let (length, stride) = if self.is_vector { (self.columns, 1) } else { (self.rows, padded(self.columns)) };
        for column in 0..if self.is_vector { 1 } else { self.columns } {
            let place = |row: usize| row * stride + column;
            let squares = (0..length).fold(F::zero(), |sum, row| sum + weights[place(row)] * weights[place(row)]);
            let norm = squares.sqrt();
            let bounded = norm.max(F::of(low)).min(F::of(high));
            let wanted = F::of(rate) * bounded + (F::one() - F::of(rate)) * norm;
            let factor = wanted / (F::of(EPSILON) + norm);
            (0..length).for_each(|row| weights[place(row)] = weights[place(row)] * factor);
        }
    }
}
