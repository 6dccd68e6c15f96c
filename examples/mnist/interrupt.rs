//! Ctrl-C: in a training it asks for the end after the step under way, everywhere else, or a second time, it ends the
//! program.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a shell makes of a program that Ctrl-C has ended.
pub const STATUS: u8 = 130;

const IDLE: u8 = 0;
const TRAINING: u8 = 1;
const ASKED: u8 = 2;

/// Whether somebody wants the training to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> Result<Self, ctrlc::Error> {
        let interrupt = Interrupt::default();
        let state = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            if state.compare_exchange(TRAINING, ASKED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                std::process::exit(STATUS.into());
            }
        })?;
        Ok(interrupt)
    }

    /// A training begins.
    pub fn begin(&self) {
        self.0.store(TRAINING, Ordering::SeqCst);
    }

    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ASKED
    }

    /// The training is over; returns whether it was asked to be.
    pub fn end(&self) -> bool {
        self.0.swap(IDLE, Ordering::SeqCst) == ASKED
    }
}

/// A training that was interrupted and saved, and the command that goes on with it.
#[derive(Debug)]
pub struct Interrupted(pub String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:,=+@".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
