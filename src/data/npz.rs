//! `.npz`, NumPy's archive of arrays: a ZIP file with a `.npy` file for each, stored or deflated. This module owns finding
//! arrays in it; `rawzip` reads the archive, and holds sizes and checksums against what it finds.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder};

use super::npy::NpyArray;
use crate::error::{Error, Result};

/// Names in a message, at most.
const MOST_NAMES: usize = 20;

/// An array's place in an archive.
struct Entry {
    name: String,
    method: CompressionMethod,
    place: ZipArchiveEntryWayfinder,
}

/// The arrays of these names, with or without `.npy`.
pub(crate) fn read<const N: usize>(path: &Path, names: [&str; N]) -> Result<[NpyArray; N]> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(Error::invalid_file(path, "a .npz file", "a directory or a device"));
    }
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(|error| broken(path, &error))?;
    arrays(&archive, path, names, &mut buffer)
}

fn arrays<const N: usize>(
    archive: &ZipArchive<impl ReaderAt>,
    path: &Path,
    names: [&str; N],
    buffer: &mut [u8],
) -> Result<[NpyArray; N]> {
    let entries = list(archive, path, buffer)?;
    let mut arrays = Vec::with_capacity(N);
    for name in names {
        arrays.push(array(archive, find(&entries, name, path)?, path)?);
    }
    arrays.try_into().map_err(|_| Error::invalid_file(path, format!("{N} arrays"), "others"))
}

/// [`read`] from memory, for tests with inputs of all kinds.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_bytes<const N: usize>(bytes: &[u8], path: &Path, names: [&str; N]) -> Result<[NpyArray; N]> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(std::io::Cursor::new(bytes), &mut buffer);
    arrays(&archive.map_err(|error| broken(path, &error))?, path, names, &mut buffer)
}

fn list(archive: &ZipArchive<impl ReaderAt>, path: &Path, buffer: &mut [u8]) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut entries = archive.entries(buffer);
    while let Some(entry) = entries.next_entry().map_err(|error| broken(path, &error))? {
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        found.push(Entry { name, method: entry.compression_method(), place: entry.wayfinder() });
    }
    Ok(found)
}

fn find<'e>(entries: &'e [Entry], name: &str, path: &Path) -> Result<&'e Entry> {
    let is_it = |entry: &&Entry| entry.name == name || entry.name.strip_suffix(".npy") == Some(name);
    entries.iter().find(is_it).ok_or_else(|| {
        let names = entries.iter().take(MOST_NAMES).map(|entry| entry.name.trim_end_matches(".npy"));
        let names = names.collect::<Vec<_>>().join(", ");
        let found = match entries.len() {
            0 => "no array".to_owned(),
            count if count > MOST_NAMES => format!("{names} and {} more", count - MOST_NAMES),
            _ => names,
        };
        Error::invalid_file(path, format!("an array named {name}"), found)
    })
}

fn array(archive: &ZipArchive<impl ReaderAt>, entry: &Entry, path: &Path) -> Result<NpyArray> {
    let inside = path.join(&entry.name);
    let data = archive.get_entry(entry.place).map_err(|error| broken(path, &error))?;
    let reader: Box<dyn Read + '_> = match entry.method {
        CompressionMethod::STORE => Box::new(data.verifying_reader(data.reader())),
        CompressionMethod::DEFLATE => Box::new(data.verifying_reader(DeflateDecoder::new(data.reader()))),
        other => return Err(Error::invalid_file(&inside, "a stored or deflated array", format!("method {other:?}"))),
    };
    NpyArray::read(reader, &inside)
}

fn broken(path: &Path, error: &rawzip::Error) -> Error {
    Error::invalid_file(path, "a .npz file, which is a ZIP archive", format!("\"{error}\""))
}
