//! The executor under its lock. A pass over data has it from start to end, so an asynchronous call that has begun keeps it
//! while it waits for the device. A synchronous call on the same thread would wait for that one for ever: it is refused.

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::lock::{Mutex, OwnedMutexGuard};

use crate::blocking;
use crate::error::{Error, Result};
use crate::executor::Executor;

/// An executor that several threads may want.
#[derive(Clone, Debug)]
pub(crate) struct SharedExecutor {
    executor: Arc<Mutex<Executor>>,
    /// The thread on which who has it was last at work; 0 for none.
    thread: Arc<AtomicUsize>,
}

/// The executor, for as long as the caller has it.
pub(crate) struct HeldExecutor {
    guard: OwnedMutexGuard<Executor>,
    thread: Arc<AtomicUsize>,
}

impl SharedExecutor {
    pub fn new(executor: Executor) -> Self {
        SharedExecutor { executor: Arc::new(Mutex::new(executor)), thread: Arc::default() }
    }

    /// Waits until nobody else has it.
    pub async fn hold(&self) -> Result<HeldExecutor> {
        let guard = match self.executor.clone().try_lock_owned() {
            Some(guard) => guard,
            None if blocking::is_blocking() && self.thread.load(Ordering::Relaxed) == blocking::this_thread() => {
                return Err(Error::Busy);
            }
            None => self.executor.clone().lock_owned().await,
        };
        Ok(HeldExecutor { guard, thread: self.thread.clone() })
    }

    /// What nobody else can have: of a model that is borrowed for the caller alone, no call is under way.
    pub fn own(&self) -> Result<HeldExecutor> {
        let guard = self.executor.clone().try_lock_owned().ok_or(Error::Busy)?;
        Ok(HeldExecutor { guard, thread: self.thread.clone() })
    }
}

impl HeldExecutor {
    /// Who waits with the executor in hand does it through this: `work` notes on which thread it is.
    pub async fn wait<T>(&mut self, work: impl AsyncFnOnce(&mut Executor) -> T) -> T {
        let thread = self.thread.clone();
        let mut work = pin!(work(&mut self.guard));
        poll_fn(move |context| {
            thread.store(blocking::this_thread(), Ordering::Relaxed);
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for HeldExecutor {
    fn drop(&mut self) {
        // Before the lock is free, so that nobody else is taken for this one.
        self.thread.store(0, Ordering::Relaxed);
    }
}

impl Deref for HeldExecutor {
    type Target = Executor;

    fn deref(&self) -> &Executor {
        &self.guard
    }
}

impl DerefMut for HeldExecutor {
    fn deref_mut(&mut self) -> &mut Executor {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::blocking::block_on;

    /// A thread that had it and gave it back waits for the next one like any other.
    #[test]
    fn who_had_it_once_is_not_taken_for_who_has_it() -> Result<()> {
        let shared = SharedExecutor::new(Executor::Unavailable("of a test".into()));
        block_on(async {
            let mut held = shared.hold().await?;
            held.wait(async |_| assert!(shared.own().is_err())).await;
            Ok::<_, Error>(())
        })?;
        let (tell, hear) = channel();
        let other = shared.clone();
        let holder = std::thread::spawn(move || {
            let held = block_on(other.hold());
            tell.send(()).ok();
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        hear.recv().ok();
        let found = block_on(shared.hold());
        assert!(found.is_ok(), "{:?}", found.err());
        holder.join().ok();
        Ok(())
    }
}
