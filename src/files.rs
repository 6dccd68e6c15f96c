//! Files: one way of writing them for all that wgrad writes, checkpoints, caches and downloads ([`replace`]), and where
//! the user's cache is. What stands in them is their owners' concern.

#[cfg(test)]
mod faults;
mod leftovers;
mod replace;

use std::path::{Path, PathBuf};

#[cfg(all(test, feature = "download"))]
pub(crate) use faults::fail_at;
#[cfg(feature = "download")]
pub(crate) use replace::Unfinished;
pub(crate) use replace::{replace, replace_unsynced};

use crate::error::{Error, Result};

/// All of a file. Memory is taken as the file's size says; that there is not enough is an error.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = replace::point("read").and_then(|()| std::fs::read(path));
    bytes.map_err(|source| match source.kind() {
        std::io::ErrorKind::OutOfMemory => Error::OutOfMemory { during: format!("reading {}", path.display()) },
        _ => Error::Io { action: "read", path: path.to_owned(), source },
    })
}

/// This crate's directory in the user's cache: `wgrad` in `$XDG_CACHE_HOME` or `~/.cache`, in `~/Library/Caches` on
/// macOS, in `%LOCALAPPDATA%` on Windows. `None` where none of them is known. Nothing is made.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let cache = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    Some(cache?.join("wgrad"))
}

/// A path that an environment variable holds. An empty variable counts as none, as the XDG specification has it.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
