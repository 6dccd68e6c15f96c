//! wgrad inside another wgpu program: parameters and predictions as ranges of GPU buffers, and steps recorded into the
//! caller's own command encoder. Nothing here waits or copies to the host unless it says so.

use crate::blocking::block_on;
use crate::data::batches::fill_order;
use crate::data::{Dataset, Samples};
use crate::error::{Error, Result};
use crate::executor::{Executor, Run, gpu};
use crate::kernels::gather_batch::INPUT_SLOTS;
use crate::kernels::padded;
use crate::model::Model;
use crate::model::binding::check_batch_size;
use crate::plan::{Mode, STATISTICS_SLOTS};
use crate::records::metrics::{Meter, Score, StepStatistics};

/// A matrix in a GPU buffer. Rows are padded to four numbers; the padding is zero.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BufferView {
    /// The buffer; it has `STORAGE`, `COPY_SRC` and `COPY_DST` usage.
    pub buffer: wgpu::Buffer,
    /// Where the first row starts, in bytes.
    pub offset: u64,
    /// How many rows there are; a bias has one.
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
    /// Bytes from the start of a row to the start of the next.
    pub row_stride: u64,
}

/// Training steps that the caller records and submits; made by [`Model::trainer`].
#[derive(Debug)]
pub struct Trainer<'m> {
    model: &'m mut Model,
    run: Run,
    order: Vec<u32>,
    batch_size: usize,
    steps_left: usize,
    counts_answers: bool,
    /// The ring slot of the epoch's first step.
    first_slot: u32,
    /// Steps whose learning rates are in the ring and that have not been recorded.
    free: usize,
}

/// Predictions that stay on the GPU; made by [`Model::predictor`].
#[derive(Debug)]
pub struct Predictor {
    run: Box<gpu::Run>,
    view: BufferView,
}

impl Model {
    fn needs_gpu(&self, what: &'static str) -> Error {
        Error::NeedsGpu { what, device: self.device_info().name }
    }

    /// Where a parameter lives on the GPU. The buffer stays the same for the model's life.
    ///
    /// # Errors
    /// [`Error::NeedsGpu`] on the CPU device, [`Error::Configuration`] if there is no such parameter.
    pub fn parameter_view(&self, name: &str) -> Result<BufferView> {
        let (tensor, store) = self.tensor(name)?;
        let executor = self.lock()?;
        let Executor::Gpu(gpu) = &*executor else { return Err(self.needs_gpu("a parameter's buffer")) };
        let buffer = gpu.store(store).ok_or_else(|| self.needs_gpu("a parameter's buffer"))?;
        Ok(BufferView {
            buffer: buffer.clone(),
            offset: 4 * tensor.offset as u64,
            rows: tensor.rows,
            columns: tensor.columns,
            row_stride: 4 * tensor.stride() as u64,
        })
    }

    /// Prepares steps on `data` for recording into the caller's encoder. The data is uploaded now and stays on the GPU.
    ///
    /// ```no_run
    /// # fn example(model: &mut wgrad::Model, data: &wgrad::Dataset) -> wgrad::Result<()> {
    /// let device = model.device().clone();
    /// let Some((gpu, queue)) = device.wgpu() else { return Ok(()) };
    /// let mut trainer = model.trainer(data, 128)?;
    /// trainer.begin_epoch(0, true)?;
    /// let mut encoder = gpu.create_command_encoder(&Default::default());
    /// trainer.record(&mut encoder, 10);
    /// queue.submit([encoder.finish()]);
    /// println!("{}", trainer.score()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NeedsGpu`] on the CPU device, [`Error::Limit`] if the data does not fit in one binding, and what
    /// [`Model::fit`] may return.
    pub fn trainer(&mut self, data: &Dataset, batch_size: usize) -> Result<Trainer<'_>> {
        check_batch_size(batch_size)?;
        if self.device().wgpu().is_none() {
            return Err(self.needs_gpu("recording steps"));
        }
        let weights = data.sample_weights().map(<[f32]>::to_vec);
        let run = self.open(&mut *self.lock()?, Mode::Train, data, weights, batch_size, u64::MAX)?;
        refuse_streaming(&run)?;
        let order = (0..data.len() as u32).collect();
        let counts_answers = self.counts_answers(data);
        let mut trainer =
            Trainer { model: self, run, order, batch_size, steps_left: 0, counts_answers, first_slot: 0, free: 0 };
        trainer.start()?;
        Ok(trainer)
    }

    /// Prepares predictions that stay on the GPU, for all of `samples` at once.
    ///
    /// # Errors
    /// [`Error::NeedsGpu`] on the CPU device, [`Error::Limit`] if samples or outputs do not fit in one binding, and what
    /// [`Model::predict`] may return.
    pub fn predictor<'s>(&self, samples: impl Into<Samples<'s>>) -> Result<Predictor> {
        if self.device().wgpu().is_none() {
            return Err(self.needs_gpu("predictions on the GPU"));
        }
        let data = samples.into().into_dataset(self.features())?;
        let mut executor = self.lock()?;
        let mut run = self.open(&mut executor, Mode::Predict, &data, None, data.len(), u64::MAX)?;
        refuse_streaming(&run)?;
        let order: Vec<u32> = (0..data.len() as u32).collect();
        let step = self.step().start(data.len() as u32, data.len() as u32);
        let rates = self.rates();
        executor.begin(&mut run, &order, step, rates)?;
        let Run::Gpu(run) = run else { return Err(self.needs_gpu("predictions on the GPU")) };
        if let Executor::Gpu(gpu) = &mut *executor {
            // Its outputs and its step block are to stay as they are, whatever else is predicted meanwhile.
            gpu.leave_program_to(&run);
        }
        let buffer = run.outputs().cloned().ok_or_else(|| self.needs_gpu("predictions on the GPU"))?;
        let columns = self.outputs();
        let row_stride = 4 * padded(columns) as u64;
        Ok(Predictor { run, view: BufferView { buffer, offset: 0, rows: data.len(), columns, row_stride } })
    }
}

fn refuse_streaming(run: &Run) -> Result<()> {
    match run {
        Run::Gpu(run) if run.is_streamed() => Err(run.too_large()),
        _ => Ok(()),
    }
}

impl Trainer<'_> {
    /// Steps that an epoch has.
    pub fn steps_per_epoch(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// Steps of this epoch that have not been recorded.
    pub fn steps_left(&self) -> usize {
        self.steps_left
    }

    /// Starts an epoch in an order of its own, or in the data's. Submit what was recorded before: the new order is in
    /// place from the next submission on.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn begin_epoch(&mut self, seed: u64, shuffle: bool) -> Result<()> {
        let epoch = self.model.epochs_seen(self.steps_per_epoch()) as u64;
        let samples = self.order.len();
        fill_order(&mut self.order, samples, seed, epoch, shuffle);
        self.start()
    }

    fn start(&mut self) -> Result<()> {
        let step = self.model.step().start(self.order.len() as u32, self.batch_size as u32);
        self.first_slot = step.slot;
        self.steps_left = self.steps_per_epoch();
        let rates = self.model.rates();
        let mut executor = self.model.lock()?;
        executor.clear_counts(&self.run)?;
        executor.begin(&mut self.run, &self.order, step, rates)?;
        drop(executor);
        self.free_ring()
    }

    /// Frees the ring of learning rates for steps to come.
    fn free_ring(&mut self) -> Result<()> {
        self.free = INPUT_SLOTS;
        match &mut self.run {
            Run::Gpu(run) => run.fill_ring(INPUT_SLOTS),
            Run::Cpu(_) => Ok(()),
        }
    }

    /// Waits for what was submitted. Where the optimizer has a schedule, at most 1024 steps can be recorded from one call
    /// of this, or of [`Trainer::begin_epoch`], to the next: their learning rates wait in a ring.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn wait(&mut self) -> Result<()> {
        if let Run::Gpu(run) = &self.run {
            block_on(run.read_statistics())?;
        }
        self.free_ring()
    }

    /// Records up to `steps` steps, no more than the epoch has left, nor, with a schedule, than [`Trainer::wait`] says;
    /// returns how many. They are made when the caller
    /// submits the encoder.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, steps: usize) -> usize {
        let scheduled = self.model.optimizer().schedule().is_some();
        let steps = steps.min(self.steps_left).min(if scheduled { self.free } else { usize::MAX });
        if let Run::Gpu(run) = &mut self.run {
            run.record(encoder, steps);
            run.recorded(steps);
        }
        self.model.advance(steps);
        self.steps_left -= steps;
        self.free -= steps.min(self.free);
        steps
    }

    /// Waits for what was submitted, and reads loss, accuracy and the model's metrics of the epoch's steps so far (losses,
    /// accuracy and means of errors of the last 1024 if there were more). Without metrics it copies 16 KiB to the host.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn score(&self) -> Result<Score> {
        let Run::Gpu(run) = &self.run else { return Ok(Score::default()) };
        let ring = block_on(run.read_statistics())?;
        let end = run.step().slot;
        let first = self.first_slot.max(end.saturating_sub(STATISTICS_SLOTS as u32));
        let counts = block_on(run.counts())?;
        let mut meter = Meter::new(self.counts_answers, self.model.counted().clone());
        let words = run.plan().slot;
        for slot in first..end {
            let start = words * (slot as usize % STATISTICS_SLOTS);
            StepStatistics::all(&ring[start..start + words], words).for_each(|step| meter.add(step));
        }
        Ok(meter.total(&counts))
    }
}

impl Predictor {
    /// Records the predictions; they are made when the caller submits the encoder.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        self.run.record(encoder, 1);
    }

    /// Where the outputs are once the encoder has run: a row a sample.
    pub fn outputs(&self) -> &BufferView {
        &self.view
    }
}
