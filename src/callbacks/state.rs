//! What callbacks remember, as text: a name and values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The values under the callback's name.
pub(super) fn text(name: &str, values: impl Serialize) -> Option<String> {
    // Numbers and text, of which JSON can be made.
    serde_json::to_string(&(name, values)).ok()
}

/// The values of a callback of this name.
pub(super) fn parsed<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    match serde_json::from_str::<(String, T)>(text) {
        Ok((found, values)) if found == name => Ok(values),
        _ => {
            let expected = format!("that of {name}: callbacks come in the order in which they were given before");
            Err(Error::configuration("state of a callback", expected, text))
        }
    }
}
