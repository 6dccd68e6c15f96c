//! The arguments of a launch: inputs, and outputs with what is to be found in each of their elements.
//!
//! # Padding
//! Rows of matrices are padded to four columns and batches to four rows, with zeros. A GPU's kernels write that padding,
//! since their neighbours read it in blocks. The CPU device's kernels clear the rows, but its products stop at the last
//! column: its buffers start as zeros, and nothing writes there. So on the CPU the padding of an output starts as zero
//! and must still be zero. On the GPU outputs start as [`POISON`] throughout.

use wgrad::kernels::padded;
use wgrad::kernels::storage::{pack_halves, unpack_halves};

/// What outputs hold before a launch: a NaN that no arithmetic makes, so that an element nobody wrote can be told.
pub const POISON: u32 = 0x7fc5_a5a5;

/// What stands where nothing may be read: it would make NaNs of whatever it touches.
const GARBAGE: u32 = 0x7fc0_0bad;

/// An input.
#[derive(Clone, Debug)]
pub struct Array {
    /// Its words, floats by their bits.
    pub words: Vec<u32>,
}

impl Array {
    /// Words.
    pub fn words(words: Vec<u32>) -> Self {
        Array { words }
    }

    /// Numbers.
    pub fn floats(values: &[f32]) -> Self {
        Array::words(bytemuck::cast_slice(values).to_vec())
    }

    /// A batch's matrix in a buffer for `capacity` rows; behind the batch stands what a larger batch may have left.
    pub fn matrix(rows: usize, columns: usize, capacity: usize, mut value: impl FnMut(usize, usize) -> f32) -> Self {
        let stride = padded(columns);
        let mut words = vec![GARBAGE; padded(capacity.max(rows)) * stride];
        words[..padded(rows) * stride].fill(0);
        for row in 0..rows {
            for column in 0..columns {
                words[row * stride + column] = value(row, column).to_bits();
            }
        }
        Array { words }
    }

    /// A layer's kernel [I, O], whose rows are padded to a block too, and its bias where there is one.
    pub fn kernel(inputs: usize, outputs: usize, bias: Option<usize>, mut value: impl FnMut() -> f32) -> Self {
        let mut kernel = Array::matrix(inputs, outputs, inputs, |_, _| value());
        if let Some(offset) = bias {
            kernel.words.resize(offset, GARBAGE);
            kernel.words.extend((0..padded(outputs)).map(|o| if o < outputs { value().to_bits() } else { 0 }));
        }
        kernel
    }

    /// So many copies, one behind the other.
    pub fn repeated(self, copies: usize) -> Self {
        Array { words: self.words.repeat(copies) }
    }

    /// Numbers that half precision holds as they are.
    pub fn rounded_to_half(self) -> Self {
        let values: Vec<f32> = bytemuck::cast_slice(&self.words).to_vec();
        Array::floats(&unpack_halves(&pack_halves(&values)))
    }

    /// The element as a number.
    pub fn at(&self, index: usize) -> f32 {
        f32::from_bits(self.words[index])
    }

    /// Sets an element.
    pub fn set(&mut self, index: usize, value: f32) {
        self.words[index] = value.to_bits();
    }

    /// The absolute values, for the condition of a sum.
    pub fn absolute(&self) -> Self {
        Array { words: self.words.iter().map(|word| word & !(1 << 31)).collect() }
    }
}

/// What must be found in an element after a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The reference's value, within the bound.
    Written,
    /// Zero.
    Zero,
    /// What was there before, to the last bit.
    Kept,
}

/// How far an element may be from the reference: (index, reference) → distance.
pub type Bound = Box<dyn Fn(usize, f64) -> f64>;

/// An output.
pub struct Output {
    /// What it holds before.
    pub before: Vec<u32>,
    /// What must be found where.
    pub places: Vec<Place>,
    /// How far off that may be; exact until [`Output::within`] says otherwise.
    pub bound: Bound,
}

impl Output {
    /// An output with nothing to be written: what is bound to an unused slot.
    pub fn dummy() -> Self {
        Output::list(0, 0, 4)
    }

    /// A batch's matrix in a buffer for `capacity` rows: nothing behind the batch's last block may be touched.
    pub fn matrix(rows: usize, columns: usize, capacity: usize) -> Self {
        let stride = padded(columns);
        let place = |index: usize| match (index / stride, index % stride) {
            (row, column) if row < rows && column < columns => Place::Written,
            (row, _) if row < padded(rows) => Place::Zero,
            _ => Place::Kept,
        };
        Output::placed((0..padded(capacity.max(rows)) * stride).map(place).collect())
    }

    /// `count` elements, zeros up to `zeros`, and the rest up to `length` left alone.
    pub fn list(count: usize, zeros: usize, length: usize) -> Self {
        let place = |index: usize| match index {
            _ if index < count => Place::Written,
            _ if index < zeros => Place::Zero,
            _ => Place::Kept,
        };
        Output::placed((0..length).map(place).collect())
    }

    fn placed(places: Vec<Place>) -> Self {
        Output { before: vec![POISON; places.len()], places, bound: Box::new(|_, _| 0.0) }
    }

    /// Appends another output's elements, from `offset` on.
    pub fn then(mut self, offset: usize, other: Output) -> Self {
        self.places.resize(offset, Place::Kept);
        self.places.extend(other.places);
        self.before.resize(offset, POISON);
        self.before.extend(other.before);
        self
    }

    /// Starts from values of its own: an update in place.
    pub fn from(self, before: Vec<u32>) -> Self {
        Output { before, ..self }
    }

    /// Sets the bound.
    pub fn within(self, bound: impl Fn(usize, f64) -> f64 + 'static) -> Self {
        Output { bound: Box::new(bound), ..self }
    }

    /// The words as a device gets them.
    pub fn for_device(&self, cpu: bool) -> Vec<u32> {
        let mut words = self.before.clone();
        if cpu {
            let zeros = self.places.iter().zip(&mut words).filter(|(place, _)| **place == Place::Zero);
            zeros.for_each(|(_, word)| *word = 0);
        }
        words
    }
}
