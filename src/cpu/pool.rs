//! The threads of a CPU device: short regions of work that the calling thread shares with waiting helpers.
//!
//! A training step is a few regions of 20 to 500 µs, so the time to wake a helper counts. Helpers therefore watch for
//! the next region a short while before they sleep, and tasks are claimed one at a time: where a helper is late (its
//! core serves somebody else), the caller does the work itself and never waits for it.
//!
//! A thread takes the task that has its own number first, and then what others have not begun: a part of the parameters is
//! then read and changed by the same core step after step, and need not travel from cache to cache, which is slow where
//! cores share none. Who does a task is left to chance all the same where a thread is late, so a task must depend on its
//! index alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How often a thread looks for news before it sleeps: around 50 µs on a present-day processor.
const LOOKS: usize = 2_000;

/// Numbers to be gathered, activated or updated for which another thread is worth waking, or telling if it looks for news:
/// on present-day processors a microsecond's.
const WORTH_A_THREAD: usize = 8_192;

/// Runs tasks on the calling thread and on helpers that wait for them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<std::thread::JoinHandle<()>>,
}

struct Shared {
    region: Mutex<Region>,
    /// Counts regions, so that a helper sees a new one without taking the lock.
    published: AtomicUsize,
    /// Tasks of the current region that are not finished.
    unfinished: AtomicUsize,
    /// Set for good when the pool is dropped.
    closing: AtomicBool,
    /// Told when a region begins, or the pool closes.
    begun: Condvar,
    /// Told when the last task of a region is finished.
    finished: Condvar,
}

/// The region under way.
#[derive(Default)]
struct Region {
    work: Option<Work>,
    tasks: usize,
    /// Which of the tasks that have a thread's number are claimed.
    claimed: Box<[bool]>,
    /// The tasks before this one are claimed.
    next: usize,
    /// How many helpers wait to be told of the next region.
    sleeping: usize,
    /// What the first task that panicked left behind.
    panic: Option<Box<dyn Any + Send>>,
}

/// A borrowed closure whose lifetime has been erased; `Shared::begin` argues why it is alive while it is called.
type Work = &'static (dyn Fn(usize) + Sync);

impl Pool {
    /// A pool of this many threads, the calling one included; fewer where the system grants fewer, and the calling
    /// one alone without the feature `native`.
    pub(crate) fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            region: Mutex::new(Region { claimed: vec![false; threads.max(1)].into(), ..Region::default() }),
            published: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            begun: Condvar::new(),
            finished: Condvar::new(),
        });
        let helpers = if cfg!(feature = "native") { threads.saturating_sub(1) } else { 0 };
        let helpers = (0..helpers).map_while(|index| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("wgrad-cpu-{}", index + 1));
            thread.spawn(move || shared.help(index + 1)).ok()
        });
        let helpers = helpers.collect();
        Pool { shared, helpers }
    }

    /// How many threads work on a region, the calling one included.
    pub(crate) fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work` once with every index below `tasks` and returns when all calls have returned. Allocates nothing.
    ///
    /// While the pool is busy (another thread's region, or a task that starts one) the caller does its tasks alone. A
    /// panic in a task is resumed here when the other tasks are done.
    pub(crate) fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        if tasks < 2 || self.helpers.is_empty() || !self.shared.begin(tasks, work) {
            (0..tasks).for_each(work);
            return;
        }
        self.shared.take_part(0);
        self.shared.wait();
        if let Some(panic) = self.shared.end() {
            resume_unwind(panic);
        }
    }

    /// [`run`](Self::run), but on the calling thread alone if `few`.
    fn run_here_if(&self, few: bool, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        if few { (0..tasks).for_each(work) } else { self.run(tasks, work) }
    }

    /// Calls `work` once with every item and its index.
    pub(crate) fn for_each<T: Send>(&self, items: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
        let tasks = items.len();
        let items = Items(items.as_mut_ptr());
        self.run(tasks, &|index| {
            // SAFETY: `run` calls once with each index below `tasks`, the length of the slice, so the reference is in
            // bounds and the only one to its item; the exclusive borrow of the slice outlives `run`.
            work(index, unsafe { &mut *items.at(index) });
        });
    }

    /// Calls `work` once with every chunk of `length` elements; what is left after the last whole one is left alone.
    pub(crate) fn for_chunks(&self, data: &mut [f32], length: usize, work: impl Fn(&mut [f32]) + Sync) {
        let length = length.max(1);
        let tasks = data.len() / length;
        let few = self.threads_for(data.len()) == 1;
        let data = Items(data.as_mut_ptr());
        self.run_here_if(few, tasks, &|task| {
            // SAFETY: chunks are disjoint, and `tasks` of them lie within the data; `run` calls once with each task; the
            // exclusive borrow of the data outlives `run`.
            work(unsafe { core::slice::from_raw_parts_mut(data.at(task * length), length) });
        });
    }

    /// Threads that so many numbers are worth.
    fn threads_for(&self, numbers: usize) -> usize {
        self.threads().min(numbers / WORTH_A_THREAD).max(1)
    }

    /// Calls `work` with blocks of whole rows of `data`, one block for each thread that they are worth, and the index of each
    /// block's first row. Rows are `row_length` long; what is left after the last whole row goes with the last block.
    pub(crate) fn for_rows(&self, data: &mut [f32], row_length: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
        let rows = data.len().div_ceil(row_length.max(1));
        let tasks = self.threads_for(data.len()).min(rows);
        let length = data.len();
        let edge = |task: usize| (rows * task / tasks.max(1) * row_length).min(length);
        let edges = |task: usize| edge(task)..edge(task + 1);
        let data = Items(data.as_mut_ptr());
        self.run(tasks, &|task| {
            let range = edges(task);
            // SAFETY: the ranges of different tasks are disjoint, as edges grow with the task, and end within the
            // data; `run` calls once with each task; the exclusive borrow of the data outlives `run`.
            let block = unsafe { core::slice::from_raw_parts_mut(data.at(range.start), range.len()) };
            work(range.start / row_length.max(1), block);
        });
    }

    /// Calls `work` with blocks of the same rows of all of `data`, one block per thread, and the index of each block's first
    /// row. Rows are `row_lengths` long, a length for each slice; there are `rows` of them, or as many as all slices have.
    pub(crate) fn for_rows_of<const N: usize>(
        &self,
        data: [&mut [f32]; N],
        row_lengths: [usize; N],
        rows: usize,
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let whole = data.iter().zip(row_lengths).filter_map(|(slice, length)| slice.len().checked_div(length));
        let fitting = whole.fold(rows, usize::min);
        debug_assert_eq!(fitting, rows, "a slice has fewer rows");
        let rows = fitting;
        let tasks = self.threads().min(rows);
        let edge = |task: usize| rows * task / tasks.max(1);
        let data = data.map(|slice| Items(slice.as_mut_ptr()));
        self.run(tasks, &|task| {
            let (start, end) = (edge(task), edge(task + 1));
            let blocks = std::array::from_fn(|index| {
                let length = row_lengths[index];
                // SAFETY: the ranges of different tasks are disjoint, as edges grow with the task, and `rows` rows lie within
                // every slice; `run` calls once with each task; the exclusive borrows of the slices outlive `run`.
                unsafe { core::slice::from_raw_parts_mut(data[index].at(start * length), (end - start) * length) }
            });
            work(start, blocks);
        });
    }

    /// Calls `work` with blocks of all of `data` that lie between the same two places, one block for each thread that
    /// `numbers` are worth, which the work is about, and the place where they start. Places are multiples of `unit` below the
    /// length of the first slice; a slice that is shorter than the first gives empty blocks.
    pub(crate) fn for_parts<const N: usize>(
        &self,
        data: [&mut [f32]; N],
        unit: usize,
        numbers: usize,
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let length = data.first().map_or(0, |first| first.len());
        let units = length.div_ceil(unit.max(1));
        let tasks = self.threads_for(numbers).min(units);
        let edge = |task: usize| (units * task / tasks.max(1) * unit).min(length);
        let data = data.map(|slice| (slice.len() >= length, Items(slice.as_mut_ptr())));
        self.run(tasks, &|task| {
            let (start, end) = (edge(task), edge(task + 1));
            let blocks = std::array::from_fn(|index| {
                let (whole, items) = &data[index];
                let count = if *whole { end - start } else { 0 };
                // SAFETY: the ranges of different tasks are disjoint, as edges grow with the task, and end within every
                // slice that is as long as the first; an empty block of a shorter slice starts at its own start. `run`
                // calls once with each task; the exclusive borrows of the slices outlive `run`.
                unsafe { core::slice::from_raw_parts_mut(items.at(if *whole { start } else { 0 }), count) }
            });
            work(start, blocks);
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let region = self.shared.lock();
        self.shared.closing.store(true, Ordering::Release);
        self.shared.begun.notify_all();
        drop(region);
        for helper in self.helpers.drain(..) {
            // A helper cannot have panicked: it catches what tasks do.
            drop(helper.join());
        }
    }
}

/// The start of a slice whose items different tasks use.
struct Items<T>(*mut T);

// SAFETY: tasks get disjoint items of a slice that is exclusively borrowed (see the uses), and T may go to their threads.
unsafe impl<T: Send> Sync for Items<T> {}

impl<T> Items<T> {
    /// # Safety
    ///
    /// The index must not be beyond the end of the slice.
    unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: within the slice or at its end, as the caller promises.
        unsafe { self.0.add(index) }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Region> {
        // No task runs under the lock, so what it guards is whole even if it was poisoned.
        self.region.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a region; false where one is under way.
    fn begin(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) -> bool {
        let mut region = self.lock();
        if region.work.is_some() {
            return false;
        }
        // SAFETY: only the lifetime changes. `Pool::run` returns after `wait`, so after every call of `work` has
        // returned; no thread starts another, since by then all tasks have been claimed; and nothing can unwind
        // between `begin` and `wait`, since tasks' panics are caught.
        let work = unsafe { core::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        region.work = Some(work);
        region.tasks = tasks;
        region.next = 0;
        region.claimed.fill(false);
        self.unfinished.store(tasks, Ordering::Relaxed);
        self.published.fetch_add(1, Ordering::Release);
        if region.sleeping > 0 {
            self.begun.notify_all();
        }
        true
    }

    /// Does tasks of the current region, its own first, until all are claimed.
    fn take_part(&self, thread: usize) {
        loop {
            // A statement of its own: the lock must not be held while the task runs.
            let claimed = self.lock().claim(thread);
            let Some((work, task)) = claimed else { return };
            let outcome = catch_unwind(AssertUnwindSafe(|| work(task)));
            if let Err(panic) = outcome {
                self.lock().panic.get_or_insert(panic);
            }
            // Release: whoever sees zero also sees what the tasks wrote.
            if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
                // Under the lock, so that the caller cannot fall asleep between its last look and this call.
                let _region = self.lock();
                self.finished.notify_all();
            }
        }
    }
    /// Returns when every task of the region is finished.
    fn wait(&self) {
        for _ in 0..LOOKS {
            if self.unfinished.load(Ordering::Acquire) == 0 {
                return;
            }
            core::hint::spin_loop();
        }
        let mut region = self.lock();
        while self.unfinished.load(Ordering::Acquire) != 0 {
            region = self.finished.wait(region).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes room for the next region; what the first panic left behind, if a task panicked.
    fn end(&self) -> Option<Box<dyn Any + Send>> {
        let mut region = self.lock();
        region.work = None;
        region.panic.take()
    }

    /// The life of a helper, whose number among the threads this is; whoever calls `run` is number 0.
    fn help(&self, thread: usize) {
        let mut seen = 0;
        while let Some(published) = self.next_region(seen) {
            seen = published;
            self.take_part(thread);
        }
    }

    /// Waits for a region after the one last seen; None when the pool closes.
    fn next_region(&self, seen: usize) -> Option<usize> {
        let news = || {
            let published = self.published.load(Ordering::Acquire);
            (published != seen).then_some(published)
        };
        for _ in 0..LOOKS {
            if let Some(published) = news() {
                return Some(published);
            }
            core::hint::spin_loop();
        }
        let mut region = self.lock();
        loop {
            if self.closing.load(Ordering::Acquire) {
                return None;
            }
            if let Some(published) = news() {
                return Some(published);
            }
            region.sleeping += 1;
            region = self.begun.wait(region).unwrap_or_else(PoisonError::into_inner);
            region.sleeping -= 1;
        }
    }
}

impl Region {
    /// The closure and the thread's own task, or else the next that nobody has taken.
    fn claim(&mut self, thread: usize) -> Option<(Work, usize)> {
        let work = self.work?;
        let own = self.claimed.get_mut(thread).filter(|_| thread < self.tasks);
        if own.is_some_and(|claimed| !core::mem::replace(claimed, true)) {
            return Some((work, thread));
        }
        while self.next < self.tasks {
            let task = self.next;
            self.next += 1;
            let taken = self.claimed.get_mut(task).is_some_and(|claimed| core::mem::replace(claimed, true));
            if !taken {
                return Some((work, task));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Pool, Region};

    #[test]
    fn a_thread_takes_its_own_task_first_and_each_task_is_taken_once() {
        let claims = |tasks: usize, threads: &[usize]| {
            let work: super::Work = &|_| ();
            let mut region = Region { work: Some(work), tasks, claimed: [false; 3].into(), ..Region::default() };
            let claim = |&thread: &usize| region.claim(thread).map(|(_, task)| task);
            threads.iter().map(claim).collect::<Vec<_>>()
        };
        assert_eq!(claims(3, &[2, 0, 1, 1]), [Some(2), Some(0), Some(1), None]);
        // The second thread is late, and the first does what would have been the second's.
        assert_eq!(claims(3, &[0, 2, 0, 1]), [Some(0), Some(2), Some(1), None]);
        // Tasks that are nobody's own.
        assert_eq!(claims(5, &[1, 1, 1, 2, 1, 0]), [Some(1), Some(0), Some(2), Some(3), Some(4), None]);
        // A thread that has none.
        assert_eq!(claims(1, &[2, 0]), [Some(0), None]);
    }

    #[test]
    fn every_task_runs_once_in_region_after_region() {
        for threads in 1..4 {
            let pool = Pool::new(threads);
            for round in 0..2_000 {
                let tasks = round % 7;
                let mut counts = [0; 7];
                pool.for_each(&mut counts[..tasks], |task, count| *count += task + 1);
                let expected = |task: usize| if task < tasks { task + 1 } else { 0 };
                assert!(counts.iter().enumerate().all(|(task, count)| *count == expected(task)));
            }
        }
    }

    #[test]
    fn sleeping_helpers_wake() {
        let pool = Pool::new(3);
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(2));
            let sum = AtomicUsize::new(0);
            pool.run(5, &|task| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 10);
        }
    }

    #[test]
    fn rows_are_shared_without_gap_or_overlap() {
        for threads in 1..4 {
            let pool = Pool::new(threads);
            for (length, row_length) in
                [(0, 4), (4, 4), (20, 4), (21, 4), (3, 10), (1000, 7), (50_000, 7), (40_003, 9_000)]
            {
                let mut data = vec![0.0; length];
                pool.for_rows(&mut data, row_length, |first, block| {
                    for (row, values) in block.chunks_mut(row_length).enumerate() {
                        values.iter_mut().for_each(|value| *value += (first + row + 1) as f32);
                    }
                });
                assert!(data.iter().enumerate().all(|(index, value)| *value == (index / row_length + 1) as f32));
            }
        }
    }

    #[test]
    fn a_pool_serves_several_threads_and_tasks_that_start_tasks() {
        let pool = Pool::new(2);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let sum = AtomicUsize::new(0);
                        pool.run(3, &|_| {
                            pool.run(2, &|task| {
                                sum.fetch_add(task + 1, Ordering::Relaxed);
                            });
                        });
                        assert_eq!(sum.into_inner(), 9);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_comes_back_to_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        for _ in 0..10 {
            let outcome = catch_unwind(AssertUnwindSafe(|| pool.run(4, &|task| assert_ne!(task, 2))));
            assert!(outcome.is_err());
            let mut counts = [0; 4];
            pool.for_each(&mut counts, |_, count| *count += 1);
            assert_eq!(counts, [1; 4]);
        }
    }
}
