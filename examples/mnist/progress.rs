//! What the user sees while the net trains: a bar on a terminal, and a line an epoch everywhere. It also takes down
//! when the first step was done.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wgrad::{EpochRecord, Event, StepRecord};

use crate::report::{Output, grouped};

/// How often the bar is drawn: a GPU takes thousands of steps a second, more than anyone reads.
const FRAME: Duration = Duration::from_millis(50);

pub struct Progress<'a> {
    output: &'a Output,
    /// Known from the first step on.
    epochs: usize,
    /// When the process began.
    start: Instant,
    bar: Option<ProgressBar>,
    drawn: Instant,
    first_step: Option<Duration>,
    failure: Option<io::Error>,
}

impl<'a> Progress<'a> {
    pub fn new(output: &'a Output, start: Instant) -> Self {
        Progress { output, epochs: 0, start, bar: None, drawn: start, first_step: None, failure: None }
    }

    /// What `Fit::observer` calls.
    pub fn observe(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::Step(record) => self.step(record),
            Event::Epoch(record) => return self.epoch(record),
            _ => (),
        }
        ControlFlow::Continue(())
    }

    /// From the start of the process to the result of the first trained batch, where there was one; or why standard
    /// output took no more.
    pub fn finish(self) -> io::Result<Option<Duration>> {
        match self.failure {
            Some(error) => Err(error),
            None => Ok(self.first_step),
        }
    }

    fn step(&mut self, record: &StepRecord) {
        self.epochs = record.epochs;
        self.first_step.get_or_insert_with(|| self.start.elapsed());
        if self.output.quiet() || (self.bar.is_some() && self.drawn.elapsed() < FRAME) {
            return;
        }
        self.drawn = Instant::now();
        let bar = self.bar.get_or_insert_with(|| bar(record));
        let speed = grouped(record.samples as f64 / record.seconds);
        bar.set_message(format!("{speed} samples/s, {}, learning rate {}", record.so_far, record.learning_rate));
        bar.set_position(record.step as u64);
    }

    /// The line takes the bar's place. It goes to standard output, where results belong.
    fn epoch(&mut self, record: &EpochRecord) -> ControlFlow<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let line = format!(
            "Epoch {}/{}: {:.2} s, {} samples/s, {}",
            record.epoch,
            self.epochs,
            record.seconds,
            grouped(record.samples as f64 / record.seconds),
            record.train,
        );
        match self.output.line(&line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Hidden where standard error is no terminal: indicatif sees to that.
fn bar(record: &StepRecord) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {pos}/{len} [{wide_bar}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(record.steps as u64), ProgressDrawTarget::stderr())
        .with_style(style.progress_chars("=> "))
        .with_prefix(format!("Epoch {}/{}", record.epoch, record.epochs))
}
