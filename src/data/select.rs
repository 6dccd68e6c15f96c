//! Choosing among the samples of a set in memory: other orders, parts, several sets in one, shares of each class; and
//! which class a sample is of, however its targets say so. What is chosen is copied, so these take memory of their own.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Dataset, InputRows, Inputs, TargetRows, Targets, Weights, split_at};
use crate::error::{Error, Result};
use crate::memory::{room, shared};
use crate::random::Random;

/// Keeps these orders apart from the other uses of a seed (see `batches.rs`).
const STREAM: u64 = 0x7365_6c65_6374_0000;

impl Dataset {
    /// The same samples in an order that the seed alone decides.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]: it is a copy.
    ///
    /// ```
    /// use wgrad::data::{Dataset, InputRows};
    ///
    /// let data = Dataset::from_classes((0..100).map(|i| i as f32).collect::<Vec<_>>(), 1, vec![0; 100], 1)?;
    /// let (once, again) = (data.shuffle(7)?, data.shuffle(7)?);
    /// let (InputRows::Floats(once), InputRows::Floats(again)) = (once.inputs(), again.inputs()) else { unreachable!() };
    /// assert!(once == again && once[..3] != [0.0, 1.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn shuffle(&self, seed: u64) -> Result<Self> {
        self.gather(&shuffled(self.len(), seed)?)
    }

    /// The samples of these rows, counted from 0, in the order in which they are named; one that is named twice is there
    /// twice.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a row beyond the set; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use wgrad::data::{Dataset, InputRows};
    /// let data = Dataset::from_rows(vec![1.0, 2.0, 3.0], 1, vec![2.0, 4.0, 6.0], 1)?;
    /// assert!(matches!(data.subset(&[2, 0])?.inputs(), InputRows::Floats([3.0, 1.0])));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn subset(&self, rows: &[usize]) -> Result<Self> {
        match rows.iter().position(|&row| row >= self.len()) {
            None => self.gather(rows),
            Some(at) => {
                let expected = format!("rows below {}, the number of samples", self.len());
                Err(Error::shape("a subset", expected, format!("{} as number {at}", rows[at])))
            }
        }
    }

    /// All samples of several sets, one set after the other. They must be alike: features, kind and width of targets,
    /// floats or bytes of one scale, and weights in all or in none.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for no set at all and for sets that differ, which are counted from 0; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use wgrad::data::Dataset;
    /// let data = Dataset::from_rows(vec![1.0, 2.0, 3.0], 1, vec![2.0, 4.0, 6.0], 1)?;
    /// assert_eq!(Dataset::concat([&data.take(2), &data])?.len(), 5);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn concat<'a>(sets: impl IntoIterator<Item = &'a Dataset>) -> Result<Self> {
        let sets: Vec<_> = sets.into_iter().collect();
        let Some((first, others)) = sets.split_first() else {
            return Err(Error::shape("sets to join", "at least one", "none"));
        };
        let kind = super::streamed::Kind::of(first);
        for (number, other) in others.iter().enumerate() {
            let found = super::streamed::Kind::of(other);
            if found != kind {
                let what = format!("set {} of those to join", number + 1);
                return Err(Error::shape(what, format!("{kind}, as in set 0"), found));
            }
        }
        first.copied(sets.iter().map(|set| (*set, 0..set.len())))
    }

    /// `(training, validation)`: a share of the samples, chosen by the seed, is for validation. Use
    /// [`Dataset::split_stratified`] where each class shall keep its share, and [`Dataset::split_validation`] for the
    /// last samples as they stand.
    ///
    /// # Errors
    ///
    /// As [`Dataset::split_validation`]; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # let data = wgrad::data::Dataset::from_rows(vec![0.0; 10], 1, vec![0.0; 10], 1)?;
    /// let (training, validation) = data.split(0.3, 7)?;
    /// assert_eq!((training.len(), validation.len()), (7, 3));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let split = split_at(self.len(), fraction)?;
        let order = shuffled(self.len(), seed)?;
        Ok((self.gather(&order[..split])?, self.gather(&order[split..])?))
    }

    /// [`Dataset::split`], with the same share of each class on both sides as far as whole samples go, however the
    /// samples are sorted.
    ///
    /// # Errors
    ///
    /// As [`Dataset::split`]; [`Error::Configuration`] where the targets name no classes
    /// ([`class_ids`](Dataset::class_ids)).
    ///
    /// ```
    /// // Sorted by class: 80 of class 0, then 20 of class 1.
    /// let ids: Vec<usize> = (0..100).map(|row| row / 80).collect();
    /// let data = wgrad::Dataset::from_classes(vec![0.0; 100], 1, ids, 2)?;
    /// let (training, validation) = data.split_stratified(0.1, 7)?;
    /// assert_eq!((training.class_counts(), validation.class_counts()), (Some(vec![72, 18]), Some(vec![8, 2])));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn split_stratified(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let split = split_at(self.len(), fraction)?;
        let (ids, classes) = self.named_classes()?;
        let order = shuffled(self.len(), seed)?;
        let mut quota = shares(&ids, classes, self.len() - split);
        let (mut training, mut validation) = (room(split, copying)?, room(self.len() - split, copying)?);
        for row in order {
            let left = &mut quota[ids[row] as usize];
            let side = if *left > 0 { &mut validation } else { &mut training };
            *left = left.saturating_sub(1);
            side.push(row);
        }
        Ok((self.gather(&training)?, self.gather(&validation)?))
    }

    /// The class of each sample: the ids themselves, the place of the 1 in one-hot rows, or the number itself in rows of
    /// a single 0 or 1.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] with the first row of targets that names no class.
    ///
    /// ```
    /// let one_hot = vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]];
    /// let data = wgrad::Dataset::from_rows(vec![0.5, 0.7], 1, one_hot, 3)?;
    /// assert_eq!(*data.class_ids()?, [2, 0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn class_ids(&self) -> Result<Cow<'_, [u32]>> {
        Ok(self.named_classes()?.0)
    }

    /// The same set with each sample's weight multiplied by its class's: one number a class, none below 0. Classes may
    /// be ids, one-hot rows or rows of a single 0 or 1, of which there are two.
    ///
    /// # Errors
    ///
    /// As [`Dataset::class_ids`] and [`Dataset::with_sample_weights`]; [`Error::Shape`] for another number of weights
    /// than classes.
    ///
    /// ```
    /// let data = wgrad::Dataset::from_rows(vec![0.1, 0.2, 0.3], 1, vec![1.0, 0.0, 1.0], 1)?;
    /// assert_eq!(data.with_class_weights(&[1.0, 4.0])?.sample_weights(), Some(&[4.0, 1.0, 4.0][..]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn with_class_weights(self, class_weights: &[f32]) -> Result<Self> {
        const WHAT: &str = "the class weights";
        let (ids, classes) = self.named_classes()?;
        if class_weights.len() != classes {
            return Err(Error::shape(WHAT, format!("{classes}, one a class"), class_weights.len()));
        }
        if let Some(class) = class_weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            let found = format!("{} for class {class}", class_weights[class]);
            return Err(Error::configuration(WHAT, "finite numbers, none below 0", found));
        }
        let own = self.sample_weights();
        let mut weights = room(self.len(), copying)?;
        weights.extend((0..self.len()).map(|row| class_weights[ids[row] as usize] * own.map_or(1.0, |own| own[row])));
        drop(ids);
        self.with_sample_weights(weights)
    }

    /// The class of each sample, and how many classes there are.
    pub(super) fn named_classes(&self) -> Result<(Cow<'_, [u32]>, usize)> {
        let (values, width) = match self.targets() {
            TargetRows::Classes { ids, classes } => return Ok((ids.into(), classes)),
            TargetRows::Rows { values, width } => (values, width),
        };
        let mut ids = room(self.len(), copying)?;
        for (row, targets) in values.chunks_exact(width).enumerate() {
            ids.push(class_of(targets).ok_or_else(|| {
                let expected = "class ids, one-hot rows, or rows of a single 0 or 1";
                Error::configuration("the classes of the targets", expected, shown(targets, row))
            })?);
        }
        Ok((ids.into(), width.max(2)))
    }

    fn gather(&self, rows: &[usize]) -> Result<Self> {
        self.copied(rows.iter().map(|&row| (self, row..row + 1)))
    }

    /// A set like this one of the samples of these ranges, each of a set of the same kind.
    fn copied<'a>(&self, parts: impl Iterator<Item = (&'a Dataset, std::ops::Range<usize>)> + Clone) -> Result<Self> {
        let count: usize = parts.clone().map(|(_, rows)| rows.len()).sum();
        if u32::try_from(count).is_err() {
            return Err(Error::shape("the data set", format!("at most {} samples", u32::MAX), count));
        }
        let features = self.features;
        let inputs = match self.inputs() {
            InputRows::Bytes { scale, .. } => {
                Inputs::Bytes { values: joined(parts.clone(), features, count, bytes_of)?, scale }
            }
            InputRows::Floats(_) => Inputs::Floats(joined(parts.clone(), features, count, floats_of)?),
        };
        let targets = match self.targets() {
            TargetRows::Classes { classes, .. } => {
                Targets::Classes { ids: joined(parts.clone(), 1, count, ids_of)?, classes }
            }
            TargetRows::Rows { width, .. } => {
                Targets::Rows { values: joined(parts.clone(), width, count, rows_of)?, width }
            }
        };
        let weights = match self.weights {
            Some(_) => {
                let values = joined(parts, 1, count, |set| set.sample_weights().unwrap_or_default())?;
                Some(Weights { values, first: 0 })
            }
            None => None,
        };
        Ok(Dataset { inputs, features, targets, weights, rows: 0..count })
    }
}

/// What is to be said of a set whose last samples were set apart: the classes on one side are not those on the other, and
/// chance would hardly have it so.
pub(crate) fn sorted_by_class(training: &Dataset, validation: &Dataset) -> Option<String> {
    let (here, there) = (training.class_counts()?, validation.class_counts()?);
    let share = validation.len() as f64 / (training.len() + validation.len()) as f64;
    // The logarithm of the chance that all samples of the classes that are missing on a side came to the other one.
    let chance = |missing: &[usize], other: &[usize], share: f64| {
        let samples: usize = missing.iter().zip(other).filter(|(count, _)| **count == 0).map(|(_, other)| other).sum();
        samples as f64 * share.ln()
    };
    let (untrained, unseen) = (chance(&here, &there, share), chance(&there, &here, 1.0 - share));
    let missing = |counts: &[usize], other: &[usize]| {
        let classes = (0..counts.len()).filter(|&class| counts[class] == 0 && other[class] > 0);
        let classes: Vec<_> = classes.map(|class| class.to_string()).collect();
        match &classes[..] {
            [one] => format!("class {one}"),
            few if few.len() <= 10 => format!("classes {}", few.join(", ")),
            many => format!("{} classes", many.len()),
        }
    };
    let what = match (untrained < UNLIKELY, unseen < UNLIKELY) {
        (true, _) => format!("no training sample is of {}, which validation samples are of", missing(&here, &there)),
        (_, true) => format!("no validation sample is of {}, which training samples are of", missing(&there, &here)),
        _ => return None,
    };
    Some(format!(
        "validation split: {what}; the samples seem to be sorted by class: shuffle them first (Dataset::shuffle), or give \
         validation data (Dataset::split_stratified)"
    ))
}

/// The logarithm of one in ten thousand.
const UNLIKELY: f64 = -9.2;

fn copying() -> String {
    "copying the samples of a data set".to_owned()
}

/// These ranges of rows of `width` numbers each, one after the other.
fn joined<'a, T: Copy + 'a>(
    parts: impl Iterator<Item = (&'a Dataset, std::ops::Range<usize>)>,
    width: usize,
    count: usize,
    numbers: impl Fn(&'a Dataset) -> &'a [T],
) -> Result<Arc<[T]>> {
    let mut values = room(count.saturating_mul(width), copying)?;
    parts.for_each(|(set, rows)| values.extend_from_slice(&numbers(set)[rows.start * width..rows.end * width]));
    shared(values, copying)
}

fn bytes_of(set: &Dataset) -> &[u8] {
    if let InputRows::Bytes { values, .. } = set.inputs() { values } else { &[] }
}

fn floats_of(set: &Dataset) -> &[f32] {
    if let InputRows::Floats(values) = set.inputs() { values } else { &[] }
}

fn ids_of(set: &Dataset) -> &[u32] {
    if let TargetRows::Classes { ids, .. } = set.targets() { ids } else { &[] }
}

fn rows_of(set: &Dataset) -> &[f32] {
    if let TargetRows::Rows { values, .. } = set.targets() { values } else { &[] }
}

fn shuffled(samples: usize, seed: u64) -> Result<Vec<usize>> {
    let mut order = room(samples, copying)?;
    order.extend(0..samples);
    Random::new(seed, STREAM).shuffle(&mut order);
    Ok(order)
}

/// How many samples of each class are among `chosen` of all: its share, rounded down, and one more for those that lose
/// most by rounding, until there are as many.
fn shares(ids: &[u32], classes: usize, chosen: usize) -> Vec<usize> {
    let mut counts = vec![0_usize; classes];
    ids.iter().for_each(|&id| counts[id as usize] += 1);
    let share = |&count: &usize| count as u128 * chosen as u128;
    let mut quota: Vec<usize> = counts.iter().map(|count| (share(count) / ids.len().max(1) as u128) as usize).collect();
    let mut classes: Vec<usize> = (0..classes).collect();
    // Where two lose as much, the first one comes first: the sort is stable.
    classes.sort_by_key(|&class| std::cmp::Reverse(share(&counts[class]) % ids.len().max(1) as u128));
    let missing = chosen - quota.iter().sum::<usize>();
    classes.iter().take(missing).for_each(|&class| quota[class] += 1);
    quota
}

/// Which class a row of targets names.
fn class_of(targets: &[f32]) -> Option<u32> {
    match targets {
        [one] => [0.0, 1.0].iter().position(|class| class == one).map(|class| class as u32),
        _ => {
            let class = targets.iter().position(|&target| target == 1.0)?;
            let others = targets.iter().enumerate().filter(|&(column, _)| column != class);
            others.map(|(_, &target)| target).all(|target| target == 0.0).then_some(class as u32)
        }
    }
}

fn shown(targets: &[f32], row: usize) -> String {
    match targets {
        [one] => format!("{one} in row {row}"),
        [a, b, c, d, _, ..] => format!("[{a}, {b}, {c}, {d}, …] in row {row}"),
        few => format!("{few:?} in row {row}"),
    }
}

#[cfg(test)]
mod tests;
