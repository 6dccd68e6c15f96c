//! Numbers in JSON, which has no NaN and no infinity: those are strings, `"NaN"`, `"inf"` and `"-inf"`. What
//! older files have in the place of such a figure, null, is read as NaN.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A figure in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
    Nothing,
}

impl From<f64> for Written {
    fn from(value: f64) -> Self {
        if value.is_finite() { Written::Number(value) } else { Written::Text(value.to_string()) }
    }
}

impl Written {
    fn read<E: de::Error>(self) -> Result<f64, E> {
        match self {
            Written::Number(value) => Ok(value),
            Written::Nothing => Ok(f64::NAN),
            Written::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                _ => Err(E::custom(format!("expected a number, \"NaN\", \"inf\" or \"-inf\", found {text:?}"))),
            },
        }
    }
}

pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    Written::from(*value).serialize(to)
}

pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<f64, D::Error> {
    Written::deserialize(from)?.read()
}

/// A figure that may be missing: null is none.
pub mod optional {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Written};

    pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Written::from).serialize(to)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<f64>, D::Error> {
        Option::<Written>::deserialize(from)?.map(Written::read).transpose()
    }
}

/// Several figures.
pub mod list {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Written};

    pub fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        values.iter().copied().map(Written::from).collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<f64>, D::Error> {
        Vec::<Written>::deserialize(from)?.into_iter().map(Written::read).collect()
    }
}
