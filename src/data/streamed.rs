//! Data sets that are read in pieces while a model goes through them, for those that do not fit in memory: from a
//! function ([`StreamedDataset::from_fn`]) or from `.npy` files ([`StreamedDataset::open_npy`]). This module owns what
//! such a set is and the checks on what its reader returns; in which order it is read, and how reading runs ahead, is
//! in `windows.rs`.

mod windows;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{Dataset, InputRows, TargetRows, split_at};
use crate::error::{Error, Result};

pub(crate) use windows::{ReadAhead, Windows};

/// What goes wrong in a reader: any error that may cross threads. `?` turns other errors into it.
pub type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// What a user of the samples has to say of them, its rows counted from the first.
pub(crate) type Check = Arc<dyn Fn(&Dataset) -> Result<()> + Send + Sync>;

type Read = dyn Fn(Range<usize>) -> Result<Dataset, ReadError> + Send + Sync;

/// Bytes of samples that are shuffled together, unless told otherwise: 42 thousand images of MNIST's size.
const BUFFER_BYTES: usize = 32 << 20;

/// Bytes of samples that are read in one piece, unless told otherwise: enough that a disk's seek does not count.
const BLOCK_BYTES: usize = 1 << 20;

/// Samples that are read piece by piece as a model needs them, in place of a [`Dataset`] where that would not fit in
/// memory. [`fit`](crate::Model::fit), [`evaluate`](crate::Model::evaluate) and
/// [`Fit::validation_data`](crate::Fit::validation_data) take either.
///
/// Memory stays flat: besides the samples in use there is one more
/// [buffer](StreamedDataset::shuffle_buffer) full, which a thread of its own reads ahead (without the feature `native`
/// it is read when it is needed). Nothing is kept from one epoch to the next.
///
/// **Order.** Without shuffling, samples come as they are numbered, and results are those of a [`Dataset`] of the same
/// samples to the bit. With it, each epoch visits the [blocks](StreamedDataset::block_size) in an order of its own and
/// shuffles the samples of as many blocks as fill the buffer. So a sample moves anywhere, but what stands next to it in
/// its block stays within a buffer of it: a set that is sorted by class, say, is mixed as well as blocks from all over
/// it allow. The order depends on the seed, the epoch, the batch size and these two sizes alone.
///
/// **Errors.** What a reader returns is checked as a [`Dataset`] is, and held against the first sample's kind. Where
/// reading fails, all batches before the buffer that could not be filled have been trained on and the observer has been
/// told; then `fit` returns the error. The model is as those updates left it, and goes on being usable.
///
/// ```
/// use wgrad::{Dataset, Dense, Device, Fit, Loss, Sequential, Sgd, StreamedDataset};
///
/// // y = 2x for 10,000 numbers that never are in memory at once.
/// let data = StreamedDataset::from_fn(10_000, |rows| {
///     let x: Vec<f32> = rows.map(|row| row as f32 / 10_000.0).collect();
///     let y = x.iter().map(|x| 2.0 * x).collect();
///     Ok(Dataset::from_rows(x, 1, y, 1)?)
/// })?;
/// let optimizer = Sgd { learning_rate: 0.1, ..Sgd::default() };
/// let mut model =
///     Sequential::new(1).add(Dense::new(1)).compile(&Device::cpu(), optimizer, Loss::MeanSquaredError)?;
/// model.fit(&data, Fit::new().epochs(3))?;
/// assert!(model.evaluate(&data)?.loss < 1e-4);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamedDataset {
    read: Arc<Read>,
    /// The first sample: what all others look like.
    example: Dataset,
    /// The reader's rows that belong to this set.
    rows: Range<usize>,
    block: usize,
    buffer: usize,
    /// Where the targets are read from, if it is a file that is known.
    targets_from: Option<Arc<Path>>,
}

/// What is wrong with something in a file.
#[derive(Debug)]
struct InFile {
    path: Arc<Path>,
    source: ReadError,
}

impl fmt::Display for InFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for InFile {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// A data set in memory or a streamed one: what [`Model::fit`](crate::Model::fit) takes.
#[derive(Clone, Debug)]
pub enum AnyDataset {
    /// All of it is in memory.
    InMemory(Dataset),
    /// It is read in pieces.
    Streamed(StreamedDataset),
}

impl StreamedDataset {
    /// `samples` samples of which `read` returns any range, such as 4096..8192, as a [`Dataset`] of that length. All
    /// have the same features, scale of bytes, kind of targets and width, and weights or none. The first sample is read
    /// at once, the others when they are needed: by one thread at a time, but not always the same one, which is why
    /// `read` takes no `&mut self`. The same rows must be the same samples each time.
    ///
    /// Where `read` returns the error of a [`Dataset`] that it could not make, the row is counted on from the range's
    /// start, so that a message names the row of the whole set. A panic in `read` becomes one in the call that needed the
    /// samples.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for no samples at all; as [`StreamedDataset::read`] for the first.
    ///
    /// ```
    /// use wgrad::data::{Dataset, StreamedDataset};
    ///
    /// let gone = StreamedDataset::from_fn(9, |_| Err("the server is gone".into()));
    /// assert_eq!(
    ///     gone.unwrap_err().to_string(),
    ///     "cannot read samples 0..1 of the streamed data set: the server is gone"
    /// );
    /// ```
    pub fn from_fn(
        samples: usize,
        read: impl Fn(Range<usize>) -> Result<Dataset, ReadError> + Send + Sync + 'static,
    ) -> Result<Self> {
        if samples == 0 {
            return Err(Error::shape("the streamed data set", "at least one sample", "none"));
        }
        let example = checked(&read, 0..1)?;
        let fitting = |bytes: usize| (bytes / bytes_of_one(&example)).max(1);
        let (block, buffer) = (fitting(BLOCK_BYTES), fitting(BUFFER_BYTES));
        Ok(StreamedDataset { read: Arc::new(read), example, rows: 0..samples, block, buffer, targets_from: None })
    }

    /// The same set with another number of samples that are read in one piece and stay together when blocks are
    /// shuffled: by default as many as take 1 MiB. Smaller blocks mix better, larger ones are read faster.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for 0.
    pub fn block_size(self, samples: usize) -> Result<Self> {
        check("the block size of a streamed data set", samples)?;
        Ok(StreamedDataset { block: samples, ..self })
    }

    /// The same set with another number of samples that are in memory and shuffled together (`buffer_size` of
    /// tf.data's `shuffle`): by default as many as take 32 MiB. It is rounded up to whole batches. Up to three buffers
    /// are in memory at a time: one in use, one that is ready, and what a device holds.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for 0 and beyond 2³¹.
    pub fn shuffle_buffer(self, samples: usize) -> Result<Self> {
        check("the shuffle buffer of a streamed data set", samples)?;
        Ok(StreamedDataset { buffer: samples, ..self })
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
        self.example.features()
    }

    /// How many numbers a model must return for a sample; see [`Dataset::target_width`].
    pub fn target_width(&self) -> usize {
        self.example.target_width()
    }

    /// Samples of a block, and of the shuffle buffer.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.block, self.buffer)
    }

    /// A sample that looks like all others.
    pub(crate) fn example(&self) -> &Dataset {
        &self.example
    }

    /// Reads the samples of `range`, counted from 0, to be in memory: to look at them, or for
    /// [`predict`](crate::Model::predict).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the range reaches beyond the set; [`Error::Reader`] where the reader fails, and where what
    /// it returns is not as many samples as asked for or of another kind than the first one.
    pub fn read(&self, range: Range<usize>) -> Result<Dataset> {
        self.check_range(&range)?;
        let rows = self.rows.start + range.start..self.rows.start + range.end;
        let data = checked(&*self.read, rows.clone())?;
        let (found, expected) = (Kind::of(&data), Kind::of(&self.example));
        match found == expected {
            true => Ok(data),
            false => {
                Err(reader(rows, Error::shape("each sample", format!("{expected}, as in the first"), found).into()))
            }
        }
    }

    /// The same, held against a check, of which an error names the row of the whole set.
    fn read_checked(&self, range: Range<usize>, check: Option<&Check>) -> Result<Dataset> {
        let data = self.read(range.clone())?;
        let Some(check) = check else { return Ok(data) };
        let rows = self.rows.start + range.start..self.rows.start + range.end;
        check(&data).map_err(|error| {
            let error = counted_from(rows.start, error.into());
            let source = match &self.targets_from {
                Some(path) => InFile { path: path.clone(), source: error }.into(),
                None => error,
            };
            reader(rows, source)
        })?;
        Ok(data)
    }

    /// The same set, of which errors about targets name the file that they come from.
    #[cfg(feature = "native")]
    pub(crate) fn with_targets_from(self, path: &Path) -> Self {
        StreamedDataset { targets_from: Some(path.into()), ..self }
    }

    /// The first `samples` samples, or all where there are fewer.
    pub fn take(&self, samples: usize) -> Self {
        self.part(0..samples.min(self.len()))
    }

    /// The samples of `range`, counted from 0. Nothing is read.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the range reaches beyond the set or ends before it starts.
    pub fn range(&self, range: Range<usize>) -> Result<Self> {
        self.check_range(&range)?;
        Ok(self.part(range))
    }

    /// `(training, validation)`, as [`Dataset::split_validation`].
    ///
    /// # Errors
    ///
    /// As [`Dataset::split_validation`].
    pub fn split_validation(&self, fraction: f64) -> Result<(Self, Self)> {
        let split = split_at(self.len(), fraction)?;
        Ok((self.part(0..split), self.part(split..self.len())))
    }

    fn check_range(&self, range: &Range<usize>) -> Result<()> {
        if range.start <= range.end && range.end <= self.len() {
            return Ok(());
        }
        Err(Error::shape("the range of samples", format!("a range within 0..{}", self.len()), format!("{range:?}")))
    }

    /// `range` must lie within `0..len()`.
    fn part(&self, range: Range<usize>) -> Self {
        StreamedDataset { rows: self.rows.start + range.start..self.rows.start + range.end, ..self.clone() }
    }
}

impl fmt::Debug for StreamedDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedDataset")
            .field("samples", &self.len())
            .field("kind", &format_args!("{}", Kind::of(&self.example)))
            .field("block_size", &self.block)
            .field("shuffle_buffer", &self.buffer)
            .finish()
    }
}

/// What all samples of a set have in common.
#[derive(PartialEq)]
pub(super) struct Kind {
    features: usize,
    /// For bytes, the bits of their scale.
    scale: Option<u32>,
    ids: bool,
    target_width: usize,
    weighted: bool,
}

impl Kind {
    pub(super) fn of(data: &Dataset) -> Self {
        let scale = match data.inputs() {
            InputRows::Bytes { scale, .. } => Some(scale.to_bits()),
            InputRows::Floats(_) => None,
        };
        let ids = matches!(data.targets(), TargetRows::Classes { .. });
        let weighted = data.sample_weights().is_some();
        Kind { features: data.features(), scale, ids, target_width: data.target_width(), weighted }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scale {
            Some(scale) => write!(f, "{} bytes × {}", self.features, f32::from_bits(scale))?,
            None => write!(f, "{} floats", self.features)?,
        }
        let width = self.target_width;
        match self.ids {
            true => write!(f, " with one of {width} classes")?,
            false => write!(f, " with a row of {width} targets")?,
        }
        if self.weighted { f.write_str(" and a weight") } else { Ok(()) }
    }
}

/// What `read` returns for these rows, if it is as many.
fn checked(read: &Read, rows: Range<usize>) -> Result<Dataset> {
    let data = read(rows.clone()).map_err(|source| reader(rows.clone(), counted_from(rows.start, source)))?;
    if data.len() == rows.len() {
        return Ok(data);
    }
    let count = Error::shape("what the reader returned", format!("{} samples", rows.len()), data.len());
    Err(reader(rows, count.into()))
}

/// What a reader says of a row of the data set that it was about to return, counted from the start of the whole set.
fn counted_from(start: usize, mut source: ReadError) -> ReadError {
    if let Some(Error::LabelOutOfRange { row, .. } | Error::NotFinite { row, .. } | Error::Target { row, .. }) =
        source.downcast_mut::<Error>()
    {
        *row = row.saturating_add(start);
    }
    source
}

fn reader(rows: Range<usize>, source: ReadError) -> Error {
    Error::Reader { rows, source }
}

/// Bytes that a sample with its targets takes in memory.
fn bytes_of_one(example: &Dataset) -> usize {
    let bytes_of_a_number = if matches!(example.inputs(), InputRows::Bytes { .. }) { 1 } else { 4 };
    let targets = if matches!(example.targets(), TargetRows::Classes { .. }) { 1 } else { example.target_width() };
    example.features() * bytes_of_a_number + 4 * targets
}

/// A device counts rows in 32 bits.
const MOST: usize = 1 << 31;

fn check(what: &str, samples: usize) -> Result<()> {
    if (1..=MOST).contains(&samples) {
        return Ok(());
    }
    Err(Error::configuration(what, format!("1 to {MOST} samples"), samples))
}

impl AnyDataset {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        match self {
            AnyDataset::InMemory(data) => data.len(),
            AnyDataset::Streamed(data) => data.len(),
        }
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `(training, validation)`, as [`Dataset::split_validation`].
    pub(crate) fn split_validation(&self, fraction: f64) -> Result<(Self, Self)> {
        Ok(match self {
            AnyDataset::InMemory(data) => {
                let (training, validation) = data.split_validation(fraction)?;
                (AnyDataset::InMemory(training), AnyDataset::InMemory(validation))
            }
            AnyDataset::Streamed(data) => {
                let (training, validation) = data.split_validation(fraction)?;
                (AnyDataset::Streamed(training), AnyDataset::Streamed(validation))
            }
        })
    }
}

/// Shares the numbers.
impl From<&Dataset> for AnyDataset {
    fn from(data: &Dataset) -> Self {
        AnyDataset::InMemory(data.clone())
    }
}

/// Shares the reader.
impl From<&StreamedDataset> for AnyDataset {
    fn from(data: &StreamedDataset) -> Self {
        AnyDataset::Streamed(data.clone())
    }
}

/// What a call returned that makes a set, such as [`Dataset::shuffle`]: who takes the set also passes the error on.
impl TryFrom<Result<Dataset>> for AnyDataset {
    type Error = Error;

    fn try_from(made: Result<Dataset>) -> Result<Self> {
        made.map(AnyDataset::InMemory)
    }
}

/// As of a [`Dataset`].
impl TryFrom<Result<StreamedDataset>> for AnyDataset {
    type Error = Error;

    fn try_from(made: Result<StreamedDataset>) -> Result<Self> {
        made.map(AnyDataset::Streamed)
    }
}

/// Shares numbers or reader.
impl From<&AnyDataset> for AnyDataset {
    fn from(data: &AnyDataset) -> Self {
        data.clone()
    }
}

#[cfg(test)]
mod tests;
