//! Digests in a model's file: of every tensor, and of the description that they stand in. Files of wgrad before it wrote
//! some, and files of others, have none.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::{named, wrong};
use crate::digest::sha256;
use crate::error::{Error, Result};

/// SHA-256 digests, in hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Digests {
    /// Of the description, with nothing in this place.
    description: String,
    /// Of each tensor's bytes.
    tensors: BTreeMap<String, String>,
}

/// Where a description's own digest stands in it.
fn place_of(digest: &str) -> String {
    format!("\"sha256\":{{\"description\":\"{digest}\"")
}

/// The description with its own digest in its place.
pub(super) fn signed(text: &str) -> String {
    text.replacen(&place_of(""), &place_of(&sha256(&[text.as_bytes()])), 1)
}

/// That a description, which is also at hand as JSON, is what was written.
pub(super) fn check_description(text: &str, value: &serde_json::Value, path: &Path) -> Result<()> {
    let digest = value.pointer("/sha256/description").and_then(serde_json::Value::as_str);
    let Some(expected) = digest else { return Ok(()) };
    compare(path, "a description", expected, &[text.replacen(&place_of(expected), &place_of(""), 1).as_bytes()])
}

fn compare(path: &Path, what: &str, expected: &str, pieces: &[&[u8]]) -> Result<(), Error> {
    let found = sha256(pieces);
    if found == expected {
        return Ok(());
    }
    Err(wrong(path, format!("{what} with SHA-256 {expected}"), format!("{found}: the file is damaged")))
}

impl Digests {
    /// Those of tensors, which [`signed`] completes.
    pub fn of_tensors<'a>(tensors: impl Iterator<Item = (&'a str, Cow<'a, [u8]>)>) -> Self {
        let tensors = tensors.map(|(name, bytes)| (name.to_owned(), sha256(&[&bytes]))).collect();
        Digests { description: String::new(), tensors }
    }

    /// Those in a description, if it has some.
    #[cfg(feature = "native")]
    pub fn of(text: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        serde_json::from_value(value.get("sha256")?.clone()).ok()
    }

    /// That every tensor is what was written.
    pub fn check(&self, file: &SafeTensors<'_>, path: &Path) -> Result<()> {
        self.tensors.iter().try_for_each(|(name, expected)| {
            compare(path, &format!("tensor {name}"), expected, &[named(file, name, &[], path)?.data()])
        })
    }
}
