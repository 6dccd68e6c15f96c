//! Locks that a panic of another thread does not take along: what they guard is never half-changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, going on with what is there if another thread panicked: nothing here is left half-changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
