//! Fetching one file from the first of several mirrors that delivers it whole. This module owns the transfer, and that a
//! file appears under its name only after it was verified; `download/https.rs` is the HTTP client with its time limits,
//! `download/lock.rs` keeps two processes from fetching at once. What is fetched, from where, and what makes it right is the
//! caller's concern.

mod https;
mod lock;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

pub(crate) use https::Https;
pub(crate) use lock::{PATIENCE, lock};

use crate::error::{Error, Result};
use crate::files::Unfinished;

/// How far a download is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The file's name in the cache.
    pub file: &'a str,
    /// Where it is being fetched from.
    pub url: &'a str,
    /// Bytes that have arrived.
    pub received: u64,
    /// Bytes that will arrive, where the server says so.
    pub total: Option<u64>,
    /// Who is downloading already, while this process waits for that to end: then nothing is being fetched, the file is
    /// the lock's, and there is no address.
    pub waiting_for: Option<&'a str>,
}

/// An answer to a request.
pub(crate) struct Response {
    pub body: Box<dyn Read>,
    /// Bytes in the body, where the server says so.
    pub length: Option<u64>,
}

/// What gets a response for an address, or says why not.
pub(crate) trait Transport {
    fn get(&self, url: &str) -> Result<Response, String>;
}

/// One file to fetch.
pub(crate) struct Order<'a, T> {
    /// Addresses of the same file, in the order in which they are tried.
    pub urls: Vec<String>,
    /// Where the file shall be; its directory exists and is locked.
    pub destination: PathBuf,
    /// More bytes than this are refused.
    pub most: u64,
    /// Reads what has arrived and judges it.
    pub verify: &'a dyn Fn(&Path) -> Result<T>,
}

/// Fetches a file, replacing one of the same name. `Err` has a line for each address: why it failed.
pub(crate) fn obtain<T>(
    order: &Order<'_, T>,
    transport: &dyn Transport,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<T, Vec<String>> {
    let mut failures = Vec::new();
    for url in &order.urls {
        match attempt(order, url, transport, progress) {
            Ok(value) => return Ok(value),
            Err(reason) => failures.push(format!("{url}: {reason}")),
        }
    }
    Err(failures)
}

fn attempt<T>(
    order: &Order<'_, T>,
    url: &str,
    transport: &dyn Transport,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<T, String> {
    let response = transport.get(url)?;
    // Left by a killed process of version 0.1, which had one name for it. The lock is held.
    fs::remove_file(order.destination.with_extension("part")).ok();
    let mut part = Unfinished::beside(&order.destination).map_err(|error| error.to_string())?;
    let name = order.destination.file_name().unwrap_or_default().to_string_lossy();
    let total = response.length;
    receive(response, part.file(), order.most, |received| {
        progress(Progress { file: &name, url, received, total, waiting_for: None })
    })?;
    let value = (order.verify)(part.path()).map_err(without_path)?;
    part.finish(&order.destination).map_err(|error| error.to_string())?;
    Ok(value)
}

fn receive(response: Response, file: &mut File, most: u64, mut arrived: impl FnMut(u64)) -> Result<(), String> {
    let Response { mut body, length } = response;
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("interrupted after {received} bytes: {error}")),
        };
        received += count as u64;
        if received > most {
            return Err(format!("expected at most {most} bytes, found more"));
        }
        file.write_all(&buffer[..count]).map_err(|error| format!("cannot keep what arrives: {error}"))?;
        arrived(received);
    }
    match length {
        Some(length) if length != received => Err(format!("interrupted after {received} of {length} bytes")),
        _ => Ok(()),
    }
}

/// The path would be the temporary file's, which is gone when the message is read.
fn without_path(error: Error) -> String {
    match error {
        Error::InvalidFile { expected, found, .. } => format!("expected {expected}, found {found}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
