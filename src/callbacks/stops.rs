//! Callbacks that end a training, and closures.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::monitor::Monitor;
use super::{Callback, Training};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::records::history::EpochRecord;

/// Ends a training after the first epoch that ends so long after this was made, validation included. Without a clock (the
/// feature `native`) it never does.
#[derive(Debug)]
pub struct TerminateAfter {
    limit: Duration,
    clock: Stopwatch,
}

impl TerminateAfter {
    /// After so long, counted from now.
    pub fn new(limit: Duration) -> Self {
        TerminateAfter { limit, clock: Stopwatch::start() }
    }
}

impl Callback for TerminateAfter {
    fn epoch_end<'c>(
        &'c mut self,
        _training: &'c mut Training<'_>,
        _record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        let over = self.clock.seconds() > 0.0 && self.clock.seconds() >= self.limit.as_secs_f64();
        Box::pin(async move { Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }) })
    }
}

/// Ends a training once a figure is as good as wanted; see [`Fit::until`](crate::Fit::until).
#[derive(Debug)]
pub(crate) struct Until {
    pub monitor: Monitor,
    pub value: f64,
}

impl Callback for Until {
    fn epoch_end<'c>(
        &'c mut self,
        _training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        Box::pin(async move { self.monitor.until(self.value, record) })
    }
}

/// A closure after each epoch: Keras's `LambdaCallback(on_epoch_end=…)`.
///
/// ```
/// use std::ops::ControlFlow;
/// use wgrad::{Dataset, Dense, Device, Fit, Loss, OnEpochEnd, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1));
/// let mut model = net.compile(&Device::cpu(), Sgd::default().learning_rate(0.4), Loss::MeanSquaredError)?;
/// let halve = OnEpochEnd::new(|training, _record| {
///     let rate = training.learning_rate();
///     training.set_learning_rate(rate / 2.0)?;
///     Ok(ControlFlow::Continue(()))
/// });
/// model.fit(&data, Fit::new().epochs(2).callback(halve))?;
/// assert_eq!(model.learning_rate(), 0.1);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct OnEpochEnd<F>(F);

impl<F: FnMut(&mut Training<'_>, &EpochRecord) -> Result<ControlFlow<()>>> OnEpochEnd<F> {
    /// Calls `closure` after each epoch; `Break` ends the training.
    pub fn new(closure: F) -> Self {
        OnEpochEnd(closure)
    }
}

impl<F> fmt::Debug for OnEpochEnd<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnEpochEnd")
    }
}

impl<F: FnMut(&mut Training<'_>, &EpochRecord) -> Result<ControlFlow<()>>> Callback for OnEpochEnd<F> {
    fn epoch_end<'c>(
        &'c mut self,
        training: &'c mut Training<'_>,
        record: &'c EpochRecord,
    ) -> LocalBoxFuture<'c, Result<ControlFlow<()>>> {
        let flow = (self.0)(training, record);
        Box::pin(async move { flow })
    }
}
