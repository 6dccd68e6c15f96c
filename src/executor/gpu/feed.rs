//! How samples reach the GPU: the whole set once (resident), or chunk after chunk into two sets of buffers in turn
//! (streamed), the next chunk being copied while the device works on the last. Either way `gather_batch` sees the same
//! rows, so a training gives the same bits. A set that the host reads in pieces is always streamed: its pieces take
//! each other's place as what the chunks are made from.

use std::num::NonZeroU64;

use super::{KERNEL_USAGE, Program, arguments, bind};
use crate::data::Dataset;
use crate::device::context::Context;
use crate::error::Result;
use crate::executor::Feed;
use crate::executor::rows::{pack_sample, pack_target, sample_words, target_words};
use crate::plan::{Argument, Plan, Store};

/// The data set's buffers, and the bind groups of the dispatches that read them.
#[derive(Debug)]
pub(super) struct DataBuffers {
    samples: wgpu::Buffer,
    targets: wgpu::Buffer,
    weights: wgpu::Buffer,
    order: wgpu::Buffer,
    sizes: Sizes,
    /// For each dispatch of the program; `None` for those that do not read the data set.
    pub bind_groups: Vec<Option<wgpu::BindGroup>>,
}

/// Sizes of one set of buffers.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    rows: usize,
    sample_words: usize,
    target_words: usize,
    weighted: bool,
}

impl DataBuffers {
    fn new(context: &Context, program: &Program, sizes: Sizes) -> Result<Self> {
        let weights = if sizes.weighted { sizes.rows } else { 0 };
        let mut buffers = DataBuffers {
            samples: context.buffer("samples", sizes.rows * sizes.sample_words, KERNEL_USAGE)?,
            targets: context.buffer("sample_targets", sizes.rows * sizes.target_words, KERNEL_USAGE)?,
            weights: context.buffer("sample_weights", weights, KERNEL_USAGE)?,
            order: context.buffer("order", sizes.rows, KERNEL_USAGE)?,
            sizes,
            bind_groups: Vec::new(),
        };
        for (launches, prepared) in program.plan.dispatched().zip(&program.dispatches) {
            let bind_group = match prepared.bind_group {
                Some(_) => None,
                None => {
                    let bound: Vec<_> = arguments(launches, program.plan.key.capacity)
                        .filter_map(|argument| Some((*argument, buffers.resolve(program, argument)?)))
                        .collect();
                    Some(bind(context, &Plan::label(launches), &prepared.pipeline, &bound)?)
                }
            };
            buffers.bind_groups.push(bind_group);
        }
        Ok(buffers)
    }

    fn resolve<'a>(&'a self, program: &'a Program, argument: &Argument) -> Option<&'a wgpu::Buffer> {
        let store = program.plan.buffers[argument.buffer].store;
        if store.is_data() { Some(self.buffer(store)) } else { program.buffers[argument.buffer].as_ref() }
    }

    fn buffer(&self, store: Store) -> &wgpu::Buffer {
        match store {
            Store::Samples => &self.samples,
            Store::SampleTargets => &self.targets,
            Store::SampleWeights => &self.weights,
            _ => &self.order,
        }
    }

    /// Copies the samples that `rows` names, in that order, to the start of the buffers, through memory that the driver
    /// maps for it: the only copy on the host is the packing itself.
    fn upload(
        &self,
        context: &Context,
        data: &Dataset,
        weights: Option<&[f32]>,
        rows: impl Iterator<Item = usize> + Clone,
        count: usize,
    ) {
        let mut words = vec![0; self.sizes.sample_words];
        write_rows(context, &self.samples, rows.clone(), count, &mut words, |sample, words| {
            pack_sample(data, sample, words);
        });
        words.resize(self.sizes.target_words, 0);
        write_rows(context, &self.targets, rows.clone(), count, &mut words, |sample, words| {
            pack_target(data, sample, words);
        });
        if let Some(weights) = weights {
            words.resize(1, 0);
            write_rows(context, &self.weights, rows, count, &mut words, |sample, words| {
                words[0] = weights[sample].to_bits();
            });
        }
    }

    pub fn write_order(&self, context: &Context, order: &[u32]) {
        context.queue.write_buffer(&self.order, 0, bytemuck::cast_slice(order));
    }
}

/// Rows are handed to the driver in pieces of about this size, so that the driver's staging memory stays small.
const PIECE_BYTES: usize = 4 << 20;

fn write_rows(
    context: &Context,
    buffer: &wgpu::Buffer,
    rows: impl Iterator<Item = usize>,
    count: usize,
    words: &mut [u32],
    pack: impl Fn(usize, &mut [u32]),
) {
    let row_bytes = 4 * words.len();
    if row_bytes == 0 {
        return;
    }
    let per_piece = (PIECE_BYTES / row_bytes).max(1);
    let mut rows = rows.take(count);
    let mut done = 0;
    while done < count {
        let piece = per_piece.min(count - done);
        let Some(size) = NonZeroU64::new((piece * row_bytes) as u64) else { return };
        // `None` means that wgpu has raised an error into the scope around this upload.
        let Some(mut view) = context.queue.write_buffer_with(buffer, (done * row_bytes) as u64, size) else { return };
        for (row, sample) in rows.by_ref().take(piece).enumerate() {
            pack(sample, words);
            view.slice(row * row_bytes..(row + 1) * row_bytes).copy_from_slice(bytemuck::cast_slice(words));
        }
        done += piece;
        drop(view);
        // Starts the copy, so that wgpu can release the staging memory before the next piece is done.
        context.queue.submit([]);
    }
}

/// Where a run's samples come from.
#[derive(Debug)]
pub(super) enum Source {
    Resident { buffers: DataBuffers },
    Streamed { halves: Box<[DataBuffers; 2]>, data: Dataset, weights: Option<Vec<f32>>, order: Vec<u32>, chunk: Chunk },
}

/// How far a streamed pass has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// Rows of every chunk but the last; a multiple of the batch size, so batches are those of resident data.
    rows: usize,
    /// Where the next chunk starts in the order.
    next: usize,
    /// Which half holds the current chunk.
    half: usize,
    /// Steps of the current chunk that have not been submitted.
    steps_left: usize,
}

impl Source {
    pub fn new(
        context: &Context,
        program: &Program,
        data: &Dataset,
        weights: Option<Vec<f32>>,
        feed: Feed,
    ) -> Result<Self> {
        let limits = context.limits();
        let largest = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let mut sizes = Sizes {
            rows: feed.window.unwrap_or(data.len()),
            sample_words: sample_words(data),
            target_words: if program.plan.key.format.target_ids.is_some() { target_words(data) } else { 0 },
            weighted: weights.is_some(),
        };
        let row_bytes = 4 * sizes.sample_words.max(sizes.target_words) as u64;
        let total = row_bytes * sizes.rows as u64;
        if feed.window.is_none() && total <= feed.budget.min(largest) {
            let buffers = DataBuffers::new(context, program, sizes)?;
            context.scoped("uploading the data set", || {
                buffers.upload(context, data, weights.as_deref(), 0..data.len(), data.len());
            })?;
            return Ok(Source::Resident { buffers });
        }
        // Two chunks share the budget; at least one batch fits in each.
        let fitting = (feed.budget / 2).min(largest) / row_bytes;
        let batches = (fitting as usize / feed.batch_size).max(1);
        sizes.rows = (batches * feed.batch_size).min(sizes.rows);
        let halves = [DataBuffers::new(context, program, sizes)?, DataBuffers::new(context, program, sizes)?];
        let identity: Vec<u32> = (0..sizes.rows as u32).collect();
        context.scoped("uploading the order of a chunk", || {
            halves.iter().for_each(|half| half.write_order(context, &identity));
        })?;
        let chunk = Chunk { rows: sizes.rows, next: 0, half: 1, steps_left: 0 };
        let (data, order) = (data.clone(), Vec::new());
        Ok(Source::Streamed { halves: Box::new(halves), data, weights, order, chunk })
    }

    /// Starts a pass in this order.
    pub fn begin(&mut self, context: &Context, order: &[u32]) -> Result<()> {
        match self {
            Source::Resident { buffers } => {
                context.scoped("uploading the epoch's order", || buffers.write_order(context, order))
            }
            Source::Streamed { order: kept, chunk, .. } => {
                kept.clear();
                kept.extend_from_slice(order);
                (chunk.next, chunk.steps_left) = (0, 0);
                Ok(())
            }
        }
    }

    /// Other samples take the place of a streamed source's; a pass over them begins with [`Source::begin`].
    pub fn replace(&mut self, data: Dataset, weights: Option<Vec<f32>>) {
        if let Source::Streamed { data: bound, weights: of_bound, .. } = self {
            (*bound, *of_bound) = (data, weights);
        }
    }

    /// How many of `steps` steps may go into the next submission. Where a new chunk must come first, uploads it and
    /// returns its number of rows.
    pub fn prepare(&mut self, context: &Context, steps: usize, batch_size: usize) -> Result<(usize, Option<usize>)> {
        let Source::Streamed { halves, data, weights, order, chunk } = self else { return Ok((steps, None)) };
        let mut fresh = None;
        if chunk.steps_left == 0 {
            let rows = &order[chunk.next..(chunk.next + chunk.rows).min(order.len())];
            chunk.half = 1 - chunk.half;
            let half = &halves[chunk.half];
            context.scoped("uploading a chunk", || {
                half.upload(context, data, weights.as_deref(), rows.iter().map(|&row| row as usize), rows.len());
            })?;
            chunk.next += rows.len();
            chunk.steps_left = rows.len().div_ceil(batch_size);
            fresh = Some(rows.len());
        }
        let steps = steps.min(chunk.steps_left);
        chunk.steps_left -= steps;
        Ok((steps, fresh))
    }

    /// The bind groups of the current data.
    pub fn bind_groups(&self) -> &[Option<wgpu::BindGroup>] {
        match self {
            Source::Resident { buffers } => &buffers.bind_groups,
            Source::Streamed { halves, chunk, .. } => &halves[chunk.half].bind_groups,
        }
    }

    /// A buffer of the current data.
    pub fn buffer(&self, store: Store) -> &wgpu::Buffer {
        match self {
            Source::Resident { buffers } => buffers.buffer(store),
            Source::Streamed { halves, chunk, .. } => halves[chunk.half].buffer(store),
        }
    }

    /// Bytes of all samples, as the device would hold them.
    pub fn total_bytes(&self) -> u64 {
        match self {
            Source::Resident { buffers } => buffers.samples.size(),
            Source::Streamed { data, .. } => 4 * (sample_words(data) * data.len()) as u64,
        }
    }

    /// Whether samples are uploaded during the run.
    pub fn is_streamed(&self) -> bool {
        matches!(self, Source::Streamed { .. })
    }
}
