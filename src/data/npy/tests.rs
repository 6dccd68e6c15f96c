use std::path::PathBuf;

use super::*;
use crate::data::{InputRows, StreamedDataset, TargetRows};

fn header(element: Element, shape: &[usize]) -> Header {
    Header { element, shape: shape.to_vec() }
}

/// As NumPy 2.4 writes `numpy.save("x.npy", numpy.array([[1, 2, 3]], "float32"))`.
const WRITTEN_BY_NUMPY: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }\
    \x20                                                         \n\
    \x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40";

#[test]
fn headers_are_those_of_numpy() {
    let of_numpy = header(Element::F32, &[1, 3]);
    assert_eq!(of_numpy.to_bytes(), WRITTEN_BY_NUMPY[..128]);
    assert_eq!(Header::parse(WRITTEN_BY_NUMPY, "x".as_ref()).unwrap(), (of_numpy, 128));
    for shape in [&[][..], &[7], &[2, 3], &[60_000, 28, 28], &[usize::MAX; 8]] {
        for (element, ..) in ELEMENTS {
            let bytes = header(element, shape).to_bytes();
            assert!(bytes.len().is_multiple_of(64) && bytes.ends_with(b"\n"));
            assert_eq!(Header::parse(&bytes, "x".as_ref()).unwrap(), (header(element, shape), bytes.len()));
        }
    }
}

#[test]
fn versions_with_longer_headers_are_read() {
    let text = b"{\"shape\": (4,), \"fortran_order\": False, \"descr\": \"|u1\"}\n";
    let bytes = [&b"\x93NUMPY\x02\x00"[..], &(text.len() as u32).to_le_bytes(), text].concat();
    let (found, start) = Header::parse(&bytes, "x".as_ref()).unwrap();
    assert_eq!((found, start), (header(Element::U8, &[4]), bytes.len()));
}

#[test]
fn foreign_headers_are_refused() {
    let dictionary = |text: &str| {
        let length = (text.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes()].concat()
    };
    for (bytes, message) in [
        (b"PK\x03\x04".to_vec(), "x.npy: expected a .npy file, which starts with \\x93NUMPY, found [50, 4b, 3, 4]"),
        (Vec::new(), "x.npy: expected a .npy file, which starts with \\x93NUMPY, found []"),
        (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), "x.npy: expected version 1 to 3 of .npy, found version 9"),
        (b"\x93NUMPY\x01\x00\x05".to_vec(), "x.npy: expected the length of the .npy header, found the end of the file"),
        (b"\x93NUMPY\x01\x00\x05\x00{}".to_vec(), "x.npy: expected a header of 5 bytes, found the end of the file"),
        (
            b"\x93NUMPY\x03\x00\xff\xff\xff\xff".to_vec(),
            "x.npy: expected a header of at most 10000 bytes, found 4294967295",
        ),
        (
            dictionary("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}"),
            "x.npy: expected elements of type |u1, <i4, <i8, <f4, <f8, found '>f4'",
        ),
        (
            dictionary("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
            "x.npy: expected elements of type |u1, <i4, <i8, <f4, <f8, found [('a'",
        ),
        (
            dictionary("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}"),
            "x.npy: expected row-major elements, found Fortran's order; numpy.ascontiguousarray makes them so",
        ),
        (
            dictionary("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
            "x.npy: expected a header with a shape of whole numbers, found \"{'descr': '<f4', 'fortran_order': False, \
             'shape': (-1,)}\"",
        ),
        (dictionary("{}"), "x.npy: expected a header with descr, found \"{}\""),
    ] {
        assert_eq!(Header::parse(&bytes, "x.npy".as_ref()).unwrap_err().to_string(), message);
    }
}

/// A directory with files in it.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, header: &Header, elements: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, [&header.to_bytes(), elements].concat()).unwrap();
        path
    }
}

#[test]
fn every_type_of_elements_is_read_anywhere() {
    let files = Files::new();
    let values = [0.5_f32, -1.0, 2.0, 3.0, 1e30, -0.25];
    let f32s = values.map(f32::to_le_bytes).concat();
    let f64s = values.map(|value| f64::from(value).to_le_bytes()).concat();
    let ids = [2_u8, 0, 1];
    let targets = [
        files.write("u1.npy", &header(Element::U8, &[3]), &ids),
        files.write("i4.npy", &header(Element::I32, &[3]), &ids.map(|id| i32::from(id).to_le_bytes()).concat()),
        files.write("i8.npy", &header(Element::I64, &[3, 1]), &ids.map(|id| i64::from(id).to_le_bytes()).concat()),
    ];
    for (element, bytes) in [(Element::F32, &f32s), (Element::F64, &f64s)] {
        let inputs = files.write("x.npy", &header(element, &[3, 1, 2]), bytes);
        for targets in &targets {
            let data = StreamedDataset::open_npy(&inputs, targets, Some(3)).unwrap().read(1..3).unwrap();
            assert!(matches!(data.inputs(), InputRows::Floats(found) if *found == values[2..]));
            assert!(matches!(data.targets(), TargetRows::Classes { ids: [0, 1], classes: 3 }));
        }
        let rows = StreamedDataset::open_npy(&inputs, &inputs, None).unwrap().read(0..2).unwrap();
        assert!(matches!(rows.targets(), TargetRows::Rows { values: found, width: 2 } if *found == values[..4]));
    }
    let bytes = files.write("bytes.npy", &header(Element::U8, &[3, 2]), &[0, 1, 2, 3, 4, 5]);
    let data = StreamedDataset::open_npy(bytes, &targets[0], Some(3)).unwrap().read(2..3).unwrap();
    assert!(matches!(data.inputs(), InputRows::Bytes { values: [4, 5], scale } if scale == 1.0 / 255.0));
}

#[test]
fn files_that_do_not_fit_are_refused_when_they_are_opened() {
    let files = Files::new();
    let good = files.write("good.npy", &header(Element::U8, &[2]), &[0, 1]);
    let floats = files.write("floats.npy", &header(Element::F32, &[2]), &[0; 8]);
    let refused = |inputs: &PathBuf, targets: &PathBuf, classes, message: &str| {
        let error = StreamedDataset::open_npy(inputs, targets, classes).unwrap_err().to_string();
        assert_eq!(error.replace(&format!("{}/", files.0.path().display()), ""), message);
    };
    let short = files.write("short.npy", &header(Element::U8, &[2, 3]), &[0; 5]);
    refused(&short, &good, Some(2), "short.npy: expected 134 bytes, as its shape [2, 3] says, found 133");
    let long = files.write("long.npy", &header(Element::U8, &[1]), &[0; 5]);
    refused(&good, &long, Some(2), "long.npy: expected 129 bytes, as its shape [1] says, found 133");
    let huge = files.write("huge.npy", &header(Element::F64, &[usize::MAX, 2]), &[]);
    let shape = [usize::MAX, 2];
    refused(
        &huge,
        &good,
        Some(2),
        &format!("huge.npy: expected a size that fits in memory, found the shape {shape:?}"),
    );
    let one = files.write("one.npy", &header(Element::U8, &[]), &[0]);
    refused(&one, &good, Some(2), "one.npy: expected an array of at least one dimension, found a single number");
    let three = files.write("three.npy", &header(Element::U8, &[3]), &[0; 3]);
    let counts = format!("three.npy: expected 2 rows, as {} has, found 3", good.display());
    refused(&good, &three, Some(2), &counts.replace(&format!("{}/", files.0.path().display()), ""));
    refused(&good, &floats, Some(2), "floats.npy: expected class ids of type |u1, <i4, <i8, found <f4");
    refused(&good, &good, None, "good.npy: expected rows of targets of type <f4, <f8, found |u1");
    let integers = files.write("integers.npy", &header(Element::I32, &[2]), &[0; 8]);
    refused(&integers, &good, Some(2), "integers.npy: expected samples of type |u1, <f4, <f8, found <i4");
    let wide = files.write("wide.npy", &header(Element::U8, &[2, 2]), &[0; 4]);
    refused(&good, &wide, Some(2), "wide.npy: expected one class id a sample, found the shape [2, 2]");
    let missing = files.0.path().join("missing.npy");
    let error = StreamedDataset::open_npy(&missing, &good, Some(2)).unwrap_err();
    assert!(matches!(error, Error::Io { action: "read", path, .. } if path == missing));
}

#[test]
fn bad_rows_are_named_when_they_are_read() {
    let files = Files::new();
    let negative = [0_i32, 1, -1].map(i32::to_le_bytes).concat();
    let ids = files.write("ids.npy", &header(Element::I32, &[3]), &negative);
    let inputs =
        files.write("x.npy", &header(Element::F32, &[3]), &[0.0, 1.0, f32::NAN].map(f32::to_le_bytes).concat());
    let classes = StreamedDataset::open_npy(&inputs, &ids, Some(2)).unwrap();
    assert_eq!(classes.read(0..2).unwrap().len(), 2);
    assert_eq!(
        classes.read(1..3).unwrap_err().to_string(),
        "cannot read samples 1..3 of the streamed data set: the inputs: expected finite numbers, found NaN in row 1, \
         column 0"
    );
    let bytes = files.write("bytes.npy", &header(Element::U8, &[3]), &[0; 3]);
    let classes = StreamedDataset::open_npy(&bytes, &ids, Some(2)).unwrap();
    assert_eq!(
        classes.read(2..3).unwrap_err().to_string(),
        "cannot read samples 2..3 of the streamed data set: label 4294967295 in row 0 is out of range: expected a class \
         below 2"
    );
    // Cut short after it was opened.
    std::fs::OpenOptions::new().write(true).open(&bytes).unwrap().set_len(129).unwrap();
    let message = classes.read(0..2).unwrap_err().to_string();
    let start = format!("cannot read samples 0..2 of the streamed data set: cannot read {}: ", bytes.display());
    assert!(message.starts_with(&start), "{message}");
}
