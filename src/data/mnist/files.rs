//! The four files of a set in MNIST's form: their names, reading them side by side, and that they fit together. Where
//! they lie, and whether they are to be trusted, is the callers' concern.

use std::path::{Path, PathBuf};
use std::thread;

use super::{Mnist, Source};
use crate::data::Dataset;
use crate::data::idx::{IdxArray, read_idx};
use crate::error::{Error, Result};

/// In the order in which [`Arrays`] has them, the one that takes longest to inflate first.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The content of the four files, in the order of [`NAMES`].
pub(super) struct Arrays(pub [IdxArray; 4]);

/// Reads the four files of `directory`, each plain or gzipped.
pub(super) fn read_directory(directory: &Path) -> Result<Arrays> {
    let [a, b, c, d] = side_by_side(|file| read_idx(find(directory, NAMES[file])?));
    Ok(Arrays([a?, b?, c?, d?]))
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

/// The plain file is preferred: it needs no inflating.
fn find(directory: &Path, name: &str) -> Result<PathBuf> {
    let plain = directory.join(name);
    let zipped = directory.join(format!("{name}.gz"));
    [plain, zipped].into_iter().find(|path| path.exists()).ok_or_else(|| Error::DataNotFound {
        what: format!("{name}.gz"),
        reason: format!("{} has neither it nor {name}", directory.display()),
    })
}

impl Arrays {
    /// The set that the arrays are, where they fit together. `paths` are for messages.
    pub(super) fn into_mnist(self, paths: &[PathBuf; 4], classes: usize, source: Source) -> Result<Mnist> {
        let [train_images, train_labels, test_images, test_labels] = self.0;
        let [train_path, _, test_path, _] = paths;
        let (trained, tested) = (image_size(&train_images, train_path)?, image_size(&test_images, test_path)?);
        if trained != tested {
            let expected = format!("images of {} by {}, as for training", trained[0], trained[1]);
            return Err(invalid(test_path, expected, format!("{} by {}", tested[0], tested[1])));
        }
        let train = dataset(train_images, train_labels, &paths[1], classes)?;
        let test = dataset(test_images, test_labels, &paths[3], classes)?;
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
fn dataset(images: IdxArray, labels: IdxArray, path: &Path, classes: usize) -> Result<Dataset> {
    let (count, features) = (images.dims[0], images.dims[1..].iter().product());
    if labels.dims != [count] {
        return Err(invalid(
            path,
            format!("{count} labels, one for each image"),
            format!("dimensions {:?}", labels.dims),
        ));
    }
    Dataset::from_images(images.values, features, labels.values, classes).map_err(|error| match error {
        // A label in a file has a file, which a message should name.
        Error::LabelOutOfRange { row, label, classes } => {
            invalid(path, format!("labels below {classes}"), format!("label {label} in row {row}"))
        }
        other => other,
    })
}

fn invalid(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::InvalidFile { path: path.to_owned(), expected: expected.into(), found: found.into() }
}
