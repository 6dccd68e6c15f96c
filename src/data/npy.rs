//! `.npy`, NumPy's file format for one array: a magic number, a header that is a Python dictionary of element type,
//! order and shape, then the elements. This module owns the format, as far as samples and targets need it, and reading
//! rows anywhere in a file; what they mean is said by [`open_npy`](crate::StreamedDataset::open_npy).
//!
//! A file's size is held against its header when it is opened, so that a file cut short is found before a training.

use std::path::Path;

use crate::error::{Error, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Magic and version, before the header's length.
const PREAMBLE: usize = 8;

/// NumPy's own limit for headers that are not trusted.
const LONGEST_HEADER: usize = 10_000;

/// The types of elements that can be read. All are little-endian, as they are on the machines that write such files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// `uint8`, NumPy's `|u1`.
    U8,
    /// `int32`, `<i4`.
    I32,
    /// `int64`, `<i8`.
    I64,
    /// `float32`, `<f4`.
    F32,
    /// `float64`, `<f8`; rounded to f32 when it is read.
    F64,
}

const ELEMENTS: [(Element, &str, usize); 5] = [
    (Element::U8, "|u1", 1),
    (Element::I32, "<i4", 4),
    (Element::I64, "<i8", 8),
    (Element::F32, "<f4", 4),
    (Element::F64, "<f8", 8),
];

impl Element {
    fn row(self) -> (Element, &'static str, usize) {
        ELEMENTS.into_iter().find(|(element, ..)| *element == self).unwrap_or(ELEMENTS[0])
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
    /// [`Error::InvalidFile`] where this is not `.npy`, or of elements or an order that cannot be read.
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
        let Some([major, _minor]) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()) else {
            let start = bytes.get(..bytes.len().min(6)).unwrap_or_default();
            return Err(invalid(path, "a .npy file, which starts with \\x93NUMPY", format!("{start:x?}")));
        };
        let rest = &bytes[PREAMBLE..];
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
        Ok((Self::parse_dictionary(&String::from_utf8_lossy(text), path)?, start + length))
    }

    fn parse_dictionary(text: &str, path: &Path) -> Result<Self> {
        let value = |key: &str| {
            let (_, rest) =
                text.split_once(&format!("'{key}':")).or_else(|| text.split_once(&format!("\"{key}\":")))?;
            Some(rest.trim_start())
        };
        let missing = |key: &str| invalid(path, format!("a header with {key}"), format!("{:?}", text.trim_end()));
        let descr = value("descr").ok_or_else(|| missing("descr"))?;
        let known = ELEMENTS.iter().find(|(_, name, _)| {
            let rest = descr.strip_prefix(['\'', '"']).and_then(|descr| descr.strip_prefix(*name));
            rest.is_some_and(|rest| rest.starts_with(['\'', '"']))
        });
        let Some((element, ..)) = known else {
            let names = ELEMENTS.map(|(_, name, _)| name).join(", ");
            let found = descr.split(',').next().unwrap_or(descr);
            return Err(invalid(path, format!("elements of type {names}"), found));
        };
        if !value("fortran_order").ok_or_else(|| missing("fortran_order"))?.starts_with("False") {
            return Err(invalid(path, "row-major elements", "Fortran's order; numpy.ascontiguousarray makes them so"));
        }
        let shape = value("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).map(|(shape, _)| shape);
        let sizes = shape.ok_or_else(|| missing("shape"))?.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape = sizes.map(|size| size.parse().map_err(|_| missing("a shape of whole numbers")));
        Ok(Header { element: *element, shape: shape.collect::<Result<_>>()? })
    }
}

fn invalid(path: &Path, expected: impl ToString, found: impl ToString) -> Error {
    Error::InvalidFile { path: path.to_owned(), expected: expected.to_string(), found: found.to_string() }
}

#[cfg(feature = "native")]
mod file {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom};
    use std::ops::Range;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    use super::{Element, Header, LONGEST_HEADER, PREAMBLE, invalid};
    use crate::data::{Dataset, Inputs, ReadError, StreamedDataset, Targets};
    use crate::error::{Error, Result};

    /// An open file.
    struct NpyFile {
        path: PathBuf,
        file: Mutex<File>,
        header: Header,
        /// Where the elements start.
        start: u64,
        rows: usize,
        /// Elements of a row.
        width: usize,
    }

    impl NpyFile {
        fn open(path: &Path) -> Result<Self> {
            let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
            let mut file = File::open(path).map_err(io)?;
            let mut first = Vec::new();
            file.by_ref().take((PREAMBLE + 4 + LONGEST_HEADER) as u64).read_to_end(&mut first).map_err(io)?;
            let (header, start) = Header::parse(&first, path)?;
            let Some((&rows, others)) = header.shape.split_first() else {
                return Err(invalid(path, "an array of at least one dimension", "a single number"));
            };
            let product = |start: usize, sizes: &[usize]| sizes.iter().try_fold(start, |a, &b| a.checked_mul(b));
            let sizes = product(1, others).zip(product(header.element.size(), &header.shape));
            let Some((width, bytes)) = sizes else {
                return Err(invalid(path, "a size that fits in memory", format!("the shape {:?}", header.shape)));
            };
            let (expected, found) = (start as u64 + bytes as u64, file.metadata().map_err(io)?.len());
            if found != expected {
                let expected = format!("{expected} bytes, as its shape {:?} says", header.shape);
                return Err(invalid(path, expected, found));
            }
            let start = start as u64;
            Ok(NpyFile { path: path.to_owned(), file: Mutex::new(file), header, start, rows, width })
        }

        fn bytes(&self, rows: Range<usize>) -> Result<Vec<u8>> {
            let io = |source| Error::Io { action: "read", path: self.path.clone(), source };
            let row_bytes = self.width * self.header.element.size();
            let mut bytes = vec![0; rows.len() * row_bytes];
            // Whoever panicked with the file in hand has changed nothing but its position.
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.start + (rows.start * row_bytes) as u64)).map_err(io)?;
            file.read_exact(&mut bytes).map_err(io)?;
            Ok(bytes)
        }

        fn inputs(&self, rows: Range<usize>) -> Result<Inputs> {
            Ok(match self.header.element {
                Element::U8 => Inputs::Bytes { values: self.bytes(rows)?.into(), scale: 1.0 / 255.0 },
                _ => Inputs::Floats(self.floats(rows)?.into()),
            })
        }

        fn floats(&self, rows: Range<usize>) -> Result<Vec<f32>> {
            let bytes = self.bytes(rows)?;
            Ok(match self.header.element {
                Element::F64 => numbers(&bytes, |bytes| f64::from_le_bytes(bytes) as f32),
                _ => numbers(&bytes, f32::from_le_bytes),
            })
        }

        /// The class ids of these rows. What is no id of any class becomes `u32::MAX`, or is cut to it, and is refused
        /// with the other ids that are out of range.
        fn ids(&self, rows: Range<usize>) -> Result<Vec<u32>> {
            let bytes = self.bytes(rows)?;
            let id = |id: i64| u32::try_from(id).unwrap_or(u32::MAX);
            Ok(match self.header.element {
                Element::U8 => bytes.into_iter().map(u32::from).collect(),
                Element::I32 => numbers(&bytes, |bytes| id(i32::from_le_bytes(bytes).into())),
                _ => numbers(&bytes, |bytes| id(i64::from_le_bytes(bytes))),
            })
        }

        fn check_element(&self, what: &str, accepted: &[Element]) -> Result<()> {
            if accepted.contains(&self.header.element) {
                return Ok(());
            }
            let names: Vec<_> = accepted.iter().map(|element| element.descr()).collect();
            let expected = format!("{what} of type {}", names.join(", "));
            Err(invalid(&self.path, expected, self.header.element.descr()))
        }
    }

    fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (numbers, _) = bytes.as_chunks::<N>();
        numbers.iter().map(|&bytes| number(bytes)).collect()
    }

    impl StreamedDataset {
        /// Samples and targets in two `.npy` files, as `numpy.save` writes them: row i of one belongs to row i of the
        /// other. Both stay open, and are read in pieces; neither may change meanwhile.
        ///
        /// `inputs` is of any shape \[samples, …\], each sample's numbers making one row: `uint8`, which a model sees
        /// as 0 … 1 (`byte / 255`), or `float32` or `float64`, used as they are. With `classes`, `targets` is
        /// \[samples\] or \[samples, 1\] of class ids below that number, `uint8`, `int32` or `int64`; without, rows of
        /// numbers, `float32` or `float64` of any shape \[samples, …\].
        ///
        /// ```
        /// use wgrad::data::StreamedDataset;
        /// use wgrad::data::npy::{Element, Header};
        ///
        /// // What `numpy.save("x.npy", …)` and `numpy.save("y.npy", …)` would have written.
        /// let directory = tempfile::tempdir().unwrap();
        /// let write = |name: &str, header: Header, elements: &[u8]| {
        ///     let path = directory.path().join(name);
        ///     std::fs::write(&path, [&header.to_bytes(), elements].concat()).unwrap();
        ///     path
        /// };
        /// let x = write("x.npy", Header { element: Element::U8, shape: vec![3, 2, 2] }, &[7; 12]);
        /// let y = write("y.npy", Header { element: Element::U8, shape: vec![3] }, &[0, 2, 1]);
        ///
        /// let data = StreamedDataset::open_npy(x, y, Some(3))?;
        /// assert_eq!((data.len(), data.features(), data.target_width()), (3, 4, 3));
        /// # Ok::<(), wgrad::Error>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Error::Io`] where a file cannot be opened; [`Error::InvalidFile`] where one is not `.npy`, is shorter or
        /// longer than its header says, or holds what cannot be samples or targets; [`Error::Shape`] where the two have
        /// different numbers of rows; and as [`StreamedDataset::from_fn`].
        pub fn open_npy(
            inputs: impl AsRef<Path>,
            targets: impl AsRef<Path>,
            classes: Option<usize>,
        ) -> Result<StreamedDataset> {
            let (inputs, targets) = (NpyFile::open(inputs.as_ref())?, NpyFile::open(targets.as_ref())?);
            inputs.check_element("samples", &[Element::U8, Element::F32, Element::F64])?;
            match classes {
                Some(_) => targets.check_element("class ids", &[Element::U8, Element::I32, Element::I64])?,
                None => targets.check_element("rows of targets", &[Element::F32, Element::F64])?,
            }
            if classes.is_some() && targets.width != 1 {
                let found = format!("the shape {:?}", targets.header.shape);
                return Err(invalid(&targets.path, "one class id a sample", found));
            }
            if inputs.rows != targets.rows {
                let expected = format!("{} rows, as {} has", inputs.rows, inputs.path.display());
                return Err(Error::shape(targets.path.display().to_string(), expected, targets.rows));
            }
            let samples = inputs.rows;
            let read = move |rows: Range<usize>| -> Result<Dataset, ReadError> {
                let of_rows = match classes {
                    Some(classes) => Targets::Classes { ids: targets.ids(rows.clone())?.into(), classes },
                    None => Targets::Rows { values: targets.floats(rows.clone())?.into(), width: targets.width },
                };
                Ok(Dataset::new(inputs.inputs(rows)?, inputs.width, of_rows)?)
            };
            StreamedDataset::from_fn(samples, read)
        }
    }
}

#[cfg(test)]
#[cfg(feature = "native")]
mod tests;
