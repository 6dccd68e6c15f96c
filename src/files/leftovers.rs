//! Names of files that are not whole yet, and those that a killed process left behind. A writer holds a lock on its
//! file as long as it lives, so a file of such a name that nobody holds is nobody's.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// What such a file's name ends with.
pub(super) const SUFFIX: &str = ".part";

/// Random letters and digits in it.
pub(super) const RANDOM: usize = 12;

/// Bytes of the whole file's name that such a name repeats; names may have 255 in all.
const MOST_OF_NAME: usize = 150;

/// On file systems without locks, a file this old is nobody's either.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// What the name of a file that shall become `name` starts with.
pub(super) fn prefix(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    let end = (0..=MOST_OF_NAME.min(name.len())).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    format!(".{}.", &name[..end])
}

/// Removes what killed processes left beside a file of this name. Best effort: what cannot be listed or removed stays,
/// and is tried again by the next save.
pub(super) fn remove(directory: &Path, name: &OsStr) {
    let prefix = prefix(name);
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        // A link that somebody planted under such a name is not followed.
        let regular = || entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_unfinished(&name, &prefix)
            && regular()
            && let Some(held) = hold(&entry.path())
        {
            // While the lock is held: a writer that made it just now finds it locked or gone, and takes another name.
            drop(fs::remove_file(entry.path()));
            drop(held);
        }
    }
}

fn is_unfinished(name: &OsStr, prefix: &str) -> bool {
    let middle = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(SUFFIX));
    middle.is_some_and(|middle| {
        let random = middle.len() == RANDOM && middle.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // Process and thread, as earlier versions named theirs.
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        random || middle.split_once('-').is_some_and(|(process, thread)| digits(process) && digits(thread))
    })
}

/// The file, locked, if it is nobody's.
fn hold(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let nobodys = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let age = file.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
            age.is_ok_and(|age| age.is_ok_and(|age| age > OLD))
        }
    };
    nobodys.then_some(file)
}
