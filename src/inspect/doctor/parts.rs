//! Parts of an examination, each on a thread of its own under a time limit: a driver that hangs costs its part, and what a
//! part has found until then is kept.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::driver::Driver;
use super::report::{Check, Part, Speed, TutorialLaunch};
use crate::error::Error;

/// How long a device has to answer once more after a part of it hung.
const ANSWER: Duration = Duration::from_secs(5);

/// How much of its time a part uses before it leaves out what is left: the rest is for what is under way.
const SOFT: f64 = 0.8;

/// What a part notes as it goes.
#[derive(Clone)]
pub(super) struct Notes {
    state: Arc<Mutex<State>>,
    end: Instant,
    /// The place of what is noted, where several things are under way at once.
    place: usize,
}

#[derive(Default)]
struct State {
    /// Each with its place.
    checks: Vec<(usize, Check)>,
    /// What is under way, by its place.
    current: BTreeMap<usize, String>,
    /// Why the device is gone, if it is.
    lost: Option<String>,
    tutorial: Vec<TutorialLaunch>,
    others: Vec<String>,
    speed: Option<Speed>,
}

impl Notes {
    fn new(limit: Duration) -> Self {
        Notes { state: Arc::default(), end: Instant::now() + limit.mul_f64(SOFT), place: 0 }
    }

    /// The same notes, in which what is noted comes in the order of places, whenever it is noted.
    pub fn at(&self, place: usize) -> Self {
        Notes { place, ..self.clone() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what comes next, should it be the last that is heard.
    pub fn begin(&self, what: impl Into<String>) {
        self.with(|state| state.current.insert(self.place, what.into()));
    }

    /// Says that what was begun at this place has ended.
    pub fn end(&self) {
        self.with(|state| state.current.remove(&self.place));
    }

    /// Notes a check.
    pub fn note(&self, check: Check) {
        self.with(|state| state.checks.push((self.place, check)));
    }

    /// Notes a launch, together with those of the same operation in the same form.
    pub fn merge(&self, check: Check) {
        self.with(|state| {
            let same = |(_, known): &&mut (usize, Check)| known.name == check.name && known.form == check.form;
            match state.checks.iter_mut().find(same) {
                Some((place, known)) => {
                    *place = self.place.min(*place);
                    known.add(check);
                }
                None => state.checks.push((self.place, check)),
            }
        });
    }

    /// Notes a check that an error kept from being made. A lost device ends the part.
    pub fn wrong(&self, check: Check, error: &Error) {
        self.with(|state| {
            if let Error::DeviceLost { .. } = error {
                state.lost.get_or_insert(error.to_string());
            }
            state.checks.push((self.place, check.failed(error.to_string())));
        });
    }

    /// The plan of the tutorial's step.
    pub fn tutorial(&self, launches: Vec<TutorialLaunch>) {
        self.with(|state| state.tutorial = launches);
    }

    /// The devices of this machine.
    pub fn others(&self, devices: Vec<String>) {
        self.with(|state| state.others = devices);
    }

    /// Notes what was measured.
    pub fn speed(&self, change: impl FnOnce(&mut Speed)) {
        self.with(|state| change(state.speed.get_or_insert_default()));
    }

    /// What was measured so far.
    pub fn measured(&self) -> Speed {
        self.with(|state| state.speed.clone().unwrap_or_default())
    }

    /// Whether there is no point in going on: the time is gone, or the device.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end || self.with(|state| state.lost.is_some())
    }

    /// Whether the time is gone.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.end
    }
}

/// Where parts are run, one after the other.
pub(super) struct Room {
    driver: Arc<dyn Driver>,
    limit: Duration,
    /// Why no further part is run.
    closed: Option<String>,
    tutorial: Vec<TutorialLaunch>,
    others: Vec<String>,
    speed: Option<Speed>,
}

impl Room {
    pub fn new(driver: Arc<dyn Driver>, limit: Duration) -> Self {
        Room { driver, limit, closed: None, tutorial: Vec::new(), others: Vec::new(), speed: None }
    }

    /// The plan of the tutorial's step, if a part told it.
    pub fn tutorial(&self) -> Vec<TutorialLaunch> {
        self.tutorial.clone()
    }

    /// The devices of this machine, if a part told them.
    pub fn others(&self) -> Vec<String> {
        self.others.clone()
    }

    /// What was measured, if anything was.
    pub fn speed(&self) -> Option<Speed> {
        self.speed.clone()
    }

    /// Runs a part.
    pub fn run(&mut self, name: &str, work: impl FnOnce(&Notes, &Arc<dyn Driver>) + Send + 'static) -> Part {
        if let Some(reason) = &self.closed {
            return Part::of(name, vec![Check::new(name).skipped(reason.clone())]);
        }
        let (clock, notes) = (Instant::now(), Notes::new(self.limit));
        let (driver, theirs) = (self.driver.clone(), notes.clone());
        let ended = within(self.limit, move || work(&theirs, &driver));
        let mut checks = notes.with(|state| {
            self.tutorial.append(&mut state.tutorial);
            self.others.append(&mut state.others);
            self.speed = state.speed.take().or(self.speed.take());
            state.checks.sort_by_key(|(place, _)| *place);
            std::mem::take(&mut state.checks).into_iter().map(|(_, check)| check).collect::<Vec<_>>()
        });
        let current = notes.with(|state| state.current.values().cloned().collect::<Vec<_>>().join(", or "));
        match &ended {
            Ended::Well => {}
            Ended::Panicked(message) => {
                checks.push(Check::new(current).failed(format!("panicked: {message}")));
            }
            Ended::Late => {
                let seconds = self.limit.as_secs_f64();
                checks.push(Check::new(current).failed(format!("no answer within the part's {seconds:.0} s")));
                self.closed = self.no_answer();
            }
        }
        if let Some(lost) = notes.with(|state| state.lost.clone()) {
            self.closed = Some(lost);
        }
        let finished = matches!(ended, Ended::Well) && !notes.is_late();
        Part { name: name.into(), seconds: clock.elapsed().as_secs_f64(), finished, checks }
    }

    /// Why there is no point in asking the device again, after it has hung once.
    fn no_answer(&self) -> Option<String> {
        let driver = self.driver.clone();
        let (sender, answer) = mpsc::channel();
        // It may outlive this examination: that is what the limit is for.
        let asks = move || drop(sender.send(driver.readbacks(1).map(drop).map_err(|error| error.to_string())));
        let asked = std::thread::Builder::new().name("wgrad doctor".into()).spawn(asks);
        match (asked, answer.recv_timeout(ANSWER)) {
            (Ok(_), Ok(Ok(()))) => None,
            (Ok(_), Ok(Err(error))) => Some(error),
            _ => Some(format!("the device has not answered for {} s more", ANSWER.as_secs())),
        }
    }
}

enum Ended {
    Well,
    Panicked(String),
    Late,
}

/// Runs something for so long at most. What takes longer is left to itself.
fn within(limit: Duration, work: impl FnOnce() + Send + 'static) -> Ended {
    let (sender, ended) = mpsc::channel();
    let run = move || {
        let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(panic.as_ref()));
        drop(sender.send(outcome));
    };
    if let Err(error) = std::thread::Builder::new().name("wgrad doctor".into()).spawn(run) {
        return Ended::Panicked(format!("no thread: {error}"));
    }
    match ended.recv_timeout(limit) {
        Ok(Ok(())) => Ended::Well,
        Ok(Err(message)) => Ended::Panicked(message),
        Err(RecvTimeoutError::Timeout) => Ended::Late,
        Err(RecvTimeoutError::Disconnected) => Ended::Panicked("it ended without a word".into()),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it did not say why".into())
}
