//! The one place that waits: the synchronous face calls its asynchronous twin through here, and nothing below does.

use std::cell::Cell;
use std::future::Future;

thread_local! {
    /// How many calls of [`block_on`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Counts a call of [`block_on`], however it ends.
struct Blocking;

impl Drop for Blocking {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    #[cfg(test)]
    tests::check_allowed();
    DEPTH.set(DEPTH.get() + 1);
    let _counted = Blocking;
    pollster::block_on(future)
}

/// Whether this thread waits in [`block_on`], so that nothing else on it goes on.
pub(crate) fn is_blocking() -> bool {
    DEPTH.get() > 0
}

/// A number that no other thread has as long as this one lives, and that is not 0.
pub(crate) fn this_thread() -> usize {
    DEPTH.with(|depth| std::ptr::from_ref(depth).addr())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};

    thread_local! {
        static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn check_allowed() {
        assert!(!FORBIDDEN.get(), "something blocks within an asynchronous call");
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Runs a future on this thread, on which nothing may block while the future is at work; returns how often it was asked.
    pub(crate) fn run_without_blocking<F: Future>(future: F) -> (F::Output, usize) {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        for asked in 1.. {
            FORBIDDEN.set(true);
            let polled = future.as_mut().poll(&mut context);
            FORBIDDEN.set(false);
            match polled {
                Poll::Ready(output) => return (output, asked),
                Poll::Pending => thread::park(),
            }
        }
        unreachable!("usize has an end that no future outlives")
    }

    #[test]
    #[should_panic = "something blocks"]
    fn blocking_within_a_future_is_seen() {
        run_without_blocking(async { super::block_on(async {}) });
    }
}
