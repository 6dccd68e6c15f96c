//! The types that a caller's own numbers may have: labels of any integer type, rows as one flat vector or as arrays. What
//! they become is in `arrays.rs`.

use crate::error::{Error, Result};
use crate::memory::room;

/// A class label: any integer type of up to 64 bits, or `bool` for two classes.
///
/// ```
/// use wgrad::Dataset;
///
/// let ids: Vec<i64> = vec![0, 2, 1];
/// let data = Dataset::from_classes(vec![0.1, 0.2, 0.3], 1, ids, 3)?;
/// assert_eq!(data.class_counts(), Some(vec![1, 1, 1]));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Label: Copy {
    /// The label as a number, whatever its type.
    fn value(self) -> i128;
}

macro_rules! labels {
    ($($integer:ty)*) => {
        $(impl Label for $integer {
            fn value(self) -> i128 {
                self as i128
            }
        })*
    };
}

labels!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize bool);

/// Numbers of samples or targets: single numbers, row after row, or whole rows as arrays or vectors. Arrays of arrays
/// are rows too, read as [`Shape`](crate::Shape) says.
///
/// ```
/// use wgrad::Dataset;
///
/// let rows: Vec<[f32; 2]> = vec![[0.0, 1.0], [1.0, 0.0]];
/// let same = vec![0.0, 1.0, 1.0, 0.0];
/// assert_eq!(Dataset::from_classes(rows, 2, vec![0, 1], 2)?.len(), Dataset::from_classes(same, 2, vec![0, 1], 2)?.len());
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Row: Sized {
    /// All numbers, row after row. `what` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where a row has other than `width` numbers, if that is given.
    fn flatten(rows: Vec<Self>, what: &str, width: Option<usize>) -> Result<Vec<f32>>;
}

impl Row for f32 {
    fn flatten(rows: Vec<Self>, _: &str, _: Option<usize>) -> Result<Vec<f32>> {
        Ok(rows)
    }
}

impl<R: Row, const N: usize> Row for [R; N] {
    fn flatten(rows: Vec<Self>, what: &str, width: Option<usize>) -> Result<Vec<f32>> {
        let count = rows.len();
        // An inner row may be of any width: only all of them together are a sample.
        let numbers = R::flatten(rows.into_flattened(), what, None)?;
        match width {
            Some(width) if count > 0 && numbers.len() != count.saturating_mul(width) => {
                let found = format!("rows of {}", numbers.len() / count);
                Err(Error::shape(what, format!("rows of {width} numbers"), found))
            }
            _ => Ok(numbers),
        }
    }
}

impl Row for Vec<f32> {
    fn flatten(rows: Vec<Self>, what: &str, width: Option<usize>) -> Result<Vec<f32>> {
        let Some(width) = width.or_else(|| rows.first().map(Vec::len)) else { return Ok(Vec::new()) };
        if let Some((row, found)) = rows.iter().enumerate().find(|(_, row)| row.len() != width) {
            return Err(Error::shape(
                what,
                format!("rows of {width} numbers"),
                format!("{} in row {row}", found.len()),
            ));
        }
        let mut numbers = room(rows.len().saturating_mul(width), || format!("joining {} rows", rows.len()))?;
        rows.iter().for_each(|row| numbers.extend_from_slice(row));
        Ok(numbers)
    }
}

/// Labels as class ids below `classes`.
pub(super) fn class_ids<L: Label>(labels: &[L], classes: usize) -> Result<Vec<u32>> {
    check_classes(classes)?;
    check_labels(labels, classes)?;
    let mut ids = room(labels.len(), || format!("keeping {} labels", labels.len()))?;
    ids.extend(labels.iter().map(|label| label.value() as u32));
    Ok(ids)
}

pub(super) fn check_labels<L: Label>(ids: &[L], classes: usize) -> Result<()> {
    match ids.iter().position(|id| !(0..classes as i128).contains(&id.value())) {
        None => Ok(()),
        Some(row) => {
            let from_one = counts_from_one(ids.iter().map(|id| id.value()), classes);
            Err(Error::LabelOutOfRange { row, label: ids[row].value(), classes, from_one })
        }
    }
}

/// Whether these are the labels of somebody who counts from 1. Fewer labels than classes are no sign of it.
pub(super) fn counts_from_one(labels: impl Iterator<Item = i128>, classes: usize) -> bool {
    let (mut count, mut last_class) = (0, false);
    for label in labels {
        if !(1..=classes as i128).contains(&label) {
            return false;
        }
        (count, last_class) = (count + 1, last_class || label == classes as i128);
    }
    last_class && count >= classes
}

pub(super) fn check_classes(classes: usize) -> Result<()> {
    if classes == 0 {
        return Err(Error::configuration("classes", "at least 1", 0));
    }
    match u32::try_from(classes) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::configuration("classes", format!("at most {}", u32::MAX), classes)),
    }
}
