//! Writing a file so that it is either the old one or the whole new one, whatever happens in between.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Neither another process nor another thread writes under this name.
    let thread: String = format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
    name.push(format!(".{}-{thread}.part", std::process::id()));
    let unfinished = Unfinished(path.with_file_name(name));
    let failed = |action| move |source: io::Error| Error::Io { action, path: path.to_path_buf(), source };
    let mut file = File::create(&unfinished.0).map_err(failed("create"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    fs::rename(&unfinished.0, path).map_err(failed("replace"))?;
    sync_directory(path).map_err(failed("sync the directory of"))
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
