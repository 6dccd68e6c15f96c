//! Data sets: what a model is trained on and measured with.
//!
//! This module owns the samples of a set (inputs, targets, weights), the checks that they fit together, and the places
//! where sets come from: IDX files ([`idx`]), MNIST ([`mnist`]), drawn digits ([`synthetic`]), NumPy's files ([`npy`]) and,
//! for sets that do not fit in memory, readers ([`StreamedDataset`]). Choosing among samples is in `select.rs`. It knows
//! nothing of devices, models or losses: whether a target suits a loss is checked where the two meet.

mod arrays;
pub(crate) mod batches;
#[cfg(feature = "download")]
mod download;
pub mod idx;
pub mod mnist;
pub mod npy;
#[cfg(feature = "native")]
pub(crate) mod npz;
mod own;
mod samples;
mod select;
mod streamed;
pub mod synthetic;
mod unscaled;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use arrays::{InputRows, Inputs, TargetRows, Targets, to_categorical};
pub use own::{Label, Row};
pub use samples::Samples;
pub(crate) use select::sorted_by_class;
pub use streamed::{AnyDataset, ReadError, StreamedDataset};
pub(crate) use streamed::{Check, ReadAhead, Windows};
pub(crate) use unscaled::unscaled;

use crate::error::{Error, Result};
use crate::memory::shared;

/// Samples with their targets: `inputs` of shape \[samples, features\], row-major, and one target a sample.
///
/// A clone, a [`take`](Dataset::take) or a [`range`](Dataset::range) shares the numbers with the original and costs
/// next to nothing. What is in a `Dataset` has been checked: the lengths fit, every label is below the number of
/// classes, every float is finite. A set may be empty; training and evaluation refuse it then.
///
/// ```
/// use wgrad::data::Dataset;
///
/// // Two samples of three features, of classes 1 and 0.
/// let data = Dataset::from_classes(vec![0.0, 0.5, 1.0, 1.0, 0.5, 0.0], 3, vec![1, 0], 2)?;
/// assert_eq!((data.len(), data.features(), data.target_width()), (2, 3, 2));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Dataset {
    inputs: Inputs,
    features: usize,
    targets: Targets,
    weights: Option<Weights>,
    /// The rows of the arrays that belong to this set.
    rows: Range<usize>,
}

/// Sample weights. They may have been given to a part of a larger set, so the first one says whose it is.
#[derive(Clone)]
struct Weights {
    values: Arc<[f32]>,
    first: usize,
}

impl Dataset {
    /// A set of `inputs`, read as rows of `features` numbers, and one target a row.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where `features`, the classes or the targets' width is 0 or the scale is not finite;
    /// [`Error::Shape`] where the inputs are no whole number of rows, or there are not as many targets as rows;
    /// [`Error::LabelOutOfRange`] and [`Error::NotFinite`] with the first offending row.
    ///
    /// ```
    /// use wgrad::data::{Dataset, Inputs, Targets};
    ///
    /// // Bytes that stand for -128 … 127 hundredths would need an offset; these stand for 0 … 2.55.
    /// let inputs = Inputs::Bytes { values: vec![0, 100, 200, 255].into(), scale: 0.01 };
    /// let data = Dataset::new(inputs, 2, Targets::Rows { values: vec![1.0, -1.0].into(), width: 1 })?;
    /// assert_eq!(data.len(), 2);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(inputs: Inputs, features: usize, targets: Targets) -> Result<Self> {
        let samples = inputs.checked_rows(features)?;
        let labelled = targets.checked_rows()?;
        if labelled != samples {
            let one_hot =
                matches!(targets, Targets::Classes { classes, .. } if classes > 1 && labelled == samples * classes);
            let advice = if one_hot { "; one-hot rows go to Dataset::from_rows" } else { "" };
            let expected = format!("{samples} rows, one for each row of the inputs");
            return Err(Error::shape("the targets", expected, format!("{labelled}{advice}")));
        }
        if u32::try_from(samples).is_err() {
            return Err(Error::shape("the data set", format!("at most {} samples", u32::MAX), samples));
        }
        Ok(Dataset { inputs, features, targets, weights: None, rows: 0..samples })
    }

    /// Grey or colour images: bytes in rows of `features` pixels, seen by a model as 0 … 1 (`byte / 255`), and a class
    /// below `classes` for each, of any integer type.
    ///
    /// # Errors
    ///
    /// As [`Dataset::new`].
    ///
    /// ```
    /// let data = wgrad::data::Dataset::from_images(vec![0, 255, 128, 0, 64, 32, 16, 8], 4, vec![9, 3], 10)?;
    /// assert_eq!(data.len(), 2);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_images<L: Label>(pixels: Vec<u8>, features: usize, labels: Vec<L>, classes: usize) -> Result<Self> {
        let values = shared(pixels, || "keeping the pixels of a data set".to_owned())?;
        Self::new(Inputs::Bytes { values, scale: 1.0 / 255.0 }, features, Self::classes(&labels, classes)?)
    }

    /// Floats in rows of `features`, one after the other or as arrays, and a class below `classes` for each row, of any
    /// integer type.
    ///
    /// # Errors
    ///
    /// As [`Dataset::new`].
    ///
    /// ```
    /// use wgrad::{Error, data::Dataset};
    ///
    /// let refused = Dataset::from_classes(vec![0.0, 1.0, 2.0], 1, vec![0, 1, 2], 2);
    /// assert!(matches!(refused, Err(Error::LabelOutOfRange { row: 2, label: 2, classes: 2, .. })));
    /// ```
    pub fn from_classes<R: Row, L: Label>(
        inputs: Vec<R>,
        features: usize,
        ids: Vec<L>,
        classes: usize,
    ) -> Result<Self> {
        Self::new(Self::floats(inputs, features)?, features, Self::classes(&ids, classes)?)
    }

    /// Floats in rows of `features` and a row of `width` targets for each: regression targets, one-hot or soft labels.
    /// Both may be flat or arrays, row by row.
    ///
    /// # Errors
    ///
    /// As [`Dataset::new`].
    ///
    /// ```
    /// // y = 2x, three times.
    /// let data = wgrad::data::Dataset::from_rows(vec![1.0, 2.0, 3.0], 1, vec![2.0, 4.0, 6.0], 1)?;
    /// assert_eq!(data.target_width(), 1);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_rows<R: Row, T: Row>(inputs: Vec<R>, features: usize, targets: Vec<T>, width: usize) -> Result<Self> {
        let inputs = Self::floats(inputs, features)?;
        let values = shared(T::flatten(targets, "the targets", Some(width))?, || {
            "keeping the targets of a data set".to_owned()
        })?;
        Self::new(inputs, features, Targets::Rows { values, width })
    }

    fn floats<R: Row>(inputs: Vec<R>, features: usize) -> Result<Inputs> {
        let numbers = R::flatten(inputs, "the inputs", Some(features))?;
        Ok(Inputs::Floats(shared(numbers, || "keeping the inputs of a data set".to_owned())?))
    }

    fn classes<L: Label>(labels: &[L], classes: usize) -> Result<Targets> {
        let ids = shared(own::class_ids(labels, classes)?, || "keeping the labels of a data set".to_owned())?;
        Ok(Targets::Classes { ids, classes })
    }

    /// The same set with a weight for each sample, by which its loss counts. Without weights each counts 1.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where there is not one weight a sample; [`Error::NotFinite`] and [`Error::Configuration`] where
    /// a weight is not finite or below zero.
    ///
    /// ```
    /// # let data = wgrad::data::Dataset::from_rows(vec![1.0, 2.0], 1, vec![2.0, 4.0], 1)?;
    /// let data = data.with_sample_weights(vec![1.0, 0.25])?;
    /// assert_eq!(data.sample_weights(), Some(&[1.0, 0.25][..]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn with_sample_weights(mut self, weights: Vec<f32>) -> Result<Self> {
        const WHAT: &str = "the sample weights";
        if weights.len() != self.len() {
            return Err(Error::shape(WHAT, format!("{}, one a sample", self.len()), weights.len()));
        }
        arrays::check_finite(WHAT, &weights, 1)?;
        if let Some(row) = weights.iter().position(|&weight| weight < 0.0) {
            return Err(Error::configuration(WHAT, "none below 0", format!("{} in row {row}", weights[row])));
        }
        let values = shared(weights, || "keeping the sample weights of a data set".to_owned())?;
        self.weights = Some(Weights { values, first: self.rows.start });
        Ok(self)
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many numbers one sample's input has.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The inputs: `len() * features()` numbers, row-major.
    ///
    /// ```
    /// use wgrad::data::{Dataset, InputRows};
    ///
    /// let data = Dataset::from_rows(vec![1.0, 2.0, 3.0], 1, vec![2.0, 4.0, 6.0], 1)?;
    /// assert!(matches!(data.range(1..3)?.inputs(), InputRows::Floats([2.0, 3.0])));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn inputs(&self) -> InputRows<'_> {
        self.inputs.rows(self.rows.start * self.features..self.rows.end * self.features)
    }

    /// The targets: `len()` class ids, or `len() * target_width()` numbers, row-major.
    pub fn targets(&self) -> TargetRows<'_> {
        self.targets.rows(self.rows.clone())
    }

    /// The weights of the samples, where [`with_sample_weights`](Dataset::with_sample_weights) gave some.
    pub fn sample_weights(&self) -> Option<&[f32]> {
        let weights = self.weights.as_ref()?;
        Some(&weights.values[self.rows.start - weights.first..self.rows.end - weights.first])
    }

    /// How many numbers a model must return for a sample: the number of classes, or the width of a row of targets.
    pub fn target_width(&self) -> usize {
        self.targets.width()
    }

    /// How many samples each class has, in the order of the classes; `None` where the targets name no classes, as
    /// [`Dataset::class_ids`] says.
    ///
    /// ```
    /// let data = wgrad::data::Dataset::from_images(vec![1, 2, 3], 1, vec![2, 0, 2], 3)?;
    /// assert_eq!(data.class_counts(), Some(vec![1, 0, 2]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn class_counts(&self) -> Option<Vec<usize>> {
        let (ids, classes) = self.named_classes().ok()?;
        let mut counts = vec![0; classes];
        ids.iter().for_each(|&id| counts[id as usize] += 1);
        Some(counts)
    }

    /// The first `samples` samples, or all where there are fewer.
    ///
    /// ```
    /// # let data = wgrad::data::Dataset::from_rows(vec![1.0, 2.0], 1, vec![2.0, 4.0], 1)?;
    /// assert_eq!((data.take(1).len(), data.take(9).len()), (1, 2));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn take(&self, samples: usize) -> Self {
        self.part(0..samples.min(self.len()))
    }

    /// The samples of `range`, counted from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the range reaches beyond the set or ends before it starts.
    ///
    /// ```
    /// # let data = wgrad::data::Dataset::from_rows(vec![1.0, 2.0], 1, vec![2.0, 4.0], 1)?;
    /// assert_eq!(data.range(1..2)?.len(), 1);
    /// assert!(data.range(1..3).is_err());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn range(&self, range: Range<usize>) -> Result<Self> {
        if range.start > range.end || range.end > self.len() {
            let expected = format!("a range within 0..{}", self.len());
            return Err(Error::shape("the range of samples", expected, format!("{range:?}")));
        }
        Ok(self.part(range))
    }

    /// `(training, validation)`: the last `fraction` of the samples, in the order they are in, is for validation. The
    /// first `floor(len · (1 − fraction))` remain, as with Keras's `validation_split`.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where `fraction` is not between 0 and 1, or one of the two parts would be empty.
    ///
    /// ```
    /// # let data = wgrad::data::Dataset::from_rows(vec![0.0; 10], 1, vec![0.0; 10], 1)?;
    /// let (training, validation) = data.split_validation(0.25)?;
    /// assert_eq!((training.len(), validation.len()), (7, 3));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn split_validation(&self, fraction: f64) -> Result<(Self, Self)> {
        let split = split_at(self.len(), fraction)?;
        Ok((self.part(0..split), self.part(split..self.len())))
    }

    /// `range` must lie within `0..len()`.
    fn part(&self, range: Range<usize>) -> Self {
        let rows = self.rows.start + range.start..self.rows.start + range.end;
        Dataset { rows, ..self.clone() }
    }
}

/// How many of `samples` samples are for training where the last `fraction` is for validation.
fn split_at(samples: usize, fraction: f64) -> Result<usize> {
    const WHAT: &str = "the validation split";
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::configuration(WHAT, "a fraction between 0 and 1", fraction));
    }
    let split = (samples as f64 * (1.0 - fraction)).floor() as usize;
    if split == 0 || split == samples {
        let found = format!("{split} and {} for {fraction}", samples - split);
        return Err(Error::configuration(WHAT, "samples on both sides", found));
    }
    Ok(split)
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("samples", &self.len())
            .field("features", &self.features)
            .field("inputs", &self.inputs())
            .field("targets", &self.targets())
            .field("weighted", &self.weights.is_some())
            .finish()
    }
}
