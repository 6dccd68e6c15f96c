//! How many steps go into a submission, by the clock where there is one.

use crate::clock::Stopwatch;

/// How many steps go into a submission: one at first, then twice as many each time until a submission takes about
/// 50 ms, which is long against the cost of submitting and short against a driver's watchdog: Windows resets a GPU whose
/// work takes two seconds. A single step is the least that is submitted.
#[derive(Debug)]
pub(super) struct Pacer {
    pub(super) steps: usize,
    clock: Stopwatch,
    /// Seconds a step, by the arrival before the last one.
    before: f64,
}

const SUBMISSION_SECONDS: f64 = 0.05;

impl Pacer {
    pub(super) fn new() -> Self {
        Pacer { steps: 1, clock: Stopwatch::start(), before: 0.0 }
    }

    /// Called when results of a submission arrive.
    pub(super) fn arrived(&mut self, steps: usize) {
        let seconds = std::mem::replace(&mut self.clock, Stopwatch::start()).seconds();
        self.took(steps, seconds);
    }

    /// So many steps arrived so long after those before.
    fn took(&mut self, steps: usize, seconds: f64) {
        let a_step = seconds / steps.max(1) as f64;
        // Results that waited for a host that was late arrive at once: how long their steps took, only the arrival before can say.
        let slower = a_step.max(std::mem::replace(&mut self.before, a_step));
        let fitting = if slower > 0.0 { (SUBMISSION_SECONDS / slower) as usize } else { 16 };
        self.steps = fitting.clamp(1, 2 * self.steps);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::random::Random;

    /// What Windows gives a submission.
    const WATCHDOG: f64 = 2.0;

    /// The longest submission that a device gets which takes so long for a step, in seconds: two are under way at once, and the host
    /// comes back from each wait late by up to `stall` seconds, so that results wait for it.
    fn longest(step: f64, stall: f64) -> f64 {
        let (mut pacer, mut random) = (Pacer::new(), Random::new(1, 0));
        let (mut now, mut free, mut last, mut longest) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        let mut under_way = VecDeque::new();
        for _ in 0..2000 {
            while under_way.len() < 2 {
                let length = pacer.steps as f64 * step;
                longest = longest.max(length);
                free = free.max(now) + length;
                under_way.push_back((pacer.steps, free));
            }
            let (steps, done) = under_way.pop_front().expect("two of them");
            // A host with nothing to do still takes a few microseconds.
            now = done.max(now) + 5e-6 + stall * f64::from(random.uniform(0.0, 1.0)).powi(8);
            pacer.took(steps, now - last);
            last = now;
        }
        longest
    }

    #[test]
    fn submissions_stay_below_a_watchdog() {
        for step in [1e-6, 1e-5, 1e-4, 1e-3, 4e-3, 0.02, 0.049, 0.06, 0.3, 1.0] {
            for stall in [0.0, 1e-3, 0.05, 0.5, 5.0] {
                let longest = longest(step, stall);
                let allowed = step.max(WATCHDOG / 4.0);
                assert!(longest <= allowed, "steps of {step} s, a host late by {stall} s: {longest} s");
                // It is not by submitting next to nothing that it keeps below.
                let enough = 0.5 * SUBMISSION_SECONDS.min(2000.0 * step);
                assert!(stall > 0.0 || longest >= enough, "steps of {step} s: {longest} s");
            }
        }
    }
}
