//! MNIST, and every set that comes in its four files. This module owns what such a set is and where to look for it;
//! `mnist/files.rs` reads the files, `mnist/cache.rs` keeps and verifies those that were downloaded.

#[cfg(feature = "download")]
mod cache;
#[cfg(feature = "native")]
mod files;
#[cfg(feature = "native")]
mod loader;
#[cfg(feature = "native")]
mod names;

use std::fmt;
use std::path::PathBuf;

use super::Dataset;
#[cfg(feature = "download")]
pub use super::download::Progress;
pub use super::synthetic::synthetic;
#[cfg(feature = "native")]
pub use loader::{Loader, load, load_from};

/// Pixels of an MNIST image: 28 rows of 28.
pub const PIXELS: usize = 784;

/// Classes of MNIST: the digits 0 to 9.
pub const CLASSES: usize = 10;

/// A set in MNIST's form: images of bytes (0 is background), classes, a part for training and one for testing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mnist {
    /// 60,000 samples in MNIST itself.
    pub train: Dataset,
    /// 10,000 samples in MNIST itself.
    pub test: Dataset,
    /// Where the samples are from.
    pub source: Source,
}

/// Where the samples of a set are from. Its `Display` is for a line of a program's output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Files in a directory that the user named.
    Directory(PathBuf),
    /// Files that were downloaded, now or earlier, into this cache directory; verified by their digests.
    Downloaded(PathBuf),
    /// Drawn by [`synthetic`]: not MNIST, and no result on it may be called one on MNIST.
    Synthetic {
        /// The seed that they were drawn from.
        seed: u64,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Directory(path) => write!(f, "{}", path.display()),
            Source::Downloaded(path) => write!(f, "{} (downloaded)", path.display()),
            Source::Synthetic { seed } => write!(f, "synthetic digits of seed {seed}, not MNIST"),
        }
    }
}
