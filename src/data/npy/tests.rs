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
        (
            b"PK\x03\x04".to_vec(),
            "x.npy: expected a .npy file, which starts with \\x93NUMPY, found a ZIP archive; \
             Dataset::from_npz reads .npz files",
        ),
        (Vec::new(), "x.npy: expected a .npy file, which starts with \\x93NUMPY, found an empty file"),
        (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), "x.npy: expected version 1 to 3 of .npy, found version 9"),
        (b"\x93NUMPY\x01\x00\x05".to_vec(), "x.npy: expected the length of the .npy header, found the end of the file"),
        (b"\x93NUMPY\x01\x00\x05\x00{}".to_vec(), "x.npy: expected a header of 5 bytes, found the end of the file"),
        (
            b"\x93NUMPY\x03\x00\xff\xff\xff\xff".to_vec(),
            "x.npy: expected a header of at most 10000 bytes, found 4294967295",
        ),
        (
            dictionary("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}"),
            "x.npy: expected little-endian elements, found big-endian ones",
        ),
        (
            dictionary("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
            "x.npy: expected elements of one of the types b1, u1, u2, u4, u8, i1, i2, i4, i8, f2, f4, f8, found a \
             structure",
        ),
        (
            dictionary("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}"),
            "x.npy: expected elements of one of the types b1, u1, u2, u4, u8, i1, i2, i4, i8, f2, f4, f8, found '<c8'",
        ),
        (
            dictionary("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}"),
            "x.npy: expected fortran_order to be True or False, found \"{'descr': '<f4', 'fortran_order': 0, 'shape': \
             (1,)}\"",
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
    let wide = files.write("wide.npy", &header(Element::U8, &[2, 2]), &[0; 4]);
    refused(&good, &wide, Some(3), "wide.npy: expected one class id a sample, found the shape [2, 2]");
    let hint = "one-hot rows are opened without a number of classes";
    let message = format!("wide.npy: expected one class id a sample, found the shape [2, 2]; {hint}");
    refused(&good, &wide, Some(2), &message);
    for shape in [[0, 5], [5, 0]] {
        let empty = files.write("empty.npy", &header(Element::F32, &shape), &[]);
        let message = "expected at least one row of at least one number, found the shape";
        refused(&empty, &good, Some(2), &format!("empty.npy: {message} {shape:?}"));
    }
    refused(&files.0.path().join(""), &good, Some(2), ": expected a .npy file, found a directory");
    std::fs::write(files.0.path().join("text.npy"), "1,2,3\n").unwrap();
    let text = "text.npy: expected a .npy file, which starts with \\x93NUMPY, found text: \"1,2,3\\n\"";
    refused(&files.0.path().join("text.npy"), &good, Some(2), text);
    let missing = files.0.path().join("missing.npy");
    let error = StreamedDataset::open_npy(&missing, &good, Some(2)).unwrap_err();
    assert!(matches!(error, Error::Io { action: "read", path, .. } if path == missing));
}

#[test]
fn wrong_labels_are_named_as_they_are_when_the_files_are_opened() {
    let files = Files::new();
    const ROWS: usize = 300_000;
    let inputs = files.write("x.npy", &header(Element::U8, &[ROWS]), &[0; ROWS]);
    let start = "y.npy: expected class ids, whole numbers from 0 to 1, found";
    let refused = |element, bytes: Vec<u8>, found: &str| {
        let targets = files.write("y.npy", &header(element, &[ROWS]), &bytes);
        let error = StreamedDataset::open_npy(&inputs, targets, Some(2)).unwrap_err().to_string();
        assert_eq!(error.replace(&format!("{}/", files.0.path().display()), ""), format!("{start} {found}"));
    };
    // In the second of several pieces.
    let with = |value: i64| -> Vec<u8> {
        let label = |row| if row == 290_000 { value } else { 1 };
        (0..ROWS).flat_map(|row| if row == 0 { 0_i64.to_le_bytes() } else { label(row).to_le_bytes() }).collect()
    };
    refused(Element::I64, with(-1), "-1 in row 290000");
    refused(Element::I64, with(2), "2 in row 290000");
    refused(Element::I64, with(i64::MIN), "-9223372036854775808 in row 290000");
    refused(Element::U64, with(-1), "18446744073709551615 in row 290000");
    let floats = |value: f32| (0..ROWS).flat_map(|row| (if row == 7 { value } else { 0.0 }).to_le_bytes()).collect();
    refused(Element::F32, floats(0.5), "0.5 in row 7");
    refused(Element::F32, floats(f32::NAN), "NaN in row 7");
    refused(Element::F32, floats(f32::NEG_INFINITY), "-inf in row 7");
    let from_one = (0..ROWS).map(|row| 1 + (row % 2) as u8).collect();
    let hint = "labels from 1 to 2 need 1 taken off, since classes count from 0";
    refused(Element::U8, from_one, &format!("2 in row 1; {hint}"));
    // Rows of targets too, as long as there are not many.
    let rows = files.write("rows.npy", &header(Element::F64, &[ROWS]), &[0x7f; 8 * ROWS]);
    let message = StreamedDataset::open_npy(&inputs, rows, None).unwrap_err().to_string();
    assert!(
        message.ends_with(
            "rows.npy: expected finite numbers within the range of f32, found 1.3824172084878715e306 \
                               in row 0"
        ),
        "{message}"
    );
}

#[test]
fn bad_rows_are_named_when_they_are_read() {
    let files = Files::new();
    let ids = files.write("ids.npy", &header(Element::I32, &[3]), &[0_i32, 1, 1].map(i32::to_le_bytes).concat());
    let refused = |inputs: &PathBuf, found: &str| {
        let classes = StreamedDataset::open_npy(inputs, &ids, Some(2)).unwrap();
        assert_eq!(classes.read(0..2).unwrap().len(), 2);
        let expected = format!(
            "cannot read samples 1..3 of the streamed data set: {}: expected finite numbers within the range of f32, \
             found {found}",
            inputs.display()
        );
        assert_eq!(classes.read(1..3).unwrap_err().to_string(), expected);
    };
    let floats = [0.0, 1.0, f32::NAN].map(f32::to_le_bytes).concat();
    refused(&files.write("x4.npy", &header(Element::F32, &[3]), &floats), "NaN in row 2");
    let doubles = [0.0, 1.0, 0.0, 1.0, 1.0, 1e300].map(f64::to_le_bytes).concat();
    refused(&files.write("x8.npy", &header(Element::F64, &[3, 2]), &doubles), "1e300 in row 2, column 1");
    // Cut short after it was opened.
    let bytes = files.write("bytes.npy", &header(Element::U8, &[3]), &[0; 3]);
    let classes = StreamedDataset::open_npy(&bytes, &ids, Some(2)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&bytes).unwrap().set_len(129).unwrap();
    let message = classes.read(0..2).unwrap_err().to_string();
    let start = format!("cannot read samples 0..2 of the streamed data set: cannot read {}: ", bytes.display());
    assert!(message.starts_with(&start), "{message}");
}

/// Two rows of three numbers in every type, as bytes; all types hold them.
fn sample(element: Element) -> Vec<Vec<u8>> {
    let numbers = [0_u8, 1, 2, 3, 100, 1];
    let bytes = |number: u8| match element {
        Element::Bool => vec![u8::from(number != 0)],
        Element::U8 | Element::I8 => vec![number],
        Element::U16 | Element::I16 => u16::from(number).to_le_bytes().to_vec(),
        Element::U32 | Element::I32 => u32::from(number).to_le_bytes().to_vec(),
        Element::U64 | Element::I64 => u64::from(number).to_le_bytes().to_vec(),
        Element::F16 => half::f16::from_f32(number.into()).to_le_bytes().to_vec(),
        Element::F32 => f32::from(number).to_le_bytes().to_vec(),
        Element::F64 => f64::from(number).to_le_bytes().to_vec(),
    };
    numbers.map(bytes).to_vec()
}

#[test]
fn every_type_order_and_version_gives_the_same_numbers() {
    let files = Files::new();
    let ids = files.write("ids.npy", &header(Element::U8, &[2]), &[0, 1]);
    for (element, descr, _) in ELEMENTS {
        for (big_endian, fortran, version) in (0..12).map(|i| (i % 2 == 1, i / 2 % 2 == 1, 1 + i / 4)) {
            let mut elements = sample(element);
            if big_endian {
                elements.iter_mut().for_each(|bytes| bytes.reverse());
            }
            if fortran {
                // Element (i, j) of two rows and three columns stands at i + 2·j.
                elements = (0..6).map(|at| elements[at % 2 * 3 + at / 2].clone()).collect();
            }
            let order = if big_endian { ">" } else { "<" };
            let python = if fortran { "True" } else { "False" };
            let text = format!("{{'descr': '{order}{}', 'fortran_order': {python}, 'shape': (2, 3)}}", &descr[1..]);
            let length = if version == 1 {
                (text.len() as u16).to_le_bytes().to_vec()
            } else {
                (text.len() as u32).to_le_bytes().to_vec()
            };
            let head = [MAGIC, &[version, 0][..], &length, text.as_bytes()].concat();
            let path = files.0.path().join("x.npy");
            std::fs::write(&path, [head, elements.concat()].concat()).unwrap();
            let data = StreamedDataset::open_npy(&path, &ids, Some(2)).unwrap().read(1..2).unwrap();
            let expected = if element == Element::Bool { [1.0, 1.0, 1.0] } else { [3.0, 100.0, 1.0] };
            let what = format!("{element:?} {order} {python} {version}");
            match data.inputs() {
                InputRows::Floats(found) => assert_eq!(found, expected, "{what}"),
                InputRows::Bytes { values, scale } => {
                    assert_eq!(values, expected.map(|number| number as u8), "{what}");
                    assert_eq!(scale, if element == Element::Bool { 1.0 } else { 1.0 / 255.0 }, "{what}");
                }
            }
        }
    }
}

#[test]
fn columns_of_several_dimensions_find_their_places() {
    let files = Files::new();
    let ids = files.write("ids.npy", &header(Element::U8, &[5]), &[0; 5]);
    // Of shape [5, 2, 3, 4]: element (n, i, j, k) is the number nijk, and stands at n + 5·(i + 2·(j + 3·k)).
    let mut elements = vec![0_u8; 240];
    let mut expected = Vec::new();
    for (n, i, j, k) in (0..120).map(|at| (at / 24, at / 12 % 2, at / 4 % 3, at % 4)) {
        let number = (1000 * n + 100 * i + 10 * j + k) as u16;
        let at = n + 5 * (i + 2 * (j + 3 * k));
        elements[2 * at..2 * at + 2].copy_from_slice(&number.to_le_bytes());
        expected.push(f32::from(number));
    }
    let text = "{'descr': '<u2', 'fortran_order': True, 'shape': (5, 2, 3, 4), }";
    let head = [MAGIC, &[1, 0][..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
    let path = files.0.path().join("x.npy");
    std::fs::write(&path, [head, elements].concat()).unwrap();
    let data = StreamedDataset::open_npy(&path, &ids, Some(1)).unwrap();
    for rows in [0..5, 1..3, 4..5] {
        let found = data.read(rows.clone()).unwrap();
        assert!(
            matches!(found.inputs(), InputRows::Floats(found) if *found == expected[24 * rows.start..24 * rows.end])
        );
    }
}

#[test]
fn headers_of_other_programs_are_read() {
    let parse = |text: &str| {
        let bytes = [MAGIC, &[1, 0][..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
        Described::parse(&bytes, "x.npy".as_ref()).unwrap()
    };
    for text in [
        "{'descr':'<f4','fortran_order':False,'shape':(100,5)}",
        "{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 100 , 5 ) }",
        "{\"descr\": \"<f4\", \"fortran_order\": false, \"shape\": [100, 5]}",
        "{'descr': '=f4', 'fortran_order': False, 'shape': (np.int64(100), numpy.int32(5)), }",
        "{'shape': (100L, 5L), 'fortran_order': False, 'descr': 'f4'}",
    ] {
        let found = parse(text);
        assert_eq!(
            (found.header, found.fortran_order, found.big_endian),
            (header(Element::F32, &[100, 5]), false, false)
        );
    }
    let one = parse("{'descr': '>u1', 'fortran_order': true, 'shape': (3,), }");
    assert_eq!((one.header, one.fortran_order, one.big_endian), (header(Element::U8, &[3]), true, false));
    for wrong in ["(os.system(1), 5)", "(1, (2)", "(1.5,)", "(-1,)", "(99999999999999999999,)", "5", "("] {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {wrong}, }}");
        let bytes = [MAGIC, &[1, 0][..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat();
        let message = Header::parse(&bytes, "x.npy".as_ref()).unwrap_err().to_string();
        assert!(message.starts_with("x.npy: expected a header with a shape of whole numbers, found "), "{message}");
    }
}

#[test]
fn archives_give_the_arrays_that_are_named() {
    use std::io::Write;

    let directory = tempfile::tempdir().unwrap();
    let x =
        [&header(Element::F64, &[3, 2]).to_bytes(), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(f64::to_le_bytes).concat()[..]];
    let y = [&header(Element::I64, &[3]).to_bytes(), &[2_i64, 0, 1].map(i64::to_le_bytes).concat()[..]];
    let archive = |method| {
        let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
        for (name, content) in [("x_train.npy", x.concat()), ("y_train.npy", y.concat())] {
            let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
            if method == rawzip::CompressionMethod::DEFLATE {
                let mut writer =
                    config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best()));
                writer.write_all(&content).unwrap();
                let (encoder, descriptor) = writer.finish().unwrap();
                encoder.finish().unwrap();
                entry.finish(descriptor).unwrap();
            } else {
                let mut writer = config.wrap(&mut entry);
                writer.write_all(&content).unwrap();
                let (_, descriptor) = writer.finish().unwrap();
                entry.finish(descriptor).unwrap();
            }
        }
        archive.finish().unwrap()
    };
    let path = directory.path().join("xy.npz");
    let load = |inputs: &str, targets: &str| crate::Dataset::from_npz(&path, inputs, targets, Some(3));
    let message =
        |inputs: &str| load(inputs, "y_train").unwrap_err().to_string().replace(&path.display().to_string(), "xy.npz");
    for method in [rawzip::CompressionMethod::STORE, rawzip::CompressionMethod::DEFLATE] {
        let bytes = archive(method);
        std::fs::write(&path, &bytes).unwrap();
        let data = load("x_train", "y_train.npy").unwrap();
        assert!(matches!(data.inputs(), InputRows::Floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
        assert!(matches!(data.targets(), TargetRows::Classes { ids: [2, 0, 1], classes: 3 }));
        assert_eq!(message("x"), "xy.npz: expected an array named x, found x_train, y_train");
        // Whatever bit is wrong or missing, there is an error or the right numbers.
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            if let Ok(found) = load("x_train", "y_train") {
                assert!(matches!(found.inputs(), InputRows::Floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), "byte {at}");
            }
        }
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(load("x_train", "y_train").is_err(), "cut at {length}");
        }
    }
    std::fs::write(&path, "no archive").unwrap();
    assert!(
        message("x_train").starts_with("xy.npz: expected a .npz file, which is a ZIP archive, found "),
        "{}",
        message("x")
    );
}
