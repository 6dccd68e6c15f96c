//! Rows of an array, wherever its elements lie: read, brought into row-major little-endian order, and turned into inputs,
//! targets or class ids. A number that cannot be one of those is named as the file has it, with its row in the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::f16;

use super::{Described, Element, LONGEST_HEADER, PREAMBLE, invalid};
use crate::data::Inputs;
use crate::error::{Error, Result};
use crate::memory::{shared, zeros};

/// Bytes that hold every header that is accepted.
const MOST_OF_HEADER: u64 = (PREAMBLE + 4 + LONGEST_HEADER) as u64;

/// Where the elements are.
enum Source {
    File(Mutex<File>),
    Memory(Vec<u8>),
}

/// An array of at least one dimension and one element.
pub(crate) struct NpyArray {
    pub path: PathBuf,
    source: Source,
    described: Described,
    pub rows: usize,
    /// Elements of a row.
    pub width: usize,
}

impl NpyArray {
    /// Opens a file, which stays open. Its size has been held against its header.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(invalid(
                path,
                "a .npy file",
                if metadata.is_dir() { "a directory" } else { "no regular file" },
            ));
        }
        let mut first = Vec::new();
        file.by_ref().take(MOST_OF_HEADER).read_to_end(&mut first).map_err(io)?;
        let described = Described::parse(&first, path)?;
        let (rows, width, bytes) = extent(&described, path)?;
        let expected = described.start as u128 + bytes as u128;
        if u128::from(metadata.len()) != expected {
            let expected = format!("{expected} bytes, as its shape {:?} says", described.header.shape);
            return Err(invalid(path, expected, metadata.len()));
        }
        Ok(NpyArray { path: path.to_owned(), source: Source::File(Mutex::new(file)), described, rows, width })
    }

    /// Reads a whole array into memory, which is taken as the bytes arrive, never ahead of them.
    pub fn read(mut reader: impl Read, path: &Path) -> Result<Self> {
        let failed = |error: io::Error| failed(path, error);
        let mut first = Vec::new();
        reader.by_ref().take(MOST_OF_HEADER).read_to_end(&mut first).map_err(failed)?;
        let described = Described::parse(&first, path)?;
        let (rows, width, bytes) = extent(&described, path)?;
        let mut elements = first.split_off(described.start);
        let missing = (bytes as u64).saturating_add(1).saturating_sub(elements.len() as u64);
        reader.take(missing).read_to_end(&mut elements).map_err(failed)?;
        if elements.len() != bytes {
            let expected = format!("{bytes} bytes of elements, as its shape {:?} says", described.header.shape);
            let found = if elements.len() > bytes { "more".to_owned() } else { elements.len().to_string() };
            return Err(invalid(path, expected, found));
        }
        Ok(NpyArray { path: path.to_owned(), source: Source::Memory(elements), described, rows, width })
    }

    pub fn element(&self) -> Element {
        self.described.header.element
    }

    pub fn shape(&self) -> &[usize] {
        &self.described.header.shape
    }

    /// Bytes of all elements.
    pub fn size(&self) -> usize {
        self.rows * self.width * self.element().size()
    }

    /// These rows, which lie within the array.
    pub fn rows(&self, rows: Range<usize>) -> Result<Rows<'_>> {
        let size = self.element().size();
        let during = || format!("reading rows {}..{} of {}", rows.start, rows.end, self.path.display());
        let mut bytes = zeros(rows.len() * self.width * size, during)?;
        if self.described.fortran_order && self.width > 1 {
            self.read_columns(&rows, &mut bytes)?;
        } else {
            self.read_at(rows.start * self.width * size, &mut bytes)?;
        }
        if self.described.big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(Rows { path: &self.path, element: self.element(), first: rows.start, width: self.width, bytes })
    }

    /// Fills `bytes` from elements that lie column by column.
    fn read_columns(&self, rows: &Range<usize>, bytes: &mut [u8]) -> Result<()> {
        let size = self.element().size();
        let during = || format!("reading a column of {}", self.path.display());
        let mut column = zeros(rows.len() * size, during)?;
        for number in 0..self.width {
            self.read_at((number * self.rows + rows.start) * size, &mut column)?;
            let place = self.place(number) * size;
            let row_bytes = self.width * size;
            let elements = bytes.chunks_exact_mut(row_bytes).map(|row| &mut row[place..place + size]);
            elements.zip(column.chunks_exact(size)).for_each(|(to, from)| to.copy_from_slice(from));
        }
        Ok(())
    }

    /// Where in a row the `number`-th column stands, counted as Fortran does.
    fn place(&self, mut number: usize) -> usize {
        let (mut place, mut stride) = (0, self.width);
        for &size in &self.shape()[1..] {
            stride /= size;
            place += number % size * stride;
            number /= size;
        }
        place
    }

    /// `at` counts bytes from the first element.
    fn read_at(&self, at: usize, bytes: &mut [u8]) -> Result<()> {
        match &self.source {
            Source::Memory(elements) => bytes.copy_from_slice(&elements[at..at + bytes.len()]),
            Source::File(file) => {
                let io = |source| Error::Io { action: "read", path: self.path.clone(), source };
                // Whoever panicked with the file in hand has changed nothing but its position.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start((self.described.start + at) as u64)).map_err(io)?;
                file.read_exact(bytes).map_err(io)?;
            }
        }
        Ok(())
    }
}

/// What a failed read says of the file: a decoder's complaint is about the content, anything else about the reading.
fn failed(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::OutOfMemory => Error::OutOfMemory { during: format!("reading {}", path.display()) },
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            invalid(path, "an intact array", format!("\"{error}\""))
        }
        io::ErrorKind::Other => invalid(path, "an intact archive", format!("\"{error}\"")),
        _ => Error::Io { action: "read", path: path.to_owned(), source: error },
    }
}

/// Rows, elements of a row, and bytes of all elements.
fn extent(described: &Described, path: &Path) -> Result<(usize, usize, usize)> {
    let shape = &described.header.shape;
    let Some((&rows, others)) = shape.split_first() else {
        return Err(invalid(path, "an array of at least one dimension", "a single number"));
    };
    let product = |start: usize, sizes: &[usize]| sizes.iter().try_fold(start, |a, &b| a.checked_mul(b));
    let sizes = product(1, others).zip(product(described.header.element.size(), shape));
    let Some((width, bytes)) = sizes.filter(|(_, bytes)| bytes.checked_add(described.start).is_some()) else {
        return Err(invalid(path, "a size that fits in memory", format!("the shape {shape:?}")));
    };
    if bytes == 0 {
        return Err(invalid(path, "at least one row of at least one number", format!("the shape {shape:?}")));
    }
    Ok((rows, width, bytes))
}

/// One number as a file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Whole(i128),
    Float(f64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Whole(value) => value.fmt(f),
            // 1e300 is no 301 digits.
            Value::Float(value) if value.is_finite() && value.abs() >= 1e16 => write!(f, "{value:e}"),
            Value::Float(value) => value.fmt(f),
        }
    }
}

/// Some rows of an array, row-major and little-endian.
pub(crate) struct Rows<'a> {
    path: &'a Path,
    element: Element,
    /// The number of the first row in the array.
    first: usize,
    width: usize,
    bytes: Vec<u8>,
}

impl Rows<'_> {
    /// As inputs: bytes stay bytes, which a model sees as 0 … 1; `bool` is 0 and 1.
    pub fn inputs(mut self) -> Result<Inputs> {
        let during = || format!("reading {}", self.path.display());
        let scale = match self.element {
            Element::U8 => 1.0 / 255.0,
            Element::Bool => {
                self.bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
                1.0
            }
            _ => return Ok(Inputs::Floats(shared(self.floats()?, during)?)),
        };
        let values = shared(std::mem::take(&mut self.bytes), during)?;
        Ok(Inputs::Bytes { values, scale })
    }

    /// As finite floats.
    pub fn floats(&self) -> Result<Vec<f32>> {
        let mut floats = zeros(self.bytes.len() / self.element.size(), || format!("reading {}", self.path.display()))?;
        let to = &mut floats;
        match self.element {
            Element::Bool => convert(&self.bytes, to, |[byte]| f32::from(byte != 0)),
            Element::U8 => convert(&self.bytes, to, |[byte]| f32::from(byte)),
            Element::I8 => convert(&self.bytes, to, |bytes| f32::from(i8::from_le_bytes(bytes))),
            Element::U16 => convert(&self.bytes, to, |bytes| f32::from(u16::from_le_bytes(bytes))),
            Element::I16 => convert(&self.bytes, to, |bytes| f32::from(i16::from_le_bytes(bytes))),
            Element::U32 => convert(&self.bytes, to, |bytes| u32::from_le_bytes(bytes) as f32),
            Element::I32 => convert(&self.bytes, to, |bytes| i32::from_le_bytes(bytes) as f32),
            Element::U64 => convert(&self.bytes, to, |bytes| u64::from_le_bytes(bytes) as f32),
            Element::I64 => convert(&self.bytes, to, |bytes| i64::from_le_bytes(bytes) as f32),
            Element::F16 => convert(&self.bytes, to, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Element::F32 => convert(&self.bytes, to, f32::from_le_bytes),
            Element::F64 => convert(&self.bytes, to, |bytes| f64::from_le_bytes(bytes) as f32),
        }
        match floats.iter().position(|value| !value.is_finite()) {
            None => Ok(floats),
            Some(at) => {
                let found = format!("{} in {}", self.value(at), self.place(at));
                Err(invalid(self.path, "finite numbers within the range of f32", found))
            }
        }
    }

    /// As class ids below `classes`. Floats will do where they are whole numbers.
    pub fn ids(&self, classes: usize) -> Result<Vec<u32>> {
        let count = self.bytes.len() / self.element.size();
        let mut ids = zeros(count, || format!("reading {}", self.path.display()))?;
        for (at, id) in ids.iter_mut().enumerate() {
            let value = self.value(at);
            let whole = match value {
                Value::Whole(whole) => Some(whole),
                Value::Float(float) => (float.fract() == 0.0).then_some(float as i128),
            };
            match whole.filter(|whole| (0..classes as i128).contains(whole)) {
                Some(whole) => *id = whole as u32,
                None => {
                    let found = format!("{value} in {}", self.place(at));
                    let most = classes.saturating_sub(1);
                    return Err(invalid(self.path, format!("class ids, whole numbers from 0 to {most}"), found));
                }
            }
        }
        Ok(ids)
    }

    /// The least and the greatest number.
    pub fn extremes(&self) -> (f64, f64) {
        let value = |at| match self.value(at) {
            Value::Whole(whole) => whole as f64,
            Value::Float(float) => float,
        };
        let values = (0..self.bytes.len() / self.element.size()).map(value);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
    }

    fn value(&self, at: usize) -> Value {
        fn of<const N: usize>(rows: &Rows<'_>, at: usize) -> [u8; N] {
            rows.bytes.as_chunks::<N>().0.get(at).copied().unwrap_or([0; N])
        }
        match self.element {
            Element::Bool => Value::Whole(i128::from(of::<1>(self, at)[0] != 0)),
            Element::U8 => Value::Whole(of::<1>(self, at)[0].into()),
            Element::I8 => Value::Whole(i8::from_le_bytes(of(self, at)).into()),
            Element::U16 => Value::Whole(u16::from_le_bytes(of(self, at)).into()),
            Element::I16 => Value::Whole(i16::from_le_bytes(of(self, at)).into()),
            Element::U32 => Value::Whole(u32::from_le_bytes(of(self, at)).into()),
            Element::I32 => Value::Whole(i32::from_le_bytes(of(self, at)).into()),
            Element::U64 => Value::Whole(u64::from_le_bytes(of(self, at)).into()),
            Element::I64 => Value::Whole(i64::from_le_bytes(of(self, at)).into()),
            Element::F16 => Value::Float(f16::from_le_bytes(of(self, at)).to_f64()),
            Element::F32 => Value::Float(f32::from_le_bytes(of(self, at)).into()),
            Element::F64 => Value::Float(f64::from_le_bytes(of(self, at))),
        }
    }

    fn place(&self, at: usize) -> String {
        let row = self.first + at / self.width;
        if self.width == 1 { format!("row {row}") } else { format!("row {row}, column {}", at % self.width) }
    }
}

fn convert<const N: usize>(bytes: &[u8], to: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    let (numbers, _) = bytes.as_chunks::<N>();
    to.iter_mut().zip(numbers).for_each(|(to, &bytes)| *to = number(bytes));
}
