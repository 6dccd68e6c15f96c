//! What samples are made of: arrays of inputs and targets, shared or borrowed, and the checks on one array alone.
//! That inputs and targets fit together is [`Dataset`](super::Dataset)'s concern.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::own::{Label, check_classes, check_labels};
use crate::error::{Error, Result};
use crate::memory::zeros;

/// The inputs of a set, row-major \[samples, features\].
#[derive(Clone)]
pub enum Inputs {
    /// One byte a number, as image files hold them. They stay bytes in memory and on the device.
    Bytes {
        /// The bytes.
        values: Arc<[u8]>,
        /// What a byte is multiplied with: a model sees `byte as f32 * scale`.
        scale: f32,
    },
    /// Finite floats, used as they are.
    Floats(Arc<[f32]>),
}

/// The targets of a set, one for each sample.
#[derive(Clone)]
pub enum Targets {
    /// One class a sample.
    Classes {
        /// The class of each sample, below `classes`.
        ids: Arc<[u32]>,
        /// How many classes there are.
        classes: usize,
    },
    /// A row of numbers a sample, row-major \[samples, width\]: regression targets, one-hot or soft labels.
    Rows {
        /// The finite numbers.
        values: Arc<[f32]>,
        /// How many numbers a row has.
        width: usize,
    },
}

/// The inputs of some samples, borrowed from a set: row-major \[samples, features\].
#[derive(Clone, Copy)]
pub enum InputRows<'a> {
    /// One byte a number; see [`Inputs::Bytes`].
    Bytes {
        /// The bytes.
        values: &'a [u8],
        /// What a byte is multiplied with.
        scale: f32,
    },
    /// Finite floats.
    Floats(&'a [f32]),
}

/// The targets of some samples, borrowed from a set.
#[derive(Clone, Copy)]
pub enum TargetRows<'a> {
    /// One class a sample.
    Classes {
        /// The class of each sample, below `classes`.
        ids: &'a [u32],
        /// How many classes there are.
        classes: usize,
    },
    /// A row of numbers a sample, row-major \[samples, width\].
    Rows {
        /// The finite numbers.
        values: &'a [f32],
        /// How many numbers a row has.
        width: usize,
    },
}

impl Inputs {
    /// How many rows of `features` numbers these are.
    pub(super) fn checked_rows(&self, features: usize) -> Result<usize> {
        check_at_least_one("features", features)?;
        let numbers = match self {
            Inputs::Bytes { values, scale } => {
                if !scale.is_finite() {
                    return Err(Error::configuration("the scale of the inputs", "a finite number", scale));
                }
                values.len()
            }
            Inputs::Floats(values) => {
                check_finite("the inputs", values, features)?;
                values.len()
            }
        };
        whole_rows("the inputs", numbers, features)
    }

    /// `range` counts numbers, not rows.
    pub(super) fn rows(&self, range: Range<usize>) -> InputRows<'_> {
        match self {
            Inputs::Bytes { values, scale } => InputRows::Bytes { values: &values[range], scale: *scale },
            Inputs::Floats(values) => InputRows::Floats(&values[range]),
        }
    }
}

impl Targets {
    /// How many samples these belong to.
    pub(super) fn checked_rows(&self) -> Result<usize> {
        match self {
            Targets::Classes { ids, classes } => {
                check_classes(*classes)?;
                check_labels(ids, *classes)?;
                Ok(ids.len())
            }
            Targets::Rows { values, width } => {
                check_at_least_one("the width of the targets", *width)?;
                check_finite("the targets", values, *width)?;
                whole_rows("the targets", values.len(), *width)
            }
        }
    }

    pub(super) fn rows(&self, rows: Range<usize>) -> TargetRows<'_> {
        match self {
            Targets::Classes { ids, classes } => TargetRows::Classes { ids: &ids[rows], classes: *classes },
            Targets::Rows { values, width } => {
                TargetRows::Rows { values: &values[rows.start * width..rows.end * width], width: *width }
            }
        }
    }

    pub(super) fn width(&self) -> usize {
        match self {
            Targets::Classes { classes, .. } => *classes,
            Targets::Rows { width, .. } => *width,
        }
    }
}

/// One-hot rows, \[ids, classes\]: 1 in the column of each id, 0 elsewhere. Ids may be of any integer type.
///
/// # Errors
///
/// [`Error::LabelOutOfRange`] with the first id that is not below `classes`; [`Error::Configuration`] where `classes`
/// is 0 or more than 2³² − 1; [`Error::OutOfMemory`] where the rows do not fit in memory.
///
/// ```
/// let rows = wgrad::data::to_categorical(&[2, 0], 3)?;
/// assert_eq!(rows, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn to_categorical<L: Label>(ids: &[L], classes: usize) -> Result<Vec<f32>> {
    check_classes(classes)?;
    check_labels(ids, classes)?;
    let during = || format!("making {} one-hot rows of {classes}", ids.len());
    let mut rows = zeros::<f32>(ids.len().saturating_mul(classes), during)?;
    let ids = ids.iter().map(|&id| id.value() as usize);
    ids.zip(rows.chunks_exact_mut(classes)).for_each(|(id, row)| row[id] = 1.0);
    Ok(rows)
}

/// `values` in rows of `width`, which is not 0.
pub(super) fn check_finite(what: &str, values: &[f32], width: usize) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => {
            Err(Error::NotFinite { what: what.to_owned(), row: at / width, column: at % width, value: values[at] })
        }
    }
}

fn check_at_least_one(what: &str, count: usize) -> Result<()> {
    if count == 0 { Err(Error::configuration(what, "at least 1", 0)) } else { Ok(()) }
}

fn whole_rows(what: &str, numbers: usize, width: usize) -> Result<usize> {
    if numbers.is_multiple_of(width) {
        return Ok(numbers / width);
    }
    Err(Error::shape(what, format!("whole rows of {width} numbers"), format!("{numbers} numbers")))
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inputs::Bytes { values, scale } => fmt::Debug::fmt(&InputRows::Bytes { values, scale: *scale }, f),
            Inputs::Floats(values) => fmt::Debug::fmt(&InputRows::Floats(values), f),
        }
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Targets::Classes { ids, classes } => fmt::Debug::fmt(&TargetRows::Classes { ids, classes: *classes }, f),
            Targets::Rows { values, width } => fmt::Debug::fmt(&TargetRows::Rows { values, width: *width }, f),
        }
    }
}

/// A summary: nobody wants 47 million numbers in a log.
impl fmt::Debug for InputRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputRows::Bytes { values, scale } => write!(f, "{} bytes × {scale}", values.len()),
            InputRows::Floats(values) => write!(f, "{} floats", values.len()),
        }
    }
}

/// A summary, as that of [`InputRows`].
impl fmt::Debug for TargetRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetRows::Classes { ids, classes } => write!(f, "{} ids of {classes} classes", ids.len()),
            TargetRows::Rows { values, width } => write!(f, "{} floats in rows of {width}", values.len()),
        }
    }
}
