//! The same functions with inputs made from good ones by a seeded mutator: some with each run of the tests, ten million
//! when asked for (`cargo test --release --lib -- --ignored ten_million`). No coverage guides it, as it does in `fuzz/`;
//! it needs neither a nightly compiler nor cargo-fuzz.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::random::Random;

/// Numbers that lie where something ends.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Words that headers are made of, and numbers as text.
const WORDS: [&str; 14] = [
    "True",
    "'shape'",
    "\"wgrad\"",
    "(",
    ")",
    "18446744073709551615",
    "-1",
    "4294967295",
    "1e400",
    "NaN",
    "null",
    "[]",
    "\\",
    ",",
];

/// The inputs of a parser's corpus in `fuzz/corpus`.
fn corpus(parser: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(parser);
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 3, "{} has {} inputs", directory.display(), paths.len());
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A good input with a few things changed.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    // Most changes are few: with many, no input gets past the first check.
    for _ in 0..1 + random.below(4) {
        change(&mut bytes, corpus, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at).min(40) + 1);
    match random.below(9) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.bits() as u8;
            }
        }
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
        5 => {
            let word = WORDS[random.below(WORDS.len())].as_bytes();
            bytes.splice(at..end.min(at + word.len()), word.iter().copied()).for_each(drop);
        }
        6 => {
            let (edge, size) = (EDGES[random.below(EDGES.len())], 1 << random.below(4));
            let number = if random.below(2) == 0 { edge.to_le_bytes() } else { edge.swap_bytes().to_le_bytes() };
            let number = if random.below(2) == 0 { &number[..size] } else { &number[8 - size..] };
            bytes.iter_mut().skip(at).zip(number).for_each(|(byte, &new)| *byte = new);
        }
        7 => {
            // A digit of a number in text.
            if let Some(byte) = bytes.iter_mut().skip(at).find(|byte| byte.is_ascii_digit()) {
                *byte = b'0' + random.below(10) as u8;
            }
        }
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let start = random.below(other.len() + 1);
            bytes.splice(at.., other[start..].iter().copied()).for_each(drop);
        }
    }
}

/// Drives a parser with as many inputs; the number of one that panics is told, and its bytes.
fn drive(parser: &str, inputs: usize, read: impl Fn(&[u8])) {
    let corpus = corpus(parser);
    for good in &corpus {
        read(good);
    }
    for number in 0..inputs {
        let bytes = mutated(&corpus, &mut Random::new(16, number as u64));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| read(&bytes))) {
            eprintln!("input {number} of {parser}: {:?}", String::from_utf8_lossy(&bytes));
            eprintln!("as bytes: {bytes:02x?}");
            std::panic::resume_unwind(panic);
        }
    }
    println!("{inputs} inputs of {parser}");
}

/// A parser's corpus, its share of all inputs in hundredths, and what reads them.
type Parser<'p> = (&'p str, usize, &'p dyn Fn(&[u8]));

/// All parsers, with shares of `inputs` by how long one takes.
fn drive_all(inputs: usize) -> usize {
    let device = Device::cpu_with_threads(1);
    let parsers: [Parser<'_>; 6] = [
        ("idx", 30, &idx),
        ("npy", 35, &npy),
        ("npz", 10, &npz),
        ("checkpoint", 10, &|bytes| checkpoint(bytes, &device)),
        ("caches", 10, &caches),
        ("texts", 5, &texts),
    ];
    parsers
        .into_iter()
        .map(|(parser, share, read)| {
            drive(parser, inputs * share / 100, read);
            inputs * share / 100
        })
        .sum()
}

#[test]
fn some_inputs_are_read_or_refused() {
    assert_eq!(drive_all(10_000), 10_000);
}

#[test]
#[ignore = "takes minutes: ten million inputs"]
fn ten_million_inputs_are_read_or_refused() {
    assert_eq!(drive_all(10_000_000), 10_000_000);
}

/// What the corpus is for: each of its parsers accepts some of it, or nothing is shown behind the first check.
#[test]
fn every_corpus_has_inputs_that_are_accepted() {
    let accepted = |parser: &str, accepts: &dyn Fn(&[u8]) -> bool| {
        assert!(corpus(parser).iter().filter(|bytes| accepts(bytes)).count() >= 2, "{parser}");
    };
    let device = Device::cpu_with_threads(1);
    accepted("idx", &|bytes| parse_idx(bytes, path(), MOST).is_ok());
    accepted("npy", &|bytes| NpyArray::read(bytes, path()).is_ok());
    accepted("npz", &|bytes| npz::read_bytes(bytes, path(), ["x", "y"]).is_ok());
    accepted("checkpoint", &|bytes| Model::from_bytes(bytes, path(), &device).is_ok());
    accepted("caches", &|bytes| crate::cache::whole(bytes.to_vec(), "tilings", 1 << 20).is_some());
    accepted("texts", &|bytes| History::from_json(&String::from_utf8_lossy(bytes)).is_ok());
}

/// A reader that gives a few bytes at a time, and fails at its n-th call.
struct FailsAt<'b> {
    bytes: &'b [u8],
    left: usize,
}

impl std::io::Read for FailsAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "on purpose"));
        }
        self.left -= 1;
        let few = buffer.len().min(7);
        self.bytes.read(&mut buffer[..few])
    }
}

#[test]
fn whatever_read_fails_the_error_is_the_disks() {
    let mut failures = 0;
    for (parser, good) in
        [("idx", "images"), ("idx", "images.gz"), ("idx", "labels-int"), ("npy", "xf4"), ("npy", "deep")]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(parser).join(good);
        let bytes = fs::read(path).unwrap();
        for n in 0.. {
            let reader = FailsAt { bytes: &bytes, left: n };
            let outcome = match (parser, good) {
                ("npy", _) => NpyArray::read(reader, self::path()).map(drop),
                (_, "labels-int") => parse_labels(reader, self::path()).map(drop),
                _ => parse_idx(reader, self::path(), MOST).map(drop),
            };
            let Err(error) = outcome else { break };
            assert_eq!(error.to_string(), "cannot read input: on purpose", "{good} at read {n}");
            failures += 1;
        }
    }
    assert!(failures > 20, "{failures}");
}
