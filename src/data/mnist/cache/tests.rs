//! A set of four tiny files in a cache that is whole, damaged, empty or busy. Their digests are from Python's hashlib.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use super::*;
use crate::data::download::Response;

/// Images of one pixel: 1, 2 and 3 for training, 4 for testing; the labels are 5, 6, 7 and 8.
static TINY: Collection = Collection {
    mirrors: &["first/", "second/"],
    contents: [
        Content { elements: 3, sha256: "493471d2b9a15f3a09f9bb81fcbca4c129aa1821f319067fac12615fbbb48b8b" },
        Content { elements: 3, sha256: "556f559c1bb3573339d8a4b97d8cd29d779f89008fc0e49b5ed62d85dff159b0" },
        Content { elements: 1, sha256: "ff6eab5716a14880f98e1c884e268b7e1f0cef6a9fb3d878083708b52eb0a0d9" },
        Content { elements: 1, sha256: "f51c3230e5e03add15fdc80292b4cef046358f45ce9da4a529aa6fb70690df2e" },
    ],
};

fn content(file: usize) -> IdxArray {
    match file {
        0 => IdxArray { dims: vec![3, 1, 1], values: vec![1, 2, 3] },
        1 => IdxArray { dims: vec![3], values: vec![5, 6, 7] },
        2 => IdxArray { dims: vec![1, 1, 1], values: vec![4] },
        _ => IdxArray { dims: vec![1], values: vec![8] },
    }
}

/// A mirror of the four files; counts the requests.
#[derive(Default)]
struct Mirror {
    dead: bool,
    requests: AtomicUsize,
}

impl Transport for Mirror {
    fn get(&self, url: &str) -> Result<Response, String> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.dead {
            return Err("no such host".to_owned());
        }
        let file = NAMES.iter().position(|name| url == format!("first/{name}.gz")).ok_or("not found")?;
        Ok(Response { body: Box::new(std::io::Cursor::new(content(file).to_bytes())), length: None })
    }
}

fn fetch(directory: &Path, mirror: &Mirror) -> Result<Arrays> {
    load(&TINY, directory, Some((mirror, &mut |_| ())))
}

fn values(arrays: Arrays) -> [Vec<u8>; 4] {
    arrays.0.map(|array| array.values)
}

const ALL: [&[u8]; 4] = [&[1, 2, 3], &[5, 6, 7], &[4], &[8]];

#[test]
fn an_empty_cache_is_filled_once() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("made/when/needed");
    let mirror = Mirror::default();
    assert_eq!(values(fetch(&directory, &mirror).unwrap()), ALL);
    assert_eq!(values(fetch(&directory, &mirror).unwrap()), ALL);
    assert_eq!(mirror.requests.into_inner(), 4);
    assert_eq!(values(load(&TINY, &directory, None).unwrap()), ALL);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 5, "four files and the lock");
}

#[test]
fn a_damaged_file_is_not_trusted_but_fetched_again() {
    let directory = tempfile::tempdir().unwrap();
    fetch(directory.path(), &Mirror::default()).unwrap();
    let damaged = path_of(1, directory.path());
    // Well-formed, of the right size, and wrong in one bit.
    fs::write(&damaged, IdxArray { dims: vec![3], values: vec![5, 6, 6] }.to_bytes()).unwrap();
    let message = load(&TINY, directory.path(), None).err().unwrap().to_string();
    let (path, digest) = (damaged.display(), TINY.contents[1].sha256);
    assert!(message.starts_with(&format!("cannot find MNIST: {path}: expected content of SHA-256 {digest}, found ")));
    assert!(message.ends_with("; downloading was not allowed; MNIST_DIR can name a directory that has its four files"));
    let mirror = Mirror::default();
    assert_eq!(values(fetch(directory.path(), &mirror).unwrap()), ALL);
    assert_eq!(mirror.requests.into_inner(), 1);
}

#[test]
fn when_every_place_fails_one_message_names_them_all() {
    let directory = tempfile::tempdir().unwrap();
    fetch(directory.path(), &Mirror::default()).unwrap();
    fs::remove_file(path_of(3, directory.path())).unwrap();
    let dead = Mirror { dead: true, ..Mirror::default() };
    let message = fetch(directory.path(), &dead).err().unwrap().to_string();
    let expected = format!(
        "cannot find MNIST: {} lacks t10k-labels-idx1-ubyte.gz; first/t10k-labels-idx1-ubyte.gz: no such host; \
         second/t10k-labels-idx1-ubyte.gz: no such host; MNIST_DIR can name a directory that has its four files",
        directory.path().display()
    );
    assert_eq!(message, expected);
}

#[test]
fn whoever_waits_for_the_lock_uses_what_the_other_fetched() {
    let directory = tempfile::tempdir().unwrap();
    let held = download::lock(directory.path(), PATIENCE, &mut |_| ()).unwrap();
    let mirror = Mirror::default();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| fetch(directory.path(), &mirror).map(values));
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiting.is_finished());
        (0..4).for_each(|file| fs::write(path_of(file, directory.path()), content(file).to_bytes()).unwrap());
        drop(held);
        assert_eq!(waiting.join().unwrap().unwrap(), ALL);
    });
    assert_eq!(mirror.requests.into_inner(), 0);
}

#[test]
fn a_file_larger_than_it_may_be_is_refused_unread() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(path_of(2, directory.path()), IdxArray { dims: vec![2, 1, 1], values: vec![4, 4] }.to_bytes()).unwrap();
    let message = TINY.verified(2, directory.path()).unwrap_err().to_string();
    assert!(message.ends_with("expected at most 1 elements, found 2, [2, 1, 1]"), "{message}");
}

#[test]
fn progress_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = Cell::new(0);
    let mut observe = |progress: Progress<'_>| bytes.set(bytes.get() + progress.received);
    load(&TINY, directory.path(), Some((&Mirror::default(), &mut observe))).map(|_| ()).unwrap();
    assert_eq!(bytes.get(), (16 + 3) + (8 + 3) + (16 + 1) + (8 + 1));
}
