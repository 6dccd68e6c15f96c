//! Results: a line of JSON each, written as they come, each with the card, its driver and its clock.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::Outcome;

/// Where results go, and what each of them says.
pub struct Records {
    file: File,
    path: PathBuf,
    common: Map<String, Value>,
    /// A file whose content is the clocks as they are at the moment, kept by whoever started this program.
    clock: Option<PathBuf>,
    start: Instant,
    limit: Duration,
}

impl Records {
    /// Adds to a file. `limit` is when the program should come to an end.
    pub fn open(path: &Path, clock: Option<PathBuf>, limit: f64) -> Outcome<Self> {
        let opened = File::options().create(true).append(true).open(path);
        let file = opened.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        let limit = Duration::from_secs_f64(limit);
        Ok(Records { file, path: path.to_owned(), common: Map::new(), clock, start: Instant::now(), limit })
    }

    /// What every line says from now on.
    pub fn say(&mut self, name: &str, value: impl Into<Value>) {
        self.common.insert(name.into(), value.into());
    }

    /// The clocks, as whoever started this program reads them.
    pub fn clock(&self) -> Value {
        let text = self.clock.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
    }

    /// Writes a line.
    pub fn write(&mut self, kind: &str, result: Value) -> Outcome<()> {
        let mut line = Map::new();
        line.insert("kind".into(), kind.into());
        line.extend(self.common.clone());
        line.insert("clock".into(), self.clock());
        line.insert("at".into(), json!((1e3 * self.start.elapsed().as_secs_f64()).round() / 1e3));
        line.extend(result.as_object().cloned().unwrap_or_default());
        let text = Value::Object(line).to_string() + "\n";
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|error| format!("cannot write {}: {error}", self.path.display()).into())
    }

    /// Whether this share of the time is gone.
    pub fn past(&self, share: f64) -> bool {
        self.start.elapsed() >= self.limit.mul_f64(share)
    }
}

/// Numbers as figures in a text: four that count.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
