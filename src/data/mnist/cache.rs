//! The cache of downloaded files: which are trusted, and how those that are missing get there. It owns MNIST's digests
//! and mirrors; the transfer itself is `download.rs`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::side_by_side;
use super::names::NAMES;
use super::names::not_found;
use crate::data::download::{self, Order, PATIENCE, Progress, Transport};
use crate::data::idx::{IdxArray, read_idx_within};
use crate::digest::sha256;
use crate::error::{Error, Result};

/// A published set: where its files are and what they must hold.
pub(super) struct Collection {
    /// Addresses to which a file's name and `.gz` are appended, the preferred one first.
    pub mirrors: &'static [&'static str],
    /// In the order of [`NAMES`].
    pub contents: [Content; 4],
}

/// What one file must hold.
pub(super) struct Content {
    /// Elements of the array: the size of the decompressed file without its header.
    pub elements: usize,
    /// SHA-256 of the decompressed file, header included: it holds for every mirror and every compression level.
    pub sha256: &'static str,
}

/// MNIST, by Yann LeCun, Corinna Cortes and Christopher J. C. Burges.
pub(super) static MNIST: Collection = Collection {
    mirrors: &["https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
    contents: [
        Content { elements: 47_040_000, sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db" },
        Content { elements: 60_000, sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5" },
        Content { elements: 7_840_000, sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7" },
        Content { elements: 10_000, sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2" },
    ],
};

/// The content of the four files, in the order of [`NAMES`].
pub(super) struct Arrays(pub [IdxArray; 4]);

/// What is needed to fetch files; without it, nothing is.
pub(super) type Network<'a> = Option<(&'a dyn Transport, &'a mut dyn FnMut(Progress<'_>))>;

/// The four files from the cache in `directory`, those that are missing or damaged fetched into it first.
pub(super) fn load(collection: &Collection, directory: &Path, network: Network<'_>) -> Result<Arrays> {
    match side_by_side(|file| collection.verified(file, directory)) {
        [Ok(a), Ok(b), Ok(c), Ok(d)] => Ok(Arrays([a, b, c, d])),
        cached => {
            let fetched = match network {
                Some((transport, progress)) => collection.fetch(directory, transport, progress),
                None => Err(vec!["downloading was not allowed".to_owned()]),
            };
            fetched.map_err(|failures| not_found([what_is_wrong(directory, cached), failures].concat().join("; ")))
        }
    }
}

impl Collection {
    /// The content of a cached file, if it is what the set must hold.
    fn verified(&self, file: usize, directory: &Path) -> Result<IdxArray> {
        self.contents[file].check(&path_of(file, directory))
    }

    /// All four files, after a wait for any other process that is at it. `Err` says what failed at each place.
    fn fetch(
        &self,
        directory: &Path,
        transport: &dyn Transport,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Arrays, Vec<String>> {
        let waiting = &mut |holder: &str| {
            progress(Progress { file: "lock", url: "", received: 0, total: None, waiting_for: Some(holder) });
        };
        let lock = download::lock(directory, PATIENCE, waiting).map_err(|error| vec![error.to_string()])?;
        let mut one = |file: usize| match self.verified(file, directory) {
            // It was there all along, or came while this process waited for the lock.
            Ok(array) => Ok(array),
            Err(_) => {
                let urls = self.mirrors.iter().map(|mirror| format!("{mirror}{}.gz", NAMES[file])).collect();
                let (destination, content) = (path_of(file, directory), &self.contents[file]);
                let order = Order { urls, destination, most: content.most(), verify: &|path| content.check(path) };
                download::obtain(&order, transport, progress)
            }
        };
        let arrays = Arrays([one(0)?, one(1)?, one(2)?, one(3)?]);
        drop(lock);
        Ok(arrays)
    }
}

impl Content {
    fn check(&self, path: &Path) -> Result<IdxArray> {
        let array = read_idx_within(path, self.elements)?;
        let found = sha256(&[&array.header(), &array.values]);
        if found == self.sha256 {
            return Ok(array);
        }
        let expected = format!("content of SHA-256 {}", self.sha256);
        Err(Error::InvalidFile { path: path.to_owned(), expected, found })
    }

    /// Bytes that may travel: no more than the file uncompressed, with what gzip adds when nothing can be saved.
    fn most(&self) -> u64 {
        self.elements as u64 + self.elements as u64 / 64 + 4096
    }
}

pub(super) fn path_of(file: usize, directory: &Path) -> PathBuf {
    directory.join(format!("{}.gz", NAMES[file]))
}

/// The missing files in one phrase, then what is wrong with each of the others.
fn what_is_wrong(directory: &Path, cached: [Result<IdxArray>; 4]) -> Vec<String> {
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for (name, error) in NAMES.iter().zip(cached).filter_map(|(name, cached)| Some((name, cached.err()?))) {
        match error {
            Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => missing.push(format!("{name}.gz")),
            other => wrong.push(other.to_string()),
        }
    }
    if !missing.is_empty() {
        wrong.insert(0, format!("{} lacks {}", directory.display(), missing.join(", ")));
    }
    wrong
}

#[cfg(test)]
mod tests;
