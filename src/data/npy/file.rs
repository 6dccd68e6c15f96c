//! Data sets from two arrays, in `.npy` files or in one `.npz`: which arrays can be samples and targets of each other, and
//! a look at all labels before anything is trained.

use std::ops::Range;
use std::path::Path;

use super::array::NpyArray;
use super::invalid;
use crate::data::{Dataset, StreamedDataset, Targets, npz};
use crate::error::{Error, Result, one_off};
use crate::memory::shared;

/// Bytes of targets that are looked at in one piece when they are opened.
const PIECE: usize = 1 << 20;

/// Rows of targets of more bytes than this are not looked at before they are used: that would take longer than it saves.
/// Class ids always are.
const MOST_ROWS_LOOKED_AT: usize = 64 << 20;

/// Samples and targets that have been found to fit together.
struct Pair {
    inputs: NpyArray,
    targets: NpyArray,
    classes: Option<usize>,
}

impl Pair {
    fn new(inputs: NpyArray, targets: NpyArray, classes: Option<usize>) -> Result<Self> {
        if let Some(classes) = classes
            && targets.width != 1
        {
            let hint = "; one-hot rows are opened without a number of classes";
            let hint = if targets.width == classes { hint } else { "" };
            let found = format!("the shape {:?}{hint}", targets.shape());
            return Err(invalid(&targets.path, "one class id a sample", found));
        }
        if inputs.rows != targets.rows {
            let expected = format!("{} rows, as {} has", inputs.rows, inputs.path.display());
            return Err(Error::shape(targets.path.display().to_string(), expected, targets.rows));
        }
        let pair = Pair { inputs, targets, classes };
        if classes.is_some() || pair.targets.size() <= MOST_ROWS_LOOKED_AT {
            pair.look_at_targets()?;
        }
        Ok(pair)
    }

    fn look_at_targets(&self) -> Result<()> {
        let outcome = self.pieces().try_for_each(|rows| self.targets_of(rows).map(drop));
        match (outcome, self.classes) {
            (Err(Error::InvalidFile { path, expected, found }), Some(classes)) if self.count_from_one(classes) => {
                Err(Error::InvalidFile { path, expected, found: found + &one_off(classes) })
            }
            (outcome, _) => outcome,
        }
    }

    /// Whether the labels are those of somebody who counts from 1.
    fn count_from_one(&self, classes: usize) -> bool {
        let extremes = self.pieces().map(|rows| self.targets.rows(rows).map(|found| found.extremes()));
        let all = extremes.reduce(|a, b| a.and_then(|(x, y)| b.map(|(z, w)| (x.min(z), y.max(w)))));
        matches!(all, Some(Ok((least, most))) if least >= 1.0 && most == classes as f64 && self.targets.rows >= classes)
    }

    fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (all, rows) = (self.targets.rows, (PIECE / (self.targets.size() / self.targets.rows)).max(1));
        (0..all).step_by(rows).map(move |start| start..start.saturating_add(rows).min(all))
    }

    fn targets_of(&self, rows: Range<usize>) -> Result<Targets> {
        let during = || format!("reading {}", self.targets.path.display());
        let found = self.targets.rows(rows)?;
        Ok(match self.classes {
            Some(classes) => Targets::Classes { ids: shared(found.ids(classes)?, during)?, classes },
            None => Targets::Rows { values: shared(found.floats()?, during)?, width: self.targets.width },
        })
    }

    fn read(&self, rows: Range<usize>) -> Result<Dataset> {
        let targets = self.targets_of(rows.clone())?;
        Dataset::new(self.inputs.rows(rows)?.inputs()?, self.inputs.width, targets)
    }
}

impl StreamedDataset {
    /// Samples and targets in two `.npy` files, as `numpy.save` writes them: row i of one belongs to row i of the
    /// other. Both stay open, and are read in pieces; neither may change meanwhile. Numbers may be of any type and in
    /// any order that NumPy has, but for complex ones.
    ///
    /// `inputs` is of any shape \[samples, …\], each sample's numbers making one row: `uint8`, which a model sees as
    /// 0 … 1 (`byte / 255`), `bool`, which are 0 and 1, or other numbers, used as they are, rounded to f32. With
    /// `classes`, `targets` is \[samples\] or \[samples, 1\] of class ids below that number, of any type as long as they
    /// are whole numbers; without, rows of numbers of any shape \[samples, …\]: regression targets or one-hot rows. All
    /// class ids are read once when the files are opened, so that a wrong one is found before a training, and so are
    /// rows of targets of up to 64 MiB.
    ///
    /// ```
    /// use wgrad::data::StreamedDataset;
    /// use wgrad::data::npy::{Element, Header};
    ///
    /// // What `numpy.save("x.npy", …)` and `numpy.save("y.npy", …)` would have written.
    /// let directory = tempfile::tempdir().unwrap();
    /// let write = |name: &str, header: Header, elements: &[u8]| {
    ///     let path = directory.path().join(name);
    ///     std::fs::write(&path, [&header.to_bytes(), elements].concat()).unwrap();
    ///     path
    /// };
    /// let x = write("x.npy", Header { element: Element::U8, shape: vec![3, 2, 2] }, &[7; 12]);
    /// let y = write("y.npy", Header { element: Element::U8, shape: vec![3] }, &[0, 2, 1]);
    ///
    /// let data = StreamedDataset::open_npy(x, y, Some(3))?;
    /// assert_eq!((data.len(), data.features(), data.target_width()), (3, 4, 3));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where a file cannot be opened; [`Error::InvalidFile`] where one is not `.npy`, is shorter or longer
    /// than its header says, or holds what cannot be samples or targets; [`Error::Shape`] where the two have different
    /// numbers of rows; and as [`StreamedDataset::from_fn`].
    pub fn open_npy(
        inputs: impl AsRef<Path>,
        targets: impl AsRef<Path>,
        classes: Option<usize>,
    ) -> Result<StreamedDataset> {
        let pair = Pair::new(NpyArray::open(inputs.as_ref())?, NpyArray::open(targets.as_ref())?, classes)?;
        let samples = pair.inputs.rows;
        let set = StreamedDataset::from_fn(samples, move |rows| Ok(pair.read(rows)?))?;
        Ok(set.with_targets_from(targets.as_ref()))
    }
}

impl Dataset {
    /// All of two `.npy` files in memory; what they may hold is said by [`StreamedDataset::open_npy`].
    ///
    /// ```no_run
    /// let data = wgrad::Dataset::from_npy("x_train.npy", "y_train.npy", Some(10))?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`StreamedDataset::open_npy`]; [`Error::OutOfMemory`].
    pub fn from_npy(inputs: impl AsRef<Path>, targets: impl AsRef<Path>, classes: Option<usize>) -> Result<Self> {
        let pair = Pair::new(NpyArray::open(inputs.as_ref())?, NpyArray::open(targets.as_ref())?, classes)?;
        pair.read(0..pair.inputs.rows)
    }

    /// Two arrays of a `.npz` file, as `numpy.savez` and `numpy.savez_compressed` write them, by their names; what they
    /// may hold is said by [`StreamedDataset::open_npy`].
    ///
    /// ```no_run
    /// let data = wgrad::Dataset::from_npz("mnist.npz", "x_train", "y_train", Some(10))?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidFile`] where the file is no such archive or has no array of a name, which lists those it has; and
    /// as [`Dataset::from_npy`].
    pub fn from_npz(path: impl AsRef<Path>, inputs: &str, targets: &str, classes: Option<usize>) -> Result<Self> {
        let [inputs, targets] = npz::read(path.as_ref(), [inputs, targets])?;
        let pair = Pair::new(inputs, targets, classes)?;
        pair.read(0..pair.inputs.rows)
    }
}
