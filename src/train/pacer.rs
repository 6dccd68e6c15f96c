//! How many steps go into a submission, by the clock where there is one.

use crate::clock::Stopwatch;

/// How many steps go into a submission: one at first, then twice as many each time until a submission takes about
/// 50 ms, which is long against the cost of submitting and short against a driver's watchdog.
#[derive(Debug)]
pub(super) struct Pacer {
    pub(super) steps: usize,
    clock: Stopwatch,
}

const SUBMISSION_SECONDS: f64 = 0.05;

impl Pacer {
    pub(super) fn new() -> Self {
        Pacer { steps: 1, clock: Stopwatch::start() }
    }

    /// Called when results of a submission arrive.
    pub(super) fn arrived(&mut self, steps: usize) {
        let seconds = std::mem::replace(&mut self.clock, Stopwatch::start()).seconds();
        let fitting = if seconds > 0.0 { (steps as f64 * SUBMISSION_SECONDS / seconds) as usize } else { 16 };
        self.steps = fitting.clamp(1, 2 * self.steps);
    }
}
