//! How many steps go into a submission, by the clock where there is one.

/// Measures seconds where there is a clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    #[cfg(feature = "native")]
    start: std::time::Instant,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Stopwatch {
            #[cfg(feature = "native")]
            start: std::time::Instant::now(),
        }
    }

    #[cfg(feature = "native")]
    pub(super) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    #[cfg(not(feature = "native"))]
    pub(super) fn seconds(&self) -> f64 {
        0.0
    }
}

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
