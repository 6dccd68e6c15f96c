//! The four files of a set in MNIST's form: reading them side by side, and that they fit together. Where they lie is found
//! by `names.rs`; whether they are to be trusted is the callers' concern.

use std::path::{Path, PathBuf};
use std::thread;

use super::{Mnist, Source, names};
use crate::data::Dataset;
use crate::data::idx::{IdxArray, IdxLabels, read_idx, read_labels};
use crate::error::{Error, Result};
use crate::memory::room;

/// The content of the four files, in the order of [`names::NAMES`], with where each was read.
pub(super) struct Files {
    pub images: [IdxArray; 2],
    pub labels: [IdxLabels; 2],
    pub paths: [PathBuf; 4],
}

/// How the labels of a set are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    pub classes: usize,
    /// The label of the first class.
    pub first: u32,
}

enum Content {
    Images(IdxArray),
    Labels(IdxLabels),
}

/// Reads the four files of `directory`, each plain or gzipped, of the set with this prefix where there are several.
pub(super) fn read_directory(directory: &Path, prefix: Option<&str>) -> Result<Files> {
    let paths = names::find(directory, prefix)?;
    let read = side_by_side(|file| {
        let path = &paths[file];
        Ok(if file % 2 == 0 { Content::Images(read_idx(path)?) } else { Content::Labels(read_labels(path)?) })
    });
    let [Content::Images(a), Content::Labels(b), Content::Images(c), Content::Labels(d)] = all(read)? else {
        // Which is which depends on the number alone.
        return Err(invalid(directory, "images and labels in turns", "another order"));
    };
    Ok(Files { images: [a, c], labels: [b, d], paths })
}

fn all<T>([a, b, c, d]: [Result<T>; 4]) -> Result<[T; 4]> {
    Ok([a?, b?, c?, d?])
}

/// What `read` returns for each of the four, 0 to 3, the first on a thread of its own: it is six times as large as the
/// others together.
pub(super) fn side_by_side<T: Send>(read: impl Fn(usize) -> T + Sync) -> [T; 4] {
    thread::scope(|scope| {
        let read = &read;
        let first = thread::Builder::new().spawn_scoped(scope, move || read(0));
        let (second, third, fourth) = (read(1), read(2), read(3));
        let first = match first.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // No thread to be had: it takes longer, that is all.
            Err(_) => read(0),
        };
        [first, second, third, fourth]
    })
}

impl Files {
    /// The files of a cache, which have been verified: bytes, all of them.
    #[cfg(feature = "download")]
    pub fn of_bytes([a, b, c, d]: [IdxArray; 4], paths: [PathBuf; 4]) -> Self {
        Files { images: [a, c], labels: [b.into(), d.into()], paths }
    }

    /// The set that the files are, where they fit together.
    pub fn into_mnist(self, counting: Counting, source: Source) -> Result<Mnist> {
        let [train_images, test_images] = self.images;
        let [train_labels, test_labels] = self.labels;
        let [train_path, _, test_path, _] = &self.paths;
        let (trained, tested) = (image_size(&train_images, train_path)?, image_size(&test_images, test_path)?);
        if trained != tested {
            let expected = format!("images of {} by {}, as for training", trained[0], trained[1]);
            return Err(invalid(test_path, expected, format!("{} by {}", tested[0], tested[1])));
        }
        let train = dataset(train_images, train_labels, &self.paths[1], counting)?;
        let test = dataset(test_images, test_labels, &self.paths[3], counting)?;
        Ok(Mnist { train, test, source })
    }
}

fn image_size(images: &IdxArray, path: &Path) -> Result<[usize; 2]> {
    match images.dims[..] {
        [_, rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
        _ => Err(invalid(path, "images: 3 dimensions, none of the last two 0", format!("{:?}", images.dims))),
    }
}

/// `images` have been found to be images.
fn dataset(images: IdxArray, labels: IdxLabels, path: &Path, counting: Counting) -> Result<Dataset> {
    let (count, features) = (images.dims[0], images.dims[1..].iter().product());
    let columns = match labels.dims[..] {
        [labels] if labels == count => 1,
        // QMNIST's: the class, then seven numbers on where the digit is from.
        [labels, columns @ (1 | 8)] if labels == count => columns,
        _ => {
            let found = format!("dimensions {:?}", labels.dims);
            return Err(invalid(path, format!("{count} labels, one for each image"), found));
        }
    };
    let mut ids: Vec<i64> = room(count, || format!("reading {}", path.display()))?;
    ids.extend(labels.values.iter().step_by(columns));
    let extremes = (ids.iter().copied().min(), ids.iter().copied().max());
    ids.iter_mut().for_each(|id| *id = id.saturating_sub(counting.first.into()));
    Dataset::from_images(images.values, features, ids, counting.classes).map_err(|error| match (error, extremes) {
        // A label in a file has a file, which a message should name.
        (Error::LabelOutOfRange { row, label, .. }, (Some(least), Some(most))) => {
            wrong_label(path, counting, (row, label), least..=most, count)
        }
        (other, _) => other,
    })
}

/// `label` has been counted from 0; in the file it is counted as `counting` says.
fn wrong_label(
    path: &Path,
    Counting { classes, first }: Counting,
    (row, label): (usize, i128),
    all: std::ops::RangeInclusive<i64>,
    count: usize,
) -> Error {
    let expected = match first {
        0 => format!("labels below {classes}"),
        first => format!("labels from {first} to {}", u64::from(first) + classes as u64 - 1),
    };
    // None is 0 among many: they seem to be counted in another way.
    let hint = match *all.start() > 0 && first == 0 && count >= classes {
        true => {
            let say = "Loader::labels_from and Loader::classes say how they are counted";
            format!("; its labels are {} to {}: {say}", all.start(), all.end())
        }
        false => String::new(),
    };
    invalid(path, expected, format!("label {} in row {row}{hint}", label + i128::from(first)))
}

fn invalid(path: &Path, expected: impl ToString, found: impl ToString) -> Error {
    Error::invalid_file(path, expected, found)
}
