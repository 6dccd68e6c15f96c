//! In which order a streamed set is read, and reading ahead. A *window* is what is in memory at a time: whole batches,
//! all but the last one of a pass of the same size.

use std::ops::Range;
use std::sync::Arc;

use super::{Check, StreamedDataset};
use crate::data::{Dataset, InputRows, Inputs, TargetRows, Targets, Weights};
use crate::error::Result;
use crate::memory;
use crate::random::Random;

/// Set apart from the streams of a training's seed that have other uses (see `batches.rs`).
const STREAM: u64 = 0x7769_6e64_6f77_0000;

/// Some samples of a pass, and the order in which it visits them.
pub(crate) struct Window {
    pub data: Dataset,
    pub order: Vec<u32>,
    /// Which rows of the reader's these are.
    pieces: Vec<Range<usize>>,
}

impl Window {
    /// The reader's row that a row of the window is.
    pub fn row(&self, row: usize) -> usize {
        self.pieces.iter().cloned().flatten().nth(row).unwrap_or(row)
    }
}

/// The windows of one pass, one after the other.
#[derive(Clone)]
pub(crate) struct Windows {
    set: StreamedDataset,
    /// Samples of a window.
    rows: usize,
    /// Blocks to come, by number; none where the pass is not shuffled.
    blocks: std::vec::IntoIter<usize>,
    /// What is left of the current block, or of the set where the pass is not shuffled.
    rest: Range<usize>,
    /// For shuffling within windows.
    random: Option<Random>,
    /// What all samples are held against.
    check: Option<Check>,
    /// Samples at the pass's start that are left out.
    skipped: usize,
}

impl Windows {
    /// A pass in batches of `batch_size`: shuffled by seed and epoch, or in the order of the samples.
    pub fn new(set: &StreamedDataset, batch_size: usize, shuffle: Option<(u64, u64)>) -> Self {
        let mut random = shuffle.map(|(seed, epoch)| Random::new(seed, STREAM.wrapping_add(epoch)));
        let mut blocks = Vec::new();
        if let Some(random) = &mut random {
            blocks.extend(0..set.len().div_ceil(set.block));
            random.shuffle(&mut blocks);
        }
        let rest = if random.is_some() { 0..0 } else { 0..set.len() };
        let (rows, blocks) = (Self::rows(set, batch_size), blocks.into_iter());
        Windows { set: set.clone(), rows, blocks, rest, random, skipped: 0, check: None }
    }

    /// The same pass without its first samples.
    pub fn after(self, samples: usize) -> Self {
        Windows { skipped: samples, ..self }
    }

    /// The same, all that is read being held against this.
    pub fn checked(self, check: Check) -> Self {
        Windows { check: Some(check), ..self }
    }

    /// How many samples a window has at most.
    pub fn rows(set: &StreamedDataset, batch_size: usize) -> usize {
        set.buffer.min(set.len()).div_ceil(batch_size) * batch_size
    }

    /// The next samples of the pass that lie next to each other, `most` at most.
    fn piece(&mut self, most: usize) -> Option<Range<usize>> {
        if self.rest.is_empty() {
            let start = self.blocks.next()? * self.set.block;
            self.rest = start..(start + self.set.block).min(self.set.len());
        }
        let end = self.rest.end.min(self.rest.start + most);
        let piece = self.rest.start..end;
        self.rest.start = end;
        Some(piece)
    }

    /// The window of these pieces. One that is left out whole is not read, but it is shuffled: the numbers for those after
    /// it are drawn from there on.
    fn window(&mut self, pieces: &[Range<usize>], rows: usize) -> Result<Option<Window>> {
        let skipped = self.skipped.min(rows);
        let data = if skipped < rows { Some(self.read(pieces, rows)?) } else { None };
        let mut order = memory::room(rows, || filling(rows))?;
        order.extend(0..rows as u32);
        if let Some(random) = &mut self.random {
            random.shuffle(&mut order);
        }
        order.drain(..skipped);
        self.skipped -= skipped;
        let first = self.set.rows.start;
        let pieces = pieces.iter().map(|piece| first + piece.start..first + piece.end).collect();
        Ok(data.map(|data| Window { data, order, pieces }))
    }

    fn read(&self, pieces: &[Range<usize>], rows: usize) -> Result<Dataset> {
        if let [piece] = pieces {
            return self.set.read_checked(piece.clone(), self.check.as_ref());
        }
        let mut joined = Joined::like(&self.set.example, rows)?;
        for piece in pieces {
            joined.append(&self.set.read_checked(piece.clone(), self.check.as_ref())?);
        }
        Ok(joined.finish())
    }
}

impl Iterator for Windows {
    type Item = Result<Window>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (mut pieces, mut rows) = (Vec::new(), 0);
            while rows < self.rows {
                let Some(piece) = self.piece(self.rows - rows) else { break };
                rows += piece.len();
                pieces.push(piece);
            }
            if pieces.is_empty() {
                return None;
            }
            match self.window(&pieces, rows) {
                Ok(None) => {}
                Ok(Some(window)) => return Some(Ok(window)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Pieces of a set, put together where each has its place from the start: a window is copied once, and never there
/// twice.
struct Joined {
    inputs: Inputs,
    targets: Targets,
    weights: Option<Arc<[f32]>>,
    features: usize,
    rows: usize,
}

impl Joined {
    fn like(example: &Dataset, rows: usize) -> Result<Self> {
        let features = example.features();
        let inputs = match example.inputs() {
            InputRows::Bytes { scale, .. } => Inputs::Bytes { values: room(rows, features)?, scale },
            InputRows::Floats(_) => Inputs::Floats(room(rows, features)?),
        };
        let targets = match example.targets() {
            TargetRows::Classes { classes, .. } => Targets::Classes { ids: room(rows, 1)?, classes },
            TargetRows::Rows { width, .. } => Targets::Rows { values: room(rows, width)?, width },
        };
        let weights = example.sample_weights().map(|_| room(rows, 1)).transpose()?;
        Ok(Joined { inputs, targets, weights, features, rows: 0 })
    }

    /// `part` is of the same kind as the example, which `StreamedDataset::read` has checked.
    fn append(&mut self, part: &Dataset) {
        match (&mut self.inputs, part.inputs()) {
            (Inputs::Bytes { values, .. }, InputRows::Bytes { values: part, .. }) => {
                put(values, self.rows * self.features, part);
            }
            (Inputs::Floats(values), InputRows::Floats(part)) => put(values, self.rows * self.features, part),
            _ => {}
        }
        match (&mut self.targets, part.targets()) {
            (Targets::Classes { ids, .. }, TargetRows::Classes { ids: part, .. }) => put(ids, self.rows, part),
            (Targets::Rows { values, width }, TargetRows::Rows { values: part, .. }) => {
                put(values, self.rows * *width, part);
            }
            _ => {}
        }
        if let (Some(weights), Some(part)) = (&mut self.weights, part.sample_weights()) {
            put(weights, self.rows, part);
        }
        self.rows += part.len();
    }

    fn finish(self) -> Dataset {
        let Joined { inputs, targets, weights, features, rows } = self;
        let weights = weights.map(|values| Weights { values, first: 0 });
        Dataset { inputs, features, targets, weights, rows: 0..rows }
    }
}

/// Zeros for rows of `width` numbers.
fn room<T: Copy + Default>(rows: usize, width: usize) -> Result<Arc<[T]>> {
    let during = || filling(rows);
    memory::shared(memory::zeros(rows.saturating_mul(width), during)?, during)
}

fn filling(rows: usize) -> String {
    format!("filling a buffer of {rows} samples of a streamed data set")
}

fn put<T: Copy>(values: &mut Arc<[T]>, at: usize, part: &[T]) {
    // Nobody else holds the array before it is finished.
    if let Some(values) = Arc::get_mut(values) {
        values[at..at + part.len()].copy_from_slice(part);
    }
}

/// Windows that a thread of its own reads, one ahead of the one in use. Where there are no threads, or none can be had,
/// each is read when it is asked for.
pub(crate) enum ReadAhead {
    /// Dropping it waits for the read under way, so that nothing is read any more when a call has returned.
    #[cfg(feature = "native")]
    Thread(native::Reader),
    Inline(Box<Windows>),
}

impl ReadAhead {
    #[cfg(feature = "native")]
    pub fn new(windows: Windows) -> Self {
        match native::Reader::spawn(windows.clone()) {
            Ok(reader) => ReadAhead::Thread(reader),
            Err(_) => ReadAhead::Inline(Box::new(windows)),
        }
    }

    #[cfg(not(feature = "native"))]
    pub fn new(windows: Windows) -> Self {
        ReadAhead::Inline(Box::new(windows))
    }

    /// The next window; `None` after the last.
    pub fn next(&mut self) -> Option<Result<Window>> {
        match self {
            #[cfg(feature = "native")]
            ReadAhead::Thread(reader) => reader.next(),
            ReadAhead::Inline(windows) => windows.next(),
        }
    }
}

#[cfg(feature = "native")]
mod native {
    use std::io;
    use std::sync::mpsc::{self, Receiver};
    use std::thread::{Builder, JoinHandle};

    use super::{Window, Windows};
    use crate::error::Result;

    pub(crate) struct Reader {
        /// Taken when the reader is dropped, which tells the thread that no more is wanted.
        windows: Option<Receiver<Result<Window>>>,
        thread: Option<JoinHandle<()>>,
    }

    impl Reader {
        pub fn spawn(windows: Windows) -> io::Result<Self> {
            // No room in the channel: the thread holds the window that is ready, and reads the next one when that is taken.
            let (sender, receiver) = mpsc::sync_channel(0);
            let read = move || {
                for window in windows {
                    let failed = window.is_err();
                    if sender.send(window).is_err() || failed {
                        return;
                    }
                }
            };
            let thread = Builder::new().name("wgrad-reader".into()).spawn(read)?;
            Ok(Reader { windows: Some(receiver), thread: Some(thread) })
        }

        pub fn next(&mut self) -> Option<Result<Window>> {
            let window = self.windows.as_ref().and_then(|windows| windows.recv().ok());
            if window.is_none()
                && let Some(thread) = self.thread.take()
                && let Err(panic) = thread.join()
            {
                // The caller's own reader panicked: the panic goes on where it would have without a thread.
                std::panic::resume_unwind(panic);
            }
            window
        }
    }

    impl Drop for Reader {
        fn drop(&mut self) {
            self.windows = None;
            if let Some(thread) = self.thread.take() {
                // A panic while reading ahead is dropped: that window is no longer wanted.
                drop(thread.join());
            }
        }
    }
}
