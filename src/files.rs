//! Files: writing one so that it is either the old one or the whole new one, whatever happens in between, and where the
//! user's cache is.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Removes the unfinished file if anything goes wrong before the rename.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; before it, what stays behind does no harm.
        drop(fs::remove_file(&self.0));
    }
}

/// Writes `bytes` beside `path`, makes sure that they are on disk, and puts them in the place of what was there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    exchange(path, bytes, File::sync_all)?;
    sync_directory(path).map_err(|source| Error::Io { action: "sync the directory of", path: path.into(), source })
}

/// [`replace`] without the wait for the disk. Other processes see the old file or the new one; after a power failure
/// there may be a file of the right length with a wrong content, which its reader must notice.
pub(crate) fn replace_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    exchange(path, bytes, |_| Ok(()))
}

fn exchange(path: &Path, bytes: &[u8], sync: impl Fn(&File) -> io::Result<()>) -> Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Neither another process nor another thread writes under this name.
    let thread: String = format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
    name.push(format!(".{}-{thread}.part", std::process::id()));
    let unfinished = Unfinished(path.with_file_name(name));
    let failed = |action| move |source: io::Error| Error::Io { action, path: path.to_path_buf(), source };
    let mut file = File::create(&unfinished.0).map_err(failed("create"))?;
    file.write_all(bytes).and_then(|()| sync(&file)).map_err(failed("write"))?;
    fs::rename(&unfinished.0, path).map_err(failed("replace"))
}

/// A rename is on disk only when its directory is. Only Unix can sync a directory; elsewhere there is no need.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent)?.sync_all()
        }
        _ => Ok(()),
    }
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

/// The SHA-256 of these pieces, one after the other, in hexadecimal digits.
pub(crate) fn sha256(pieces: &[&[u8]]) -> String {
    let digest = pieces.iter().fold(Sha256::new(), |digest, piece| digest.chain_update(piece)).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
