//! `.npy`, NumPy's file format for one array: a magic number, a header that is a Python dictionary of element type,
//! order and shape, then the elements. This module owns the format: numbers of every type and order, versions 1 to 3.
//! Reading rows is in `npy/array.rs`; what they mean is said by [`open_npy`](crate::StreamedDataset::open_npy) in
//! `npy/file.rs`, and archives of arrays, `.npz`, are read by `npz.rs`.
//!
//! Files are not trusted. A file's size is held against its header when it is opened, so that a file cut short is found
//! before a training, and before memory is taken.
//!
//! The crate `npyz` reads the same format. It was not taken: its headers go through a parser of Python literals with some
//! twenty crates of its own, it refuses what some programs write (`np.int64(5)` in a shape), and its messages name no file.

#[cfg(feature = "native")]
mod array;
#[cfg(feature = "native")]
mod file;

use std::path::Path;

#[cfg(feature = "native")]
pub(crate) use array::NpyArray;

use crate::error::{Error, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Magic and version, before the header's length.
const PREAMBLE: usize = 8;

/// NumPy's own limit for headers that are not trusted.
const LONGEST_HEADER: usize = 10_000;

/// The types of elements that can be read, in either order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// `bool`, NumPy's `|b1`: a byte, 0 or 1.
    Bool,
    /// `uint8`, `|u1`.
    U8,
    /// `uint16`, `<u2`.
    U16,
    /// `uint32`, `<u4`.
    U32,
    /// `uint64`, `<u8`.
    U64,
    /// `int8`, `|i1`.
    I8,
    /// `int16`, `<i2`.
    I16,
    /// `int32`, `<i4`.
    I32,
    /// `int64`, `<i8`.
    I64,
    /// `float16`, `<f2`.
    F16,
    /// `float32`, `<f4`.
    F32,
    /// `float64`, `<f8`; rounded to f32 when it is read.
    F64,
}

const ELEMENTS: [(Element, &str, usize); 12] = [
    (Element::Bool, "|b1", 1),
    (Element::U8, "|u1", 1),
    (Element::U16, "<u2", 2),
    (Element::U32, "<u4", 4),
    (Element::U64, "<u8", 8),
    (Element::I8, "|i1", 1),
    (Element::I16, "<i2", 2),
    (Element::I32, "<i4", 4),
    (Element::I64, "<i8", 8),
    (Element::F16, "<f2", 2),
    (Element::F32, "<f4", 4),
    (Element::F64, "<f8", 8),
];

impl Element {
    fn row(self) -> (Element, &'static str, usize) {
        ELEMENTS.into_iter().find(|(element, ..)| *element == self).unwrap_or(ELEMENTS[0])
    }

    /// The type that a header's `descr` names, and whether its bytes come in big-endian order. NumPy leaves the order
    /// out where there is none, and others do where they mean that of most machines.
    fn parse(descr: &str) -> Option<(Element, bool)> {
        let name = descr.trim_start_matches(['<', '>', '=', '|']);
        let name = if name == "?" { "b1" } else { name };
        let (element, _, size) = ELEMENTS.into_iter().find(|(_, known, _)| known[1..] == *name)?;
        (descr.len() - name.len() <= 1).then_some((element, descr.starts_with('>') && size > 1))
    }

    /// NumPy's name for it.
    pub fn descr(self) -> &'static str {
        self.row().1
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        self.row().2
    }
}

/// What a `.npy` file says of its elements, which are row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of the elements.
    pub element: Element,
    /// The size of each dimension, the slowest first.
    pub shape: Vec<usize>,
}

impl Header {
    /// The bytes that stand before the elements, 64 or a multiple of it, as NumPy writes them. Put the elements behind
    /// them, little-endian, and it is a `.npy` file.
    ///
    /// ```
    /// use wgrad::data::npy::{Element, Header};
    ///
    /// let header = Header { element: Element::F32, shape: vec![5_000_000, 784] };
    /// assert_eq!(header.to_bytes().len(), 128);
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let sizes: Vec<_> = self.shape.iter().map(|size| format!("{size},")).collect();
        let shape = if sizes.len() == 1 { sizes[0].clone() } else { sizes.join(" ").trim_end_matches(',').to_owned() };
        let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}", self.element.descr());
        // Spaces and a line's end make it a multiple of 64 bytes, the two of its length included.
        let length = (PREAMBLE + 2 + text.len() + 1).next_multiple_of(64) - PREAMBLE - 2;
        text = format!("{text:<width$}\n", width = length - 1);
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((length as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes
    }

    /// The header at the start of `bytes`, and how long it is: where the elements start. `path` is only for messages.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidFile`] where this is not `.npy`, or of elements that are no numbers, and where the elements are in
    /// an order that a `Header` cannot say: big-endian or column by column. The readers of files take those too.
    ///
    /// ```
    /// use std::path::Path;
    /// use wgrad::data::npy::{Element, Header};
    ///
    /// let header = Header { element: Element::U8, shape: vec![2, 3] };
    /// assert_eq!(Header::parse(&header.to_bytes(), Path::new("x.npy"))?, (header, 128));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn parse(bytes: &[u8], path: &Path) -> Result<(Self, usize)> {
        let Described { header, fortran_order, big_endian, start } = Described::parse(bytes, path)?;
        if big_endian {
            return Err(invalid(path, "little-endian elements", "big-endian ones"));
        }
        if fortran_order {
            return Err(invalid(path, "row-major elements", "Fortran's order; numpy.ascontiguousarray makes them so"));
        }
        Ok((header, start))
    }
}

/// All that a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub header: Header,
    /// Whether the first index moves fastest, not the last.
    pub fortran_order: bool,
    pub big_endian: bool,
    /// Where the elements start.
    pub start: usize,
}

impl Described {
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let Some([major, _minor]) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()) else {
            return Err(invalid(path, "a .npy file, which starts with \\x93NUMPY", start_of(bytes)));
        };
        let rest = bytes.get(PREAMBLE..).unwrap_or_default();
        let (length, start) = match (major, rest) {
            (1, [a, b, ..]) => (usize::from(u16::from_le_bytes([*a, *b])), PREAMBLE + 2),
            (2 | 3, [a, b, c, d, ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, PREAMBLE + 4),
            (1..=3, _) => return Err(invalid(path, "the length of the .npy header", "the end of the file")),
            _ => return Err(invalid(path, "version 1 to 3 of .npy", format!("version {major}"))),
        };
        if length > LONGEST_HEADER {
            return Err(invalid(path, format!("a header of at most {LONGEST_HEADER} bytes"), length));
        }
        let Some(text) = bytes.get(start..start + length) else {
            return Err(invalid(path, format!("a header of {length} bytes"), "the end of the file"));
        };
        Self::parse_dictionary(&String::from_utf8_lossy(text), path, start + length)
    }

    fn parse_dictionary(text: &str, path: &Path, start: usize) -> Result<Self> {
        let value = |key: &str| {
            let missing = || invalid(path, format!("a header with {key}"), format!("{:?}", text.trim_end()));
            value_of(text, key).ok_or_else(missing)
        };
        let descr = value("descr")?;
        let Some((element, big_endian)) = quoted(descr).and_then(Element::parse) else {
            let names = ELEMENTS.map(|(_, name, _)| &name[1..]).join(", ");
            let found = quoted(descr).map_or_else(|| "a structure".to_owned(), |descr| format!("'{descr}'"));
            return Err(invalid(path, format!("elements of one of the types {names}"), found));
        };
        let order = value("fortran_order")?;
        let fortran_order = match order {
            _ if order.starts_with("True") || order.starts_with("true") => true,
            _ if order.starts_with("False") || order.starts_with("false") => false,
            _ => return Err(invalid(path, "fortran_order to be True or False", format!("{:?}", text.trim_end()))),
        };
        let Some(shape) = sizes(value("shape")?) else {
            let found = format!("{:?}", text.trim_end());
            return Err(invalid(path, "a header with a shape of whole numbers", found));
        };
        Ok(Described { header: Header { element, shape }, fortran_order, big_endian, start })
    }
}

/// What stands behind a key of a dictionary, in Python or JSON.
fn value_of<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let find = |quote: char| {
        let name = format!("{quote}{key}{quote}");
        // The same word may be a value, or a name in a structure: a key is followed by a colon.
        text.match_indices(&name).find_map(|(at, _)| text[at + name.len()..].trim_start().strip_prefix(':'))
    };
    find('\'').or_else(|| find('"')).map(str::trim_start)
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

/// The sizes in a tuple: `(100, 5)`, and as other programs write it, `[100,5]` or `(np.int64(100), 5L)`.
fn sizes(text: &str) -> Option<Vec<usize>> {
    let open = text.chars().next().filter(|open| matches!(open, '(' | '['))?;
    let mut depth = 0_usize;
    let end = text.char_indices().find_map(|(at, letter)| {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })?;
    let size = |text: &str| {
        let inside = text.split_once('(').map_or(Some(text), |(name, inside)| {
            let known = name.starts_with("np.") || name.starts_with("numpy.");
            inside.strip_suffix(')').filter(|_| known)
        })?;
        inside.trim().trim_end_matches('L').parse().ok()
    };
    text[open.len_utf8()..end].split(',').map(str::trim).filter(|size| !size.is_empty()).map(size).collect()
}

/// What a file that is no `.npy` starts with, and what it may be.
fn start_of(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(16)];
    match bytes {
        [] => "an empty file".to_owned(),
        [b'P', b'K', 3 | 5, ..] => "a ZIP archive; Dataset::from_npz reads .npz files".to_owned(),
        _ if start.iter().all(|&byte| byte == b'\n' || byte == b'\t' || (b' '..=b'~').contains(&byte)) => {
            format!("text: {:?}", String::from_utf8_lossy(start))
        }
        _ => format!("the bytes {:02x?}", &start[..start.len().min(6)]),
    }
}

fn invalid(path: &Path, expected: impl ToString, found: impl ToString) -> Error {
    Error::invalid_file(path, expected, found)
}

#[cfg(test)]
#[cfg(feature = "native")]
mod tests;
