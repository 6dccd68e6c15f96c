//! Good files in every form, and each kind of bad one with the message it gets.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn sample() -> IdxArray {
    IdxArray { dims: vec![2, 3, 4], values: (0..24).collect() }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn parse(bytes: &[u8]) -> Result<IdxArray> {
    parse_idx(bytes, Path::new("some.gz"), 1 << 30)
}

#[track_caller]
fn refuses(bytes: &[u8], message: &str) {
    assert_eq!(parse(bytes).unwrap_err().to_string(), message);
}

#[test]
fn plain_and_gzipped_files_give_the_same_array() {
    let bytes = sample().to_bytes();
    assert_eq!(bytes.len(), 16 + 24);
    assert_eq!(parse(&bytes).unwrap(), sample());
    assert_eq!(parse(&gzip(&bytes)).unwrap(), sample());
}

#[test]
fn concatenated_gzip_members_are_one_stream() {
    let bytes = sample().to_bytes();
    assert_eq!(parse(&[gzip(&bytes[..9]), gzip(&[]), gzip(&bytes[9..])].concat()).unwrap(), sample());
}

#[test]
fn every_rank_up_to_eight_and_empty_dimensions_are_read() {
    for rank in 1..=8 {
        let array = IdxArray { dims: vec![1; rank], values: vec![7] };
        assert_eq!(parse(&array.to_bytes()).unwrap(), array);
    }
    let empty = IdxArray { dims: vec![0, 28, 28], values: vec![] };
    assert_eq!(parse(&gzip(&empty.to_bytes())).unwrap(), empty);
}

#[test]
fn foreign_files_are_refused() {
    refuses(b"", "some.gz: expected an IDX header, found the end of the file");
    refuses(b"GIF89a", "some.gz: expected an IDX header, which starts with two zero bytes, found bytes 47 49");
    refuses(
        &[0, 0, 13, 1, 0, 0, 0, 0],
        "some.gz: expected elements of type 0x08, unsigned bytes, found type 0x0d, floats",
    );
    refuses(&[0, 0, 8, 0], "some.gz: expected 1 to 8 dimensions, found 0");
    refuses(&[0, 0, 8, 9], "some.gz: expected 1 to 8 dimensions, found 9");
}

#[test]
fn a_header_that_lies_is_refused() {
    let mut bytes = sample().to_bytes();
    bytes[7] = 3;
    refuses(&bytes, "some.gz: expected 36 elements, as its header's [3, 3, 4] says, found 24");
    bytes[7] = 1;
    refuses(&bytes, "some.gz: expected 12 elements, as its header's [1, 3, 4] says, found more");
}

#[test]
fn labels_may_be_of_every_integer_type() {
    let labels = |kind: u8, elements: &[&[u8]]| {
        let bytes = [&[0, 0, kind, 1, 0, 0, 0, elements.len() as u8][..], &elements.concat()].concat();
        parse_labels(&bytes[..], Path::new("labels")).map(|labels| labels.values)
    };
    assert_eq!(labels(0x08, &[&[0], &[255]]).unwrap(), [0, 255]);
    assert_eq!(labels(0x09, &[&[1], &[255]]).unwrap(), [1, -1]);
    assert_eq!(labels(0x0b, &[&[1, 2], &[255, 254]]).unwrap(), [258, -2]);
    assert_eq!(labels(0x0c, &[&[0, 1, 0, 2], &[255, 255, 255, 253]]).unwrap(), [65_538, -3]);
    let floats = labels(0x0d, &[&[0; 4]]).unwrap_err().to_string();
    assert_eq!(floats, "labels: expected elements of an integer type, found type 0x0d, floats");
    let short = [0, 0, 0x0c, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0];
    let message = parse_labels(&short[..], Path::new("labels")).unwrap_err().to_string();
    assert_eq!(message, "labels: expected 2 elements, as its header's [2] says, found 1");
}

#[test]
fn sizes_in_the_order_of_a_machine_are_told() {
    let hint = "; its sizes are little-endian, and IDX has them big-endian";
    let images = [&[0, 0, 8, 3, 20, 0, 0, 0, 28, 0, 0, 0, 28, 0, 0, 0][..], &[0; 20 * 784]].concat();
    let sizes = "[335544320, 469762048, 469762048]";
    refuses(&images, &format!("some.gz: expected a size that fits in memory, found dimensions {sizes}{hint}"));
    let labels = [&[0, 0, 8, 1, 20, 0, 0, 0][..], &[0; 20]].concat();
    let expected = "some.gz: expected 335544320 elements, as its header's [335544320] says, found 20";
    refuses(&labels, &format!("{expected}{hint}"));
    refuses(&labels[..27], "some.gz: expected 335544320 elements, as its header's [335544320] says, found 19");
    let twice = gzip(&gzip(&sample().to_bytes()));
    refuses(
        &twice,
        "some.gz: expected an IDX header, which starts with two zero bytes, found a gzip stream inside a gzip stream",
    );
}

#[test]
fn sizes_are_refused_before_memory_is_taken() {
    let huge = [vec![0, 0, 8, 3], vec![0xff; 12]].concat();
    let sizes = "[4294967295, 4294967295, 4294967295]";
    refuses(&huge, &format!("some.gz: expected a size that fits in memory, found dimensions {sizes}"));
    let large = [0, 0, 8, 1, 0x40, 0, 0, 1];
    refuses(&large, "some.gz: expected at most 1073741824 elements, found 1073741825, [1073741825]");
    // Within the limit, but nothing arrives: memory is taken for what does.
    let empty = [0, 0, 8, 1, 0x40, 0, 0, 0];
    refuses(&empty, "some.gz: expected 1073741824 elements, as its header's [1073741824] says, found 0");
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let plain = sample().to_bytes();
    for bytes in [gzip(&plain), plain] {
        for length in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..length]), Err(Error::InvalidFile { .. })), "cut at {length}");
        }
    }
    let zipped = gzip(&sample().to_bytes());
    refuses(&zipped[..zipped.len() - 1], "some.gz: expected a whole gzip stream, found its end after 24 elements");
}

#[test]
fn a_flipped_bit_in_a_gzip_stream_is_found() {
    let zipped = gzip(&sample().to_bytes());
    // The header's flags, time and system (bytes 3 to 9) say nothing of the content.
    for at in (0..zipped.len()).filter(|at| !(3..10).contains(at)) {
        let mut bytes = zipped.clone();
        bytes[at] ^= 0x10;
        assert!(matches!(parse(&bytes), Err(Error::InvalidFile { .. })), "byte {at}");
    }
    let mut bytes = zipped.clone();
    bytes[zipped.len() - 8] ^= 1;
    let checksum = "corrupt gzip stream does not have a matching checksum";
    refuses(&bytes, &format!("some.gz: expected an intact gzip stream, found \"{checksum}\" after 24 elements"));
}

#[test]
fn what_follows_the_stream_is_refused() {
    let bytes = [gzip(&sample().to_bytes()), b"junk that is no gzip".to_vec()].concat();
    refuses(&bytes, "some.gz: expected an intact gzip stream, found \"invalid gzip header\" after 24 elements");
}

/// Counts what a parser takes from a stream.
struct Counted<R>(R, usize);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1 += count;
        Ok(count)
    }
}

#[test]
fn a_bomb_is_left_after_the_headers_size() {
    let bomb = gzip(&[&[0, 0, 8, 1, 0, 0, 0, 5][..], &vec![0; 256 << 20]].concat());
    assert!(bomb.len() > 128 << 10, "the bomb must exceed the buffer, or nothing is shown");
    let mut source = Counted(&bomb[..], 0);
    let error = parse_idx(&mut source, Path::new("bomb.gz"), 100).unwrap_err();
    assert_eq!(error.to_string(), "bomb.gz: expected 5 elements, as its header's [5] says, found more");
    assert!(source.1 <= 1 << 16, "{} bytes read", source.1);
}

#[test]
fn a_failing_disk_is_no_bad_file() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let bytes = sample().to_bytes();
    for arrived in [0, 3, 20, 40] {
        let error = parse_idx(bytes[..arrived].chain(Failing), Path::new("some"), 24).unwrap_err();
        assert_eq!(error.to_string(), "cannot read some: the disk is on fire", "after {arrived} bytes");
    }
}
