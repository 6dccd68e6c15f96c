//! The settings of a layer, a loss or an optimizer in a case. Each must be asked for: one that nobody asks for is a
//! failure, never passed over.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub struct Settings {
    /// Whose settings these are, for messages.
    of: String,
    left: Map<String, Value>,
}

impl Settings {
    pub fn new(of: impl Into<String>, settings: &Map<String, Value>) -> Self {
        Settings { of: of.into(), left: settings.clone() }
    }

    /// Says more exactly whose settings these are.
    pub fn are_of(&mut self, of: impl Into<String>) {
        self.of = of.into();
    }

    /// A setting that must be there.
    pub fn get<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, String> {
        self.find(key)?.ok_or_else(|| format!("{} without {key}", self.of))
    }

    /// A setting that may be left out, or null.
    pub fn get_or<T: DeserializeOwned>(&mut self, key: &str, default: T) -> Result<T, String> {
        Ok(self.find(key)?.unwrap_or(default))
    }

    /// `None` where it is left out, or null.
    pub fn find<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, String> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        serde_json::from_value(value).map_err(|error| format!("{key} of {}: {error}", self.of))
    }

    /// Whether every setting was asked for.
    pub fn finish(self) -> Result<(), String> {
        let left: Vec<_> = self.left.keys().map(String::as_str).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("unknown settings of {}: {}", self.of, left.join(", "))) }
    }
}
