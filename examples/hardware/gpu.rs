//! The GPU through wgpu, as wgrad opens it: pipelines of this program's own shaders, buffers, and timed passes.

use std::time::Instant;

use wgrad::{Device, wgpu};

use crate::Outcome;

/// A device and what a timed pass needs.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    ticks: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readback: wgpu::Buffer,
}

/// What a pass took.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    pub ticks: u64,
    /// By the device's clock.
    pub seconds: f64,
    /// On the host: recording it, handing it over, waiting for it to be done.
    pub record: f64,
    pub submit: f64,
    pub wait: f64,
}

/// A pipeline with its buffers.
pub struct Bound {
    pub pipeline: wgpu::ComputePipeline,
    pub group: wgpu::BindGroup,
}

impl Gpu {
    pub fn new(wgrad: &Device) -> Outcome<Self> {
        let (device, queue) = wgrad.wgpu().ok_or("expected a GPU, found the CPU device")?;
        let (device, queue) = (device.clone(), queue.clone());
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err("expected a GPU with timestamps, found one without".into());
        }
        let ticks = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("ticks"),
            ty: wgpu::QueryType::Timestamp,
            count: 4,
        });
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("ticks"),
                size: 32,
                usage,
                mapped_at_creation: false,
            })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let readback = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
        Ok(Gpu { device, queue, ticks, resolved, readback })
    }

    pub fn has(&self, feature: wgpu::Features) -> bool {
        self.device.features().contains(feature)
    }

    /// Nanoseconds of a tick.
    pub fn tick(&self) -> f64 {
        f64::from(self.queue.get_timestamp_period())
    }

    /// A storage buffer of zeros.
    pub fn buffer(&self, bytes: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("hardware"),
            size: bytes.max(16),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// A pipeline of a shader of this program's, its layout as wgpu reads it from the text.
    pub fn pipeline(&self, wgsl: &str) -> Outcome<wgpu::ComputePipeline> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some("hardware"), source: wgpu::ShaderSource::Wgsl(wgsl.into()) };
        let checks = wgpu::ShaderRuntimeChecks {
            bounds_checks: false,
            force_loop_bounding: false,
            ..wgpu::ShaderRuntimeChecks::checked()
        };
        // SAFETY: as wgrad has it on hardware. The loops of this program's shaders count to constants, their indexes
        // into memory other than buffers are taken modulo its length, and buffers are kept by the device.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("hardware"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(error.to_string().into()),
            None => Ok(pipeline),
        }
    }

    pub fn group(&self, pipeline: &wgpu::ComputePipeline, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let resources = buffers.iter().map(|buffer| buffer.as_entire_binding());
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("hardware"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// A shader with its buffers.
    pub fn bound(&self, wgsl: &str, buffers: &[&wgpu::Buffer]) -> Outcome<Bound> {
        let pipeline = self.pipeline(wgsl)?;
        let group = self.group(&pipeline, buffers);
        Ok(Bound { pipeline, group })
    }

    /// A pass of what `record` records, between two timestamps.
    pub fn timed(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> Outcome<Pass> {
        let clock = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&self.writes(0, 1));
        record(&mut pass);
        drop(pass);
        self.finish(encoder, clock, [0, 1])
    }

    /// What `record` records into an encoder of its own, between the end of one empty pass and the start of another.
    pub fn timed_between(&self, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Outcome<Pass> {
        let clock = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        drop(encoder.begin_compute_pass(&self.writes(0, 1)));
        record(&mut encoder);
        drop(encoder.begin_compute_pass(&self.writes(2, 3)));
        self.finish(encoder, clock, [1, 2])
    }

    fn writes(&self, first: u32, last: u32) -> wgpu::ComputePassDescriptor<'_> {
        wgpu::ComputePassDescriptor {
            label: Some("timed"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &self.ticks,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(last),
            }),
        }
    }

    fn finish(&self, mut encoder: wgpu::CommandEncoder, clock: Instant, [from, to]: [usize; 2]) -> Outcome<Pass> {
        encoder.resolve_query_set(&self.ticks, 0..(to as u32 + 1).next_multiple_of(2), &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, 32);
        let commands = encoder.finish();
        let record = clock.elapsed().as_secs_f64();
        self.queue.submit([commands]);
        self.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        let submit = clock.elapsed().as_secs_f64() - record;
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        let wait = clock.elapsed().as_secs_f64() - record - submit;
        let words: Vec<u64> = bytemuck::pod_collect_to_vec(&self.readback.get_mapped_range(..)?);
        self.readback.unmap();
        let ticks = words[to].saturating_sub(words[from]);
        Ok(Pass { ticks, seconds: 1e-9 * ticks as f64 * self.tick(), record, submit, wait })
    }

    /// Words of a buffer.
    pub fn read(&self, buffer: &wgpu::Buffer) -> Outcome<Vec<u32>> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |_| {});
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?))
    }

    /// The least seconds of a launch among passes of as many as take `seconds`, each launch after the last.
    pub fn least(&self, bound: &Bound, groups: u32, seconds: f64, passes: usize) -> Outcome<Pass> {
        let launches = |count: u32| {
            self.timed(|pass| {
                pass.set_pipeline(&bound.pipeline);
                pass.set_bind_group(0, &bound.group, &[]);
                (0..count).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
            })
        };
        // The first one warms up.
        launches(1)?;
        let once = launches(1)?.seconds.max(1e-7);
        let count = (seconds / once).ceil().clamp(1.0, 500.0);
        let mut best: Option<Pass> = None;
        for _ in 0..passes {
            let pass = launches(count as u32)?;
            if best.is_none_or(|best| pass.seconds < best.seconds) {
                best = Some(pass);
            }
        }
        let best = best.ok_or("no pass was made")?;
        Ok(Pass { seconds: best.seconds / count, ..best })
    }
}
