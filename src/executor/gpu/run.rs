//! A program at work on a data set: steps are recorded, submitted, and their statistics (or outputs) read back through a
//! ring of staging buffers, several submissions being under way at once.

mod timing;

use std::collections::VecDeque;
use std::sync::Arc;

use futures::channel::oneshot;
use wgpu::BufferUsages as Usage;

use super::feed::Source;
use super::{Feed, Program, read_buffer};
use crate::data::Dataset;
use crate::device::context::Context;
use crate::error::{Error, Result};
use crate::executor::Rates;
use crate::kernels::gather_batch::INPUT_SLOTS;
use crate::kernels::padded;
use crate::plan::compare::Verification;
use crate::plan::{Launch, Mode, Phase, Plan, STATISTICS_SLOTS};
use crate::step::{Betas, StepBlock};

/// Steps and the copying of their results, recorded. Nothing in it depends on where in an epoch it stands: that is the
/// step block's.
#[derive(Debug)]
struct Recorded {
    commands: wgpu::CommandBuffer,
    staging: wgpu::Buffer,
    bytes: u64,
    steps: usize,
    /// The slot that the first step's statistics go to.
    slot: u32,
}

/// A submission whose results have not been read.
#[derive(Debug)]
struct InFlight {
    staging: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    mapped: oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

#[derive(Debug)]
pub(crate) struct Run {
    context: Arc<Context>,
    program: Arc<Program>,
    source: Source,
    /// The device's step block as it will be when everything submitted is done.
    step: StepBlock,
    betas: Betas,
    rates: Rates,
    /// The one learning rate that the whole ring holds.
    filled: Option<f32>,
    spare: Vec<wgpu::Buffer>,
    in_flight: VecDeque<InFlight>,
    /// What was recorded for the start of the next epoch.
    ahead: Option<Recorded>,
}

impl Run {
    pub(super) fn new(
        context: Arc<Context>,
        program: Arc<Program>,
        data: &Dataset,
        weights: Option<Vec<f32>>,
        feed: Feed,
    ) -> Result<Self> {
        let source = Source::new(&context, &program, data, weights, feed)?;
        let betas = program.plan.betas();
        Ok(Run {
            context,
            program,
            source,
            step: StepBlock::default(),
            betas,
            rates: Rates::Constant(0.0),
            filled: None,
            spare: Vec::new(),
            in_flight: VecDeque::new(),
            ahead: None,
        })
    }

    pub fn replace(&mut self, data: Dataset, weights: Option<Vec<f32>>) {
        self.source.replace(data, weights);
    }

    pub fn plan(&self) -> &Plan {
        &self.program.plan
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub fn begin(&mut self, order: &[u32], step: StepBlock, rates: Rates) -> Result<()> {
        self.source.begin(&self.context, order)?;
        (self.step, self.rates) = (step, rates);
        self.write_step()
    }

    /// Fills the ring of learning rates for the next `steps` steps. Where all are the same, they are there for good.
    pub fn fill_ring(&mut self, steps: usize) -> Result<()> {
        let Some(buffer) = &self.program.buffers[self.program.plan.learning_rates] else { return Ok(()) };
        let (constant, first) = match self.rates {
            Rates::Constant(rate) => (Some(rate), 0),
            Rates::Schedule(_) => (None, self.step.slot as usize % INPUT_SLOTS),
        };
        if constant.is_some() && constant == self.filled {
            return Ok(());
        }
        let steps = if constant.is_some() { INPUT_SLOTS } else { steps };
        let rates: Vec<f32> =
            (0..steps as u32).map(|ahead| self.rates.of(self.step.batch.wrapping_add(ahead))).collect();
        let (before_end, behind) = rates.split_at(steps.min(INPUT_SLOTS - first));
        self.context.scoped("writing learning rates", || {
            self.context.queue.write_buffer(buffer, 4 * first as u64, bytemuck::cast_slice(before_end));
            if !behind.is_empty() {
                self.context.queue.write_buffer(buffer, 0, bytemuck::cast_slice(behind));
            }
        })?;
        self.filled = constant;
        Ok(())
    }

    fn write_step(&self) -> Result<()> {
        let Some(buffer) = &self.program.buffers[self.program.plan.next] else { return Ok(()) };
        self.context.scoped("writing the step block", || {
            self.context.queue.write_buffer(buffer, 0, bytemuck::bytes_of(&self.step));
        })
    }

    pub(super) fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The most steps of a submission.
    fn most_steps(&self) -> usize {
        if self.program.plan.key.mode == Mode::Predict { 1 } else { STATISTICS_SLOTS / 2 }
    }

    /// Records up to `steps` steps for the next epoch, while the device is at work on this one. Its first submission takes
    /// them. Streamed samples are bound to steps when they come, so nothing is recorded ahead for those.
    pub fn record_ahead(&mut self, steps: usize) -> Result<()> {
        if self.ahead.is_none() && !self.source.is_streamed() && self.program.plan.key.mode == Mode::Train {
            self.ahead = Some(self.recorded_submission(steps.min(self.most_steps()))?);
        }
        Ok(())
    }

    /// What was recorded ahead, if it fits here.
    fn take_ahead(&mut self) -> Option<Recorded> {
        let ahead = self.ahead.take()?;
        let left = (self.step.samples - self.step.position).div_ceil(self.step.batch_size);
        if ahead.slot == self.step.slot && ahead.steps <= left as usize {
            return Some(ahead);
        }
        self.spare.push(ahead.staging);
        None
    }

    fn recorded_submission(&mut self, steps: usize) -> Result<Recorded> {
        let predicts = self.program.plan.key.mode == Mode::Predict;
        let bytes = if predicts { self.output_bytes() } else { self.slot_bytes() * steps as u64 };
        let (staging, slot) = (self.staging()?, self.step.slot);
        let commands = self.context.scoped("recording steps", || {
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            self.record(&mut encoder, steps);
            self.copy_results(&mut encoder, &staging, slot as usize % STATISTICS_SLOTS, bytes);
            encoder.finish()
        })?;
        Ok(Recorded { commands, staging, bytes, steps, slot })
    }

    /// Submits up to `steps` steps, or those that were recorded ahead.
    pub fn submit(&mut self, steps: usize) -> Result<usize> {
        let predicts = self.program.plan.key.mode == Mode::Predict;
        let batch = self.step.batch_size as usize;
        let (steps, fresh) = self.source.prepare(&self.context, steps.min(self.most_steps()), batch)?;
        if let Some(rows) = fresh {
            self.step = self.step.start(rows as u32, self.step.batch_size);
            self.write_step()?;
        } else if predicts {
            // A plan for predictions has no launch that moves the step block on.
            self.write_step()?;
        }
        let recorded = match self.take_ahead() {
            Some(ahead) => ahead,
            None => self.recorded_submission(steps)?,
        };
        let Recorded { commands, staging, bytes, steps, .. } = recorded;
        if !predicts {
            self.fill_ring(steps)?;
        }
        let (sender, mapped) = oneshot::channel();
        let submission = self.context.scoped("submitting steps", || {
            let submission = self.context.queue.submit([commands]);
            // The receiver may be gone if the run was dropped; nobody misses the answer then.
            staging.map_async(wgpu::MapMode::Read, 0..bytes, move |result| drop(sender.send(result)));
            submission
        })?;
        self.in_flight.push_back(InFlight { staging, bytes, submission, mapped });
        self.recorded(steps);
        Ok(steps)
    }

    /// Records `steps` steps without results.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, steps: usize) {
        let mut pass = begin_pass(encoder);
        let mut step = self.step;
        for _ in 0..steps {
            for index in self.program.plan.dispatches_of_step(step.updates()) {
                self.record_dispatch(&mut pass, index);
            }
            step = step.advance(self.betas);
        }
    }

    fn record_dispatch(&self, pass: &mut wgpu::ComputePass<'_>, index: usize) {
        let (dispatch, own) = (&self.program.dispatches[index], &self.source.bind_groups()[index]);
        pass.set_pipeline(&dispatch.pipeline.pipeline);
        pass.set_bind_group(0, dispatch.bind_group.as_ref().or(own.as_ref()), &[]);
        pass.dispatch_workgroups(dispatch.groups[0], dispatch.groups[1], 1);
    }

    /// Runs one step dispatch by dispatch, each launch against its reference.
    pub async fn verify_step(&mut self, verification: &mut Verification) -> Result<()> {
        let batch = self.step.batch_size as usize;
        let (_, fresh) = self.source.prepare(&self.context, 1, batch)?;
        if let Some(rows) = fresh {
            self.step = self.step.start(rows as u32, self.step.batch_size);
            self.write_step()?;
        }
        self.fill_ring(1)?;
        let program = self.program.clone();
        for index in program.plan.dispatches_of_step(self.step.updates()) {
            let launches = &program.plan.launches[program.plan.dispatches[index].clone()];
            verification.shared = launches.len() > 1;
            let mut before = Vec::new();
            for launch in launches {
                before.push(self.arguments(launch).await?);
            }
            self.context.scoped(&Plan::label(launches), || {
                let mut encoder = self.context.device.create_command_encoder(&Default::default());
                self.record_dispatch(&mut begin_pass(&mut encoder), index);
                self.context.queue.submit([encoder.finish()]);
            })?;
            for (launch, before) in launches.iter().zip(before) {
                let opened = StepBlock { learning_rate: self.rates.of(self.step.batch), ..self.step };
                let step = if launch.phase == Phase::Gather { &self.step } else { &opened };
                verification.check(launch, step, before, self.arguments(launch).await?)?;
            }
        }
        self.recorded(1);
        verification.steps += 1;
        Ok(())
    }

    /// Copies of what a launch binds.
    async fn arguments(&self, launch: &Launch) -> Result<Vec<Vec<u32>>> {
        let mut copies = Vec::new();
        for argument in &launch.arguments {
            let buffer = match &self.program.buffers[argument.buffer] {
                Some(buffer) => buffer,
                None => self.source.buffer(self.program.plan.buffers[argument.buffer].store),
            };
            let values = read_buffer(&self.context, buffer).await?;
            let words: &[u32] = bytemuck::cast_slice(&values);
            copies.push(words[argument.range(words.len())].to_vec());
        }
        Ok(copies)
    }

    /// Moves the host's copy of the step block on by steps that were recorded.
    pub fn recorded(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step = self.step.advance(self.betas);
        }
    }

    /// The step block as it will be when everything submitted is done.
    pub fn step(&self) -> StepBlock {
        self.step
    }

    /// Whether samples are uploaded during the run.
    pub fn is_streamed(&self) -> bool {
        self.source.is_streamed()
    }

    /// What a caller hears who needs all of a set on the device at once.
    pub fn too_large(&self) -> Error {
        let limits = self.context.limits();
        Error::Limit {
            what: "a whole data set on the device".into(),
            limit: "maxStorageBufferBindingSize",
            needed: self.source.total_bytes(),
            available: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        }
    }

    /// Copies the ring of statistics to the host.
    pub async fn read_statistics(&self) -> Result<Vec<f32>> {
        match self.program.plan.statistics.and_then(|index| self.program.buffers[index].as_ref()) {
            Some(buffer) => read_buffer(&self.context, buffer).await,
            None => Ok(Vec::new()),
        }
    }

    /// The buffer of the model's outputs.
    pub fn outputs(&self) -> Option<&wgpu::Buffer> {
        self.program.buffers[self.program.plan.outputs].as_ref()
    }

    /// The buffer of metrics' tables.
    fn count_buffer(&self) -> Option<&wgpu::Buffer> {
        self.program.plan.counts.and_then(|index| self.program.buffers[index].as_ref())
    }

    pub fn clear_counts(&self) -> Result<()> {
        let Some(buffer) = self.count_buffer() else { return Ok(()) };
        let zeros = vec![0; buffer.size() as usize];
        self.context.scoped("clearing counts", || self.context.queue.write_buffer(buffer, 0, &zeros))
    }

    pub fn write_counts(&self, counts: &[u32]) -> Result<()> {
        let Some(buffer) = self.count_buffer() else { return Ok(()) };
        let bytes = bytemuck::cast_slice(counts);
        self.context.scoped("writing counts", || self.context.queue.write_buffer(buffer, 0, bytes))
    }

    /// Copies the tables of metrics to the host.
    pub async fn counts(&self) -> Result<Vec<u32>> {
        match self.count_buffer() {
            Some(buffer) => Ok(bytemuck::cast_vec(read_buffer(&self.context, buffer).await?)),
            None => Ok(Vec::new()),
        }
    }

    /// Bytes of a step's slot.
    fn slot_bytes(&self) -> u64 {
        4 * self.program.plan.slot as u64
    }

    fn output_bytes(&self) -> u64 {
        let plan = &self.program.plan;
        let words = plan.buffers[plan.outputs].words / padded(plan.key.capacity) * self.step.rows as usize;
        4 * words as u64
    }

    fn copy_results(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer, first_slot: usize, bytes: u64) {
        let buffer = |index: usize| self.program.buffers[index].as_ref();
        match self.program.plan.statistics.and_then(buffer) {
            Some(statistics) => {
                let start = self.slot_bytes() * first_slot as u64;
                let before_end = bytes.min(self.slot_bytes() * STATISTICS_SLOTS as u64 - start);
                encoder.copy_buffer_to_buffer(statistics, start, staging, 0, before_end);
                if before_end < bytes {
                    // The ring's end lies within this submission.
                    encoder.copy_buffer_to_buffer(statistics, 0, staging, before_end, bytes - before_end);
                }
            }
            None => {
                if let Some(outputs) = buffer(self.program.plan.outputs) {
                    encoder.copy_buffer_to_buffer(outputs, 0, staging, 0, bytes);
                }
            }
        }
    }

    /// A staging buffer that no submission uses.
    fn staging(&mut self) -> Result<wgpu::Buffer> {
        if let Some(buffer) = self.spare.pop() {
            return Ok(buffer);
        }
        let plan = &self.program.plan;
        let words = match plan.statistics {
            Some(_) => plan.slot * STATISTICS_SLOTS / 2,
            None => plan.buffers[plan.outputs].words,
        };
        self.context.buffer("results", words, Usage::COPY_DST | Usage::MAP_READ)
    }

    /// Waits for the oldest submission and takes its results.
    pub async fn wait(&mut self) -> Result<Vec<f32>> {
        let Some(flight) = self.in_flight.pop_front() else { return Ok(Vec::new()) };
        let during = "waiting for steps";
        self.context.wait(during, flight.submission).await?;
        let unmapped = |reason: &str| self.context.refusal(during, reason.into());
        match flight.mapped.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(unmapped(&error.to_string())),
            Err(_) => return Err(unmapped("the results never arrived")),
        }
        let values = {
            let view =
                flight.staging.get_mapped_range(0..flight.bytes).map_err(|error| unmapped(&error.to_string()))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        flight.staging.unmap();
        self.spare.push(flight.staging);
        Ok(values)
    }
}

fn begin_pass(encoder: &mut wgpu::CommandEncoder) -> wgpu::ComputePass<'_> {
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("wgrad steps"), timestamp_writes: None })
}
