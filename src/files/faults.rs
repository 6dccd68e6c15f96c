//! Faults on purpose, for tests: the n-th step of writing a file fails on this thread. Outside tests there is nothing
//! of it in the program.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};

thread_local! {
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static ONLY: Cell<Option<(&'static str, ErrorKind)>> = const { Cell::new(None) };
    static PASSED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Called before each step of this name.
pub(crate) fn point(step: &'static str) -> io::Result<()> {
    PASSED.with_borrow_mut(|passed| passed.push(step));
    if let Some((only, kind)) = ONLY.get()
        && only == step
    {
        return Err(kind.into());
    }
    match LEFT.get() {
        Some(0) => {
            LEFT.set(None);
            Err(io::Error::new(ErrorKind::StorageFull, format!("a fault on purpose at {step}")))
        }
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Runs `body` with the fault at step `n`, counted from 0; returns also the steps that were come to.
pub(crate) fn fail_at<T>(n: usize, body: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
    run(Some(n), None, body)
}

/// Runs `body` with every step of this name failing in this way.
pub(crate) fn fail_each<T>(step: &'static str, kind: ErrorKind, body: impl FnOnce() -> T) -> T {
    run(None, Some((step, kind)), body).0
}

fn run<T>(
    left: Option<usize>,
    only: Option<(&'static str, ErrorKind)>,
    body: impl FnOnce() -> T,
) -> (T, Vec<&'static str>) {
    PASSED.take();
    LEFT.set(left);
    ONLY.set(only);
    let value = body();
    LEFT.set(None);
    ONLY.set(None);
    (value, PASSED.take())
}
