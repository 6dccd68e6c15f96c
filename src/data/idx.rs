//! IDX, the file format of MNIST: a header of magic, element type and sizes, all big-endian, then the elements. This
//! module owns the format, gzipped or plain, of any rank, for unsigned bytes and, as labels, other integers. What the
//! dimensions mean (images, labels) is its callers' concern.
//!
//! Files are not trusted. The sizes in the header are multiplied with a check for overflow and held against the
//! caller's limit before any memory is taken; memory then grows with what arrives, never ahead of it; and reading stops
//! one byte after the header's size, whatever a gzip stream would go on to yield.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use byteorder::{BigEndian, ReadBytesExt};
use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
#[cfg(feature = "native")]
use crate::memory::room;

const UNSIGNED_BYTES: u8 = 0x08;
const SIGNED_BYTES: u8 = 0x09;
const SHORTS: u8 = 0x0b;
const INTEGERS: u8 = 0x0c;
const MOST_DIMENSIONS: u8 = 8;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An array of bytes with its dimensions, as an IDX file holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// The size of each dimension, the slowest first: `[60000, 28, 28]` for MNIST's training images.
    pub dims: Vec<usize>,
    /// The elements, row-major; as many as the product of `dims`.
    pub values: Vec<u8>,
}

impl IdxArray {
    /// The array as an uncompressed IDX file. Dimensions beyond `u32::MAX`, which IDX cannot hold, are cut to it.
    ///
    /// ```
    /// use std::path::Path;
    /// use wgrad::data::idx::{IdxArray, parse_idx};
    ///
    /// let array = IdxArray { dims: vec![2, 3], values: vec![1, 2, 3, 4, 5, 6] };
    /// assert_eq!(parse_idx(&array.to_bytes()[..], Path::new("array"), 6)?, array);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.extend_from_slice(&self.values);
        bytes
    }

    /// The bytes before the elements. Parsing is strict, so they are those of the file an array came from.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut header = vec![0, 0, UNSIGNED_BYTES, self.dims.len() as u8];
        for &size in &self.dims {
            header.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
        }
        header
    }
}

impl std::fmt::Debug for IdxArray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdxArray {{ dims: {:?}, {} values }}", self.dims, self.values.len())
    }
}

/// Reads the IDX file at `path`, gzipped or plain: its first bytes tell, not its name.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be read, otherwise as [`parse_idx`].
///
/// ```
/// use wgrad::data::idx::{IdxArray, read_idx};
///
/// let file = tempfile::NamedTempFile::new().unwrap();
/// std::fs::write(&file, IdxArray { dims: vec![2], values: vec![7, 9] }.to_bytes()).unwrap();
/// assert_eq!(read_idx(file.path())?.values, [7, 9]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[cfg(feature = "native")]
pub fn read_idx(path: impl AsRef<Path>) -> Result<IdxArray> {
    read_idx_within(path.as_ref(), usize::MAX)
}

#[cfg(feature = "native")]
pub(crate) fn read_idx_within(path: &Path, most: usize) -> Result<IdxArray> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    parse_idx(std::fs::File::open(path).map_err(io)?, path, most)
}

/// Reads an IDX array, gzipped or plain, from `source` to its end. `path` is only for messages; a header that announces
/// more than `most` elements is refused before memory is taken for them.
///
/// # Errors
///
/// [`Error::InvalidFile`] where the source is not IDX, not of unsigned bytes, damaged, too short, too long or too
/// large; [`Error::Io`] where reading fails for another reason.
///
/// ```
/// use std::path::Path;
/// use wgrad::data::idx::parse_idx;
///
/// let html = parse_idx(&b"<!doctype html>"[..], Path::new("labels.gz"), usize::MAX);
/// assert_eq!(
///     html.unwrap_err().to_string(),
///     "labels.gz: expected an IDX header, which starts with two zero bytes, found bytes 3c 21"
/// );
/// ```
pub fn parse_idx(source: impl Read, path: &Path, most: usize) -> Result<IdxArray> {
    Ok(parse(source, path, most, &[UNSIGNED_BYTES])?.1)
}

/// Labels of any integer type that IDX has, as numbers.
#[cfg(feature = "native")]
#[derive(Debug, PartialEq)]
pub(crate) struct IdxLabels {
    /// The size of each dimension.
    pub dims: Vec<usize>,
    /// As many as the product of `dims`.
    pub values: Vec<i64>,
}

#[cfg(feature = "native")]
impl From<IdxArray> for IdxLabels {
    fn from(array: IdxArray) -> Self {
        IdxLabels { dims: array.dims, values: array.values.into_iter().map(i64::from).collect() }
    }
}

/// Reads labels as [`read_idx`] reads bytes.
#[cfg(feature = "native")]
pub(crate) fn read_labels(path: &Path) -> Result<IdxLabels> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    parse_labels(std::fs::File::open(path).map_err(io)?, path)
}

#[cfg(feature = "native")]
pub(crate) fn parse_labels(source: impl Read, path: &Path) -> Result<IdxLabels> {
    let kinds = [UNSIGNED_BYTES, SIGNED_BYTES, SHORTS, INTEGERS];
    let (kind, IdxArray { dims, values: bytes }) = parse(source, path, usize::MAX, &kinds)?;
    let mut values = room(bytes.len() / size_of_kind(kind), || format!("reading {}", path.display()))?;
    match kind {
        UNSIGNED_BYTES => values.extend(bytes.iter().map(|&byte| i64::from(byte))),
        SIGNED_BYTES => values.extend(bytes.iter().map(|&byte| i64::from(byte as i8))),
        SHORTS => values.extend(bytes.as_chunks().0.iter().map(|&bytes| i64::from(i16::from_be_bytes(bytes)))),
        _ => values.extend(bytes.as_chunks().0.iter().map(|&bytes| i64::from(i32::from_be_bytes(bytes)))),
    }
    Ok(IdxLabels { dims, values })
}

/// An array of one of these kinds of elements, and which; its values are their bytes.
fn parse(source: impl Read, path: &Path, most: usize, kinds: &[u8]) -> Result<(u8, IdxArray)> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let start = source.fill_buf().map_err(|error| broken(path, error, 0))?;
    if start.starts_with(&GZIP) {
        parse_plain(MultiGzDecoder::new(source), path, most, kinds)
    } else {
        parse_plain(source, path, most, kinds)
    }
}

fn parse_plain(mut source: impl Read, path: &Path, most: usize, kinds: &[u8]) -> Result<(u8, IdxArray)> {
    let (kind, dims) = parse_header(&mut source, path, kinds)?;
    let size = size_of_kind(kind);
    let expected = elements(&dims, size, path, most)?;
    let mut values = Vec::new();
    let outcome = source.take((expected as u64 * size as u64).saturating_add(1)).read_to_end(&mut values);
    let all = || format!("{expected} elements, as its header's {dims:?} says");
    match (outcome, values.len() / size) {
        (_, _) if values.len() > expected * size => Err(invalid(path, all(), "more")),
        (Err(error), found) => Err(broken(path, error, found)),
        (Ok(_), found) if found < expected => {
            let hint = if product(&turned(&dims)) == Some(found) { LITTLE_ENDIAN } else { "" };
            Err(invalid(path, all(), format!("{found}{hint}")))
        }
        (Ok(_), _) => Ok((kind, IdxArray { dims, values })),
    }
}

/// What those need to hear whose program wrote sizes in the order of its machine.
const LITTLE_ENDIAN: &str = "; its sizes are little-endian, and IDX has them big-endian";

fn parse_header(source: &mut impl Read, path: &Path, kinds: &[u8]) -> Result<(u8, Vec<usize>)> {
    let short = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => invalid(path, "an IDX header", "the end of the file"),
        _ => broken(path, error, 0),
    };
    let mut magic = [0; 4];
    source.read_exact(&mut magic).map_err(short)?;
    let [zero, also_zero, kind, rank] = magic;
    if (zero, also_zero) != (0, 0) {
        let found = match [zero, also_zero] {
            GZIP => "a gzip stream inside a gzip stream".to_owned(),
            _ => format!("bytes {zero:02x} {also_zero:02x}"),
        };
        return Err(invalid(path, "an IDX header, which starts with two zero bytes", found));
    }
    if !kinds.contains(&kind) {
        let expected = match kinds {
            [UNSIGNED_BYTES] => "elements of type 0x08, unsigned bytes",
            _ => "elements of an integer type",
        };
        return Err(invalid(path, expected, kind_name(kind)));
    }
    if !(1..=MOST_DIMENSIONS).contains(&rank) {
        return Err(invalid(path, format!("1 to {MOST_DIMENSIONS} dimensions"), rank));
    }
    let dims = (0..rank).map(|_| Ok(source.read_u32::<BigEndian>().map_err(short)? as usize));
    Ok((kind, dims.collect::<Result<_>>()?))
}

fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
}

/// The sizes with their bytes the other way round.
fn turned(dims: &[usize]) -> Vec<usize> {
    dims.iter().map(|&size| (size as u32).swap_bytes() as usize).collect()
}

fn elements(dims: &[usize], size: usize, path: &Path, most: usize) -> Result<usize> {
    match product(dims).filter(|elements| elements.checked_mul(size).is_some()) {
        Some(elements) if elements <= most => Ok(elements),
        Some(elements) => Err(invalid(path, format!("at most {most} elements"), format!("{elements}, {dims:?}"))),
        None => {
            // Sizes that make sense the other way round.
            let little = product(&turned(dims)).is_some_and(|elements| elements < 1 << 40);
            let hint = if little { LITTLE_ENDIAN } else { "" };
            Err(invalid(path, "a size that fits in memory", format!("dimensions {dims:?}{hint}")))
        }
    }
}

/// What a failed read says of the file: a decoder's complaint is about the content, anything else about the reading.
fn broken(path: &Path, error: io::Error, elements: usize) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => invalid(path, "a whole gzip stream", format!("its end after {elements} elements")),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            invalid(path, "an intact gzip stream", format!("\"{error}\" after {elements} elements"))
        }
        ErrorKind::OutOfMemory => Error::OutOfMemory { during: format!("reading {}", path.display()) },
        _ => Error::Io { action: "read", path: path.to_owned(), source: error },
    }
}

fn invalid(path: &Path, expected: impl ToString, found: impl ToString) -> Error {
    Error::invalid_file(path, expected, found)
}

/// Bytes of an element of a kind that is read.
fn size_of_kind(kind: u8) -> usize {
    match kind {
        SHORTS => 2,
        INTEGERS => 4,
        _ => 1,
    }
}

fn kind_name(kind: u8) -> String {
    let name = match kind {
        UNSIGNED_BYTES => "unsigned bytes",
        SIGNED_BYTES => "signed bytes",
        SHORTS => "16-bit integers",
        INTEGERS => "32-bit integers",
        0x0d => "floats",
        0x0e => "doubles",
        _ => "unknown to IDX",
    };
    format!("type 0x{kind:02x}, {name}")
}

#[cfg(test)]
mod tests;
