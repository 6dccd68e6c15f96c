//! Files that are kept from one run to the next for speed alone. Each opens with a line that names its kind and the
//! SHA-256 of what follows. Whatever is wrong with one (missing, cut short, changed, of another kind, too large) is as
//! if it were not there: it is made anew, and the new one takes its place. What stands in them is their owners'
//! concern.

use std::fs::{DirBuilder, File};
use std::io::Read;
use std::path::Path;

use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::files::replace_unsynced;

/// More than a first line takes.
const FIRST_LINE: u64 = 256;

/// The content of a file of this kind, if it is whole and no longer than `most` bytes.
pub(crate) fn load(path: &Path, kind: &str, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than there may be, so that a longer file is told from one that just fits.
    File::open(path).ok()?.take(FIRST_LINE + most + 1).read_to_end(&mut bytes).ok()?;
    whole(bytes, kind, most)
}

/// What stands behind the first line, if that is right about it.
pub(crate) fn whole(mut bytes: Vec<u8>, kind: &str, most: u64) -> Option<Vec<u8>> {
    let end = bytes.iter().take(FIRST_LINE as usize).position(|&byte| byte == b'\n')?;
    let content = bytes.split_off(end + 1);
    let fits = content.len() as u64 <= most && bytes == first_line(kind, &content).as_bytes();
    fits.then_some(content)
}

/// Puts a file in the place of what was there. Its directory is made if need be, for its user alone, as the XDG
/// specification asks.
pub(crate) fn store(path: &Path, kind: &str, content: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory).map_err(|source| Error::Io {
        action: "create",
        path: directory.to_path_buf(),
        source,
    })?;
    let mut bytes = first_line(kind, content).into_bytes();
    bytes.extend_from_slice(content);
    replace_unsynced(path, &bytes)
}

fn first_line(kind: &str, content: &[u8]) -> String {
    format!("wgrad {kind}, sha256 {}\n", sha256(&[content]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const KIND: &str = "test";

    fn kept() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("file");
        store(&path, KIND, b"what is kept\nin two lines").unwrap();
        (directory, path)
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (_directory, path) = kept();
        assert_eq!(load(&path, KIND, 25).as_deref(), Some(&b"what is kept\nin two lines"[..]));
        store(&path, KIND, b"").unwrap();
        assert_eq!(load(&path, KIND, 0).as_deref(), Some(&b""[..]));
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(names, [path]);
    }

    #[test]
    fn what_is_not_whole_is_not_there() {
        let (_directory, path) = kept();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(load(&path, KIND, 1000), None, "{length} bytes of {}", whole.len());
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(load(&path, KIND, 1000), None, "byte {at} changed");
        }
        fs::write(&path, [&whole[..], b" "].concat()).unwrap();
        assert_eq!(load(&path, KIND, 1000), None);
        fs::write(&path, vec![b' '; 10_000]).unwrap();
        assert_eq!(load(&path, KIND, 100_000), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(load(&path, KIND, 1000), None);
        store(&path, KIND, b"anew").unwrap();
        assert_eq!(load(&path, KIND, 1000).as_deref(), Some(&b"anew"[..]));
    }

    #[test]
    fn another_kind_or_a_larger_file_is_not_there() {
        let (_directory, path) = kept();
        assert_eq!(load(&path, "another kind", 1000), None);
        assert_eq!(load(&path, KIND, 24), None);
    }

    #[test]
    fn a_place_that_cannot_be_had_is_an_error() {
        let (_directory, path) = kept();
        let error = store(&path.join("below"), KIND, b"").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot create {}: ", path.display())), "{error}");
    }
}
