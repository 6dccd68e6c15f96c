//! Callbacks that write files. Each file is replaced when the new one is whole on disk.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;

use futures::future::LocalBoxFuture;

use super::monitor::Monitor;
use super::{Callback, Training, state};
use crate::error::{Error, Result};
use crate::records::history::{EpochRecord, History};

/// Saves the model after epochs, with all that [`Fit::resume`](crate::Fit::resume) needs: `NAME-3.safetensors` after the
/// third, and, where a figure is said, `NAME-best.safetensors` after each that is the best so far.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    name: PathBuf,
    every: usize,
    keep: usize,
    monitor: Option<Monitor>,
    best: f64,
    written: VecDeque<PathBuf>,
}

impl Checkpoint {
    /// After every epoch, to files whose paths begin with `name`; all are kept.
    pub fn new(name: impl Into<PathBuf>) -> Self {
        let (keep, best) = (usize::MAX, f64::INFINITY);
        Checkpoint { name: name.into(), every: 1, keep, monitor: None, best, written: VecDeque::new() }
    }

    /// Saves after every so many epochs; 1 by default, 0 for the best alone.
    pub fn every(self, every: usize) -> Self {
        Checkpoint { every, ..self }
    }

    /// Keeps the last so many of the files that this callback writes, and the best; all by default.
    pub fn keep(self, keep: usize) -> Self {
        Checkpoint { keep, ..self }
    }

    /// Keeps the best by this figure too.
    pub fn best(self, monitor: Monitor) -> Self {
        Checkpoint { monitor: Some(monitor), ..self }
    }

    /// The best so far, and which files there are.
    fn noted(&self) -> String {
        state::text("checkpoint", (self.best.to_bits(), &self.written)).unwrap_or_default()
    }

    fn path(&self, what: impl std::fmt::Display) -> PathBuf {
        let mut name = self.name.clone().into_os_string();
        name.push(format!("-{what}.safetensors"));
        name.into()
    }
}

impl Callback for Checkpoint {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move {
            let cost = self.monitor.map_or(Ok(f64::INFINITY), |monitor| monitor.cost(record))?;
            let (is_best, is_due) = (cost < self.best, self.every > 0 && record.epoch.is_multiple_of(self.every));
            let path = self.path(record.epoch);
            // What is saved says that it has been.
            self.best = if is_best { cost } else { self.best };
            self.written.extend(is_due.then(|| path.clone()));
            training.note_state(self.noted());
            if is_best {
                training.save_with_optimizer(self.path("best")).await?;
            }
            if is_due {
                training.save_with_optimizer(&path).await?;
            }
            while self.written.len() > self.keep {
                let Some(path) = self.written.pop_front() else { break };
                remove(path)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn state(&self) -> Option<String> {
        Some(self.noted())
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        let (best, written) = state::parsed("checkpoint", state)?;
        (self.best, self.written) = (f64::from_bits(best), written);
        Ok(())
    }

    fn saves(&self) -> bool {
        true
    }
}

/// Removes a file, unless it is gone: a training that is resumed from an older file comes here twice.
fn remove(path: PathBuf) -> Result<()> {
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path, source })
        }
        _ => Ok(()),
    }
}

/// Writes the history so far as CSV after each epoch: Keras's `CSVLogger`. See [`History::to_csv`].
#[derive(Clone, Debug)]
pub struct CsvLog {
    path: PathBuf,
    history: History,
}

impl CsvLog {
    /// To this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CsvLog { path: path.into(), history: History::default() }
    }
}

impl Callback for CsvLog {
    fn epoch_end<'c>(
        &'c mut self,
        _training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move {
            self.history.epochs.push(record.clone());
            crate::files::replace(&self.path, self.history.to_csv().as_bytes())?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn state(&self) -> Option<String> {
        state::text("csv_log", &self.history)
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        self.history = state::parsed("csv_log", state)?;
        Ok(())
    }
}

/// Writes each epoch's record as a line of JSON, as [`History::to_json`] has it in its list.
#[derive(Clone, Debug)]
pub struct JsonLines {
    path: PathBuf,
    text: String,
}

impl JsonLines {
    /// To this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        JsonLines { path: path.into(), text: String::new() }
    }
}

impl Callback for JsonLines {
    fn epoch_end<'c>(
        &'c mut self,
        _training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move {
            let line = serde_json::to_string(record);
            self.text.push_str(&line.map_err(|error| Error::configuration("record", "figures", error))?);
            self.text.push('\n');
            crate::files::replace(&self.path, self.text.as_bytes())?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn state(&self) -> Option<String> {
        state::text("json_lines", &self.text)
    }

    fn resume(&mut self, state: &str) -> Result<()> {
        self.text = state::parsed("json_lines", state)?;
        Ok(())
    }
}
