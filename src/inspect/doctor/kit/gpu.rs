//! A GPU through wgpu, as wgrad opens it: pipelines of shaders that are no operation's, buffers, and timed passes.

use std::sync::Arc;
use std::time::Instant;

use wgpu::BufferUsages as Usage;

use crate::blocking::block_on;
use crate::device::context::Context;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::executor::gpu::read_buffer;

/// A device and what a timed pass needs.
pub struct Gpu {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    context: Arc<Context>,
    ticks: Option<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    readback: wgpu::Buffer,
}

/// What a pass took.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Ticks of the device's clock; 0 where it has none.
    pub ticks: u64,
    /// By the device's clock; where it has none, from submission to the end by the host's.
    pub seconds: f64,
    /// On the host: recording it.
    pub record: f64,
    /// Handing it over.
    pub submit: f64,
    /// Waiting for it to be done.
    pub wait: f64,
}

/// A pipeline with its buffers.
pub struct Bound {
    /// The pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// Its buffers.
    pub group: wgpu::BindGroup,
}

const DURING: &str = "measuring";

impl Gpu {
    /// A GPU device.
    ///
    /// # Safety
    /// On hardware shaders are compiled without checks of their own, as those of operations are. So every shader that this is
    /// given keeps to what `docs/safety.md` says: loops end, and indexes into memory other than buffers lie within it.
    ///
    /// # Errors
    /// [`Error::NeedsGpu`] on the CPU device, and whatever the device reports.
    pub unsafe fn new(device: &Device) -> Result<Self> {
        let Backend::Gpu(context) = &device.backend else {
            return Err(Error::NeedsGpu { what: DURING, device: device.info().name });
        };
        let ticks = context.has_timestamps().then(|| {
            context.scoped(DURING, || {
                context.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("ticks"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 4,
                })
            })
        });
        let ticks = ticks.transpose()?;
        let resolved = context.buffer("ticks", 8, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?;
        let readback = context.buffer("ticks", 8, Usage::COPY_DST | Usage::MAP_READ)?;
        let (device, queue) = (context.device.clone(), context.queue.clone());
        Ok(Gpu { device, queue, context: context.clone(), ticks, resolved, readback })
    }

    /// Whether a feature is switched on.
    pub fn has(&self, feature: wgpu::Features) -> bool {
        self.device.features().contains(feature)
    }

    /// Nanoseconds of a tick.
    pub fn tick(&self) -> f64 {
        f64::from(self.queue.get_timestamp_period())
    }

    /// A storage buffer of zeros.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn buffer(&self, bytes: u64) -> Result<wgpu::Buffer> {
        let usage = Usage::STORAGE | Usage::UNIFORM | Usage::COPY_SRC | Usage::COPY_DST;
        self.context.buffer(DURING, (bytes / 4) as usize, usage)
    }

    /// A pipeline, its layout as wgpu reads it from the text.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn pipeline(&self, wgsl: &str) -> Result<wgpu::ComputePipeline> {
        self.context.foreign_pipeline(DURING, wgsl)
    }

    /// Buffers for a pipeline.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn group(&self, pipeline: &wgpu::ComputePipeline, buffers: &[&wgpu::Buffer]) -> Result<wgpu::BindGroup> {
        let resources = buffers.iter().map(|buffer| buffer.as_entire_binding());
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        self.context.scoped(DURING, || {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(DURING),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })
    }

    /// A shader with its buffers.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn bound(&self, wgsl: &str, buffers: &[&wgpu::Buffer]) -> Result<Bound> {
        let pipeline = self.pipeline(wgsl)?;
        let group = self.group(&pipeline, buffers)?;
        Ok(Bound { pipeline, group })
    }

    /// A pass of what `record` records, between two timestamps.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn timed(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> Result<Pass> {
        self.finish([0, 1], |encoder| {
            let mut pass = encoder.begin_compute_pass(&self.writes(0, 1));
            record(&mut pass);
        })
    }

    /// What `record` records into an encoder of its own, between the end of one empty pass and the start of another.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn timed_between(&self, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<Pass> {
        self.finish([1, 2], |encoder| {
            drop(encoder.begin_compute_pass(&self.writes(0, 1)));
            record(encoder);
            drop(encoder.begin_compute_pass(&self.writes(2, 3)));
        })
    }

    fn writes(&self, first: u32, last: u32) -> wgpu::ComputePassDescriptor<'_> {
        wgpu::ComputePassDescriptor {
            label: Some("timed"),
            timestamp_writes: self.ticks.as_ref().map(|query_set| wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(last),
            }),
        }
    }

    fn finish(&self, [from, to]: [usize; 2], record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<Pass> {
        let clock = Instant::now();
        let (submission, recorded) = self.context.scoped(DURING, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            record(&mut encoder);
            if let Some(ticks) = &self.ticks {
                encoder.resolve_query_set(ticks, 0..(to as u32 + 1).next_multiple_of(2), &self.resolved, 0);
            }
            encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, 32);
            let commands = encoder.finish();
            let recorded = clock.elapsed().as_secs_f64();
            let submission = self.queue.submit([commands]);
            self.readback.map_async(wgpu::MapMode::Read, .., |_| {});
            (submission, recorded)
        })?;
        let submit = clock.elapsed().as_secs_f64() - recorded;
        block_on(self.context.wait(DURING, submission))?;
        let wait = clock.elapsed().as_secs_f64() - recorded - submit;
        let refused = |error: wgpu::MapRangeError| self.context.refusal(DURING, error.to_string());
        let words: Vec<u64> = bytemuck::pod_collect_to_vec(&self.readback.get_mapped_range(..).map_err(refused)?);
        self.readback.unmap();
        let ticks = words[to].saturating_sub(words[from]);
        let seconds = if self.ticks.is_some() { 1e-9 * ticks as f64 * self.tick() } else { submit + wait };
        Ok(Pass { ticks, seconds, record: recorded, submit, wait })
    }

    /// Words of a buffer.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<u32>> {
        Ok(bytemuck::cast_slice(&block_on(read_buffer(&self.context, buffer))?).to_vec())
    }

    /// The least seconds of a launch among passes of as many as take `seconds`, each launch after the last.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn least(&self, bound: &Bound, groups: u32, seconds: f64, passes: usize) -> Result<Pass> {
        let launches = |count: u32| {
            self.timed(|pass| {
                pass.set_pipeline(&bound.pipeline);
                pass.set_bind_group(0, &bound.group, &[]);
                (0..count).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
            })
        };
        // The first one warms up.
        launches(1)?;
        let once = launches(1)?;
        let count = (seconds / once.seconds.max(1e-7)).ceil().clamp(1.0, 500.0);
        let mut best = Pass { seconds: f64::INFINITY, ..once };
        for _ in 0..passes.max(1) {
            let pass = launches(count as u32)?;
            if pass.seconds < best.seconds {
                best = pass;
            }
        }
        Ok(Pass { seconds: best.seconds / count, ..best })
    }
}
