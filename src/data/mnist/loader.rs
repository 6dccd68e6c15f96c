//! Which of the places a set can be in is looked at, in which order.

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "download")]
use super::files::Files;
use super::files::{self, Counting};
use super::names::{VARIABLE, not_found};
use super::{CLASSES, Mnist, Source};
#[cfg(feature = "download")]
use super::{Progress, cache};
use crate::error::Result;
#[cfg(feature = "download")]
use crate::files::user_cache;
use crate::files::variable;

/// What is told how far a download is.
#[cfg(feature = "download")]
type Observer = Box<dyn FnMut(Progress<'_>) + Send>;

/// Loads MNIST: from the directory that `MNIST_DIR` names, else from the user's cache, else by download into it.
/// [`Loader`] has the details, and the choices.
///
/// # Errors
///
/// As [`Loader::load`].
///
/// ```no_run
/// let mnist = wgrad::mnist::load()?;
/// println!("{} training images from {}", mnist.train.len(), mnist.source);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn load() -> Result<Mnist> {
    Loader::new().load()
}

/// Loads any set that has MNIST's four file names (Fashion-MNIST, KMNIST, a set of your own) from `directory`:
/// `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each
/// plain or with `.gz`. The names that other tools give them are found too: `train-images.idx3-ubyte`, each file in a
/// folder of its name, torchvision's `MNIST/raw/`, and the names of EMNIST and QMNIST, with a prefix and `test` for `t10k`.
/// Images may be of any one size; there are [`CLASSES`] classes; labels may be of any integer type that IDX has, and of
/// QMNIST's eight numbers the first counts. The content is checked for being well-formed, not for being MNIST.
///
/// # Errors
///
/// As [`Loader::load`].
///
/// ```
/// use wgrad::data::idx::IdxArray;
///
/// let directory = tempfile::tempdir().unwrap();
/// for part in ["train", "t10k"] {
///     let images = IdxArray { dims: vec![3, 2, 2], values: vec![0; 12] };
///     let labels = IdxArray { dims: vec![3], values: vec![7, 0, 9] };
///     std::fs::write(directory.path().join(format!("{part}-images-idx3-ubyte")), images.to_bytes()).unwrap();
///     std::fs::write(directory.path().join(format!("{part}-labels-idx1-ubyte")), labels.to_bytes()).unwrap();
/// }
/// let set = wgrad::mnist::load_from(directory.path())?;
/// assert_eq!((set.train.len(), set.train.features()), (3, 4));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn load_from(directory: impl AsRef<Path>) -> Result<Mnist> {
    Loader::new().directory(directory.as_ref()).load()
}

/// Loads MNIST, or a set in its form, with choices. Without any, the places are, in this order:
///
/// 1. the directory that the environment variable `MNIST_DIR` names: if it is set, no other place is tried;
/// 2. the cache, `wgrad/mnist` in the user's cache directory (`$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on
///    macOS; `%LOCALAPPDATA%` on Windows). A file there counts only if the SHA-256 of its content is MNIST's;
/// 3. the public mirrors of MNIST (11.6 MB over HTTPS; the proxy variables such as `HTTPS_PROXY` are honoured). What
///    arrives is verified in the same way, then kept in the cache. A mirror that gives no answer within a minute, fewer
///    than 64 KiB in half a minute, or not all of a file within 15 minutes, is given up. Other processes that want the
///    same wait, for ten minutes at most.
///
/// The cache and the mirrors need the feature `download`.
#[derive(Default)]
pub struct Loader {
    directory: Option<PathBuf>,
    classes: Option<usize>,
    first_label: u32,
    prefix: Option<String>,
    #[cfg(feature = "download")]
    cache: Option<PathBuf>,
    #[cfg(feature = "download")]
    offline: bool,
    #[cfg(feature = "download")]
    progress: Option<Observer>,
}

impl Loader {
    /// A loader that looks in all places.
    pub fn new() -> Self {
        Loader::default()
    }

    /// Looks only in this directory, whatever `MNIST_DIR` says.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// How many classes a set read from a directory has, where it isn't 10. MNIST from the cache always has 10.
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = Some(classes);
        self
    }

    /// The label of the first class in a set read from a directory, where it isn't 0: EMNIST's letters have labels from 1
    /// to 26. A model always sees classes from 0.
    ///
    /// ```no_run
    /// let letters = wgrad::mnist::Loader::new().directory("gzip").prefix("emnist-letters").classes(26).labels_from(1);
    /// let set = letters.load()?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn labels_from(mut self, first: u32) -> Self {
        self.first_label = first;
        self
    }

    /// Which of several sets in one directory is meant, by what stands before `-train-images-idx3-ubyte`: EMNIST's six
    /// come together, as `emnist-letters`, `emnist-digits` and so on. Where there is one alone it need not be said.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Keeps downloaded files in this directory rather than in the user's cache.
    #[cfg(feature = "download")]
    pub fn cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Never touches the network: what is in no directory is an error.
    ///
    /// ```
    /// let nowhere = tempfile::tempdir().unwrap();
    /// if std::env::var_os("MNIST_DIR").is_none() {
    ///     let missing = wgrad::mnist::Loader::new().cache(nowhere.path()).offline().load();
    ///     assert!(matches!(missing, Err(wgrad::Error::DataNotFound { .. })));
    /// }
    /// ```
    #[cfg(feature = "download")]
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Calls `observer` while files arrive, about every 64 KiB, and while another process is waited for
    /// ([`Progress::waiting_for`]), ten times a second. By default a download is silent.
    ///
    /// ```
    /// let loader = wgrad::mnist::Loader::new().on_progress(|progress| {
    ///     eprint!("\r{} {} bytes", progress.file, progress.received);
    /// });
    /// # drop(loader);
    /// ```
    #[cfg(feature = "download")]
    pub fn on_progress(mut self, observer: impl FnMut(Progress<'_>) + Send + 'static) -> Self {
        self.progress = Some(Box::new(observer));
        self
    }

    /// Loads the set.
    ///
    /// # Errors
    ///
    /// [`Error::DataNotFound`](crate::Error::DataNotFound), which names every place that was tried and why it failed;
    /// [`Error::InvalidFile`](crate::Error::InvalidFile) or [`Error::Io`](crate::Error::Io) where a named directory has
    /// the files but one cannot be read, is damaged, or doesn't fit the others.
    pub fn load(self) -> Result<Mnist> {
        match self.directory.clone().or_else(|| variable(VARIABLE)) {
            Some(directory) => {
                let files = files::read_directory(&directory, self.prefix.as_deref())?;
                let counting = Counting { classes: self.classes.unwrap_or(CLASSES), first: self.first_label };
                files.into_mnist(counting, Source::Directory(directory))
            }
            None => self.load_cached(),
        }
    }

    #[cfg(feature = "download")]
    fn load_cached(mut self) -> Result<Mnist> {
        let directory = self.cache.take().or_else(|| Some(user_cache()?.join("mnist"))).ok_or_else(|| {
            not_found("no directory for the cache is known, since neither XDG_CACHE_HOME nor HOME is set")
        })?;
        let mut silent = |_: Progress<'_>| ();
        let progress: &mut dyn FnMut(Progress<'_>) = match &mut self.progress {
            Some(observer) => observer,
            None => &mut silent,
        };
        let transport = crate::data::download::Https::new();
        let network = (!self.offline).then_some((&transport as _, progress));
        let arrays = cache::load(&cache::MNIST, &directory, network)?;
        let paths = [0, 1, 2, 3].map(|file| cache::path_of(file, &directory));
        let counting = Counting { classes: CLASSES, first: 0 };
        Files::of_bytes(arrays.0, paths).into_mnist(counting, Source::Downloaded(directory))
    }

    #[cfg(not(feature = "download"))]
    fn load_cached(self) -> Result<Mnist> {
        Err(not_found("this build cannot download it, having no `download` feature"))
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader").field("directory", &self.directory).finish_non_exhaustive()
    }
}
