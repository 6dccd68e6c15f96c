//! Putting a file in the place of another: a reader finds the old one or the whole new one, whatever happens in between.
//!
//! What is at the path is respected. Links are followed; mode and owner stay (access lists and other attributes do not);
//! what is no regular file, or may not be written to, is refused. Other names of the same file (hard links) keep the
//! old content, since they may well be somebody's copy of it. Where no second file or no rename is to be had (a file
//! mounted by itself, a directory that may not be written to) the file is written over where it stands, with its old
//! content put back should that fail, and a warning says that this is not safe from a crash.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

#[cfg(test)]
pub(super) use super::faults::point;
use super::leftovers;
use crate::error::{Error, Result};

/// Outside tests no step has a fault on purpose.
#[cfg(not(test))]
pub(super) fn point(_step: &'static str) -> io::Result<()> {
    Ok(())
}

/// Links that lead to links, at most, as on Linux.
const MOST_LINKS: usize = 40;

/// Writes `bytes` beside `path`, makes sure that they are on disk, and puts them in the place of what was there. `Err`
/// means that the file is not the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    exchange(path, bytes, true)
}

/// [`replace`] without the wait for the disk. Other processes see the old file or the new one; after a power failure
/// there may be a file of the right length with a wrong content, which its reader must notice.
pub(crate) fn replace_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    exchange(path, bytes, false)
}

fn exchange(path: &Path, bytes: &[u8], sync: bool) -> Result<()> {
    let place = Place::of(path)?;
    match Unfinished::create(&place) {
        Ok(mut unfinished) => {
            let written = point("write").and_then(|()| unfinished.file().write_all(bytes));
            written.map_err(|source| place.failed("write", source))?;
            unfinished.finish_in(place, sync)
        }
        Err(source) if place.allows_in_place(&source) => place.write_over(bytes, sync, &source),
        Err(source) => Err(place.failed("create", source)),
    }
}

/// Where a file shall be, and what is there now.
struct Place {
    /// The path as it was given, for messages.
    given: PathBuf,
    /// The file itself, links followed.
    path: PathBuf,
    /// The file that is there, which can be written to.
    existing: Option<(File, Metadata)>,
}

impl Place {
    fn of(given: &Path) -> Result<Self> {
        let failed = |action| move |source| Error::Io { action, path: given.to_owned(), source };
        let refused = |found: &str| Error::InvalidFile {
            path: given.to_owned(),
            expected: "a regular file to replace, or none".to_owned(),
            found: found.to_owned(),
        };
        let path = follow(given).map_err(failed("follow the link"))?;
        if path.file_name().is_none() {
            return Err(refused("a path that ends in no name"));
        }
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Place { given: given.to_owned(), path, existing: None });
            }
            Err(error) => return Err(failed("look at")(error)),
        };
        if !metadata.is_file() {
            return Err(refused(kind_of(&metadata)));
        }
        if metadata.permissions().readonly() {
            // Also for those whom permissions do not hold back.
            let source = io::Error::new(ErrorKind::PermissionDenied, "it is read-only");
            return Err(failed("replace")(source));
        }
        let both = OpenOptions::new().read(true).write(true).open(&path);
        let file = both.or_else(|_| OpenOptions::new().write(true).open(&path)).map_err(failed("replace"))?;
        Ok(Place { given: given.to_owned(), path, existing: Some((file, metadata)) })
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Io { action, path: self.given.clone(), source }
    }

    /// Whether a second file, or its rename, failed for a reason that does not keep the file itself from being written.
    fn allows_in_place(&self, error: &io::Error) -> bool {
        let reasons = [
            ErrorKind::PermissionDenied,
            ErrorKind::ReadOnlyFilesystem,
            // A file that is a mount of its own.
            ErrorKind::ResourceBusy,
            ErrorKind::CrossesDevices,
        ];
        self.existing.is_some() && reasons.contains(&error.kind())
    }

    /// Writes the new content over the old one, which is put back if that fails.
    fn write_over(self, bytes: &[u8], sync: bool, reason: &io::Error) -> Result<()> {
        let given = self.given.display();
        log::warn!("{given} is written over where it stands, which a crash can leave half done: {reason}");
        let Some((mut file, _)) = self.existing else { return Ok(()) };
        let failed = |action, source| Error::Io { action, path: self.given.clone(), source };
        let old = read_whole(&mut file);
        let Err(source) = overwrite(&mut file, bytes, sync) else { return Ok(()) };
        match old.and_then(|old| overwrite(&mut file, &old, sync)) {
            Ok(()) => Err(failed("write", source)),
            Err(lost) => {
                let text = format!("{source}; and its old content is lost: {lost}");
                Err(failed("write", io::Error::new(source.kind(), text)))
            }
        }
    }
}

/// A file on its way to its place: under a name of its own that nobody can foresee, in the same directory, held by a lock
/// as long as somebody is at it. Dropping it removes it, whatever the reason.
pub(crate) struct Unfinished(NamedTempFile);

impl Unfinished {
    /// One beside `path`, after a look at what killed processes left there.
    #[cfg(feature = "download")]
    pub fn beside(path: &Path) -> Result<Self> {
        let place = Place::of(path)?;
        Self::create(&place).map_err(|source| place.failed("create", source))
    }

    fn create(place: &Place) -> io::Result<Self> {
        let (directory, name) = (place.directory(), place.path.file_name().unwrap_or_default());
        leftovers::remove(directory, name);
        let prefix = leftovers::prefix(name);
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(leftovers::SUFFIX).rand_bytes(leftovers::RANDOM);
        let mut options = OpenOptions::new();
        // A new file alone: what is there under the name, a link too, is not opened.
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, first_mode(place));
        loop {
            point("create")?;
            let file = builder.make_in(directory, |path| options.open(path))?;
            match file.as_file().try_lock() {
                // Somebody who cleans up was faster than the lock, and is about to remove it: another name.
                Err(fs::TryLockError::WouldBlock) => continue,
                Ok(()) if !fs::exists(file.path()).unwrap_or(true) => continue,
                // File systems without locks do as well: there nobody removes what is young.
                Ok(()) | Err(fs::TryLockError::Error(_)) => {}
            }
            if let Some((_, metadata)) = &place.existing {
                keep_mode_and_owner(file.as_file(), metadata)?;
            }
            return Ok(Unfinished(file));
        }
    }

    pub fn file(&mut self) -> &mut File {
        self.0.as_file_mut()
    }

    #[cfg(feature = "download")]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts it in the place of what is at `path`, on disk. `Err` means that the file is not the new one.
    #[cfg(feature = "download")]
    pub fn finish(self, path: &Path) -> Result<()> {
        self.finish_in(Place::of(path)?, true)
    }

    fn finish_in(mut self, place: Place, sync: bool) -> Result<()> {
        if sync {
            let synced = point("sync").and_then(|()| self.file().sync_all());
            synced.map_err(|source| place.failed("write", source))?;
        }
        let renamed = match point("rename") {
            Ok(()) => self.0.persist(&place.path).map(drop).map_err(|error| (error.error, error.file)),
            Err(error) => Err((error, self.0)),
        };
        match renamed {
            Ok(()) => {
                // The file is the new one, so nothing that goes wrong from here on is an error: a directory need not be
                // readable to be written to.
                if sync {
                    drop(sync_directory(place.directory()));
                }
                Ok(())
            }
            Err((source, mut file)) if place.allows_in_place(&source) => {
                let bytes = read_whole(file.as_file_mut()).map_err(|source| place.failed("replace", source))?;
                place.write_over(&bytes, sync, &source)
            }
            Err((source, _)) => Err(place.failed("replace", source)),
        }
    }
}

/// The path of the file itself. The last link may lead to nothing: the file is made where it says.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            _ => return Ok(path),
        }
    }
    Err(io::Error::other(format!("more than {MOST_LINKS} links lead to each other")))
}

fn kind_of(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if metadata.is_dir() { "a directory" } else { "something else" }
}

/// The mode to create a file with: for its user alone where its right one is set later.
#[cfg(unix)]
fn first_mode(place: &Place) -> u32 {
    if place.existing.is_some() { 0o600 } else { 0o666 }
}

/// Gives the new file the owner and the mode of the old one. Who may not do so writes over the old one instead.
#[cfg(unix)]
fn keep_mode_and_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    point("keep the owner")?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        // Not the owner where that is right already: only root may, even to no effect.
        fchown(file, (new.uid() != old.uid()).then(|| old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}

#[cfg(not(unix))]
fn keep_mode_and_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

fn read_whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn overwrite(file: &mut File, bytes: &[u8], sync: bool) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)?;
    point("cut")?;
    file.set_len(bytes.len() as u64)?;
    point("sync")?;
    if sync { file.sync_all() } else { Ok(()) }
}

/// A rename is on disk only when its directory is. Only Unix can sync a directory; elsewhere there is no need.
fn sync_directory(directory: &Path) -> io::Result<()> {
    point("sync the directory")?;
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
