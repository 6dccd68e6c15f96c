//! Launches timed over and over on buffers of their own, for the choice of tilings. The launches of a model's steps
//! are timed in `run/timing.rs`.

use std::sync::Arc;

use wgpu::BufferUsages as Usage;

use super::{Executor, Prepared, Program, read_buffer};
use crate::clock::Stopwatch;
use crate::device::context::{Context, ShaderText};
use crate::error::Result;
use crate::kernels::storage::{Precision, pack_halves, unpack_halves};
use crate::kernels::{Access, Element};
use crate::plan::{Launch, Plan, Store};
use crate::random::Random;
use crate::step::StepBlock;

/// What a pass should take: far more than a tick of the clock and than starting it.
const PASS_SECONDS: f64 = 2e-3;

/// The same where the host's clock must do, which sees submission and waking up as well.
const WAITED_SECONDS: f64 = 30e-3;

/// A launch that takes this long is timed once, beside the one that warms up.
const LONG_SECONDS: f64 = 0.1;

/// Passes of shorter ones. The shortest counts: other work can only make it longer.
const PASSES: usize = 3;

/// Launches of a pass, at most.
const MOST_REPEATS: f64 = 500.0;

/// The buffers of a plan, filled with made-up numbers.
#[derive(Debug)]
pub(crate) struct Bench {
    context: Arc<Context>,
    buffers: Vec<Option<wgpu::Buffer>>,
    capacity: usize,
}

impl Bench {
    /// For launches of this plan on as many rows as it has room for. The executor's buffers may be written to.
    pub fn new(executor: &Executor, plan: &Plan, step: StepBlock) -> Result<Self> {
        let context = executor.context.clone();
        let buffers = Program::buffers(&context, plan, &executor.stores)?;
        // Zeros would take less power than numbers do, and the same time only as long as a device does not notice.
        let mut random = Random::new(1, 0);
        let numbers: Vec<f32> = (0..1 << 16).map(|_| random.uniform(-1.0, 1.0)).collect();
        let halves = pack_halves(&numbers);
        for (index, (buffer, of)) in buffers.iter().zip(&plan.buffers).enumerate() {
            let Some(buffer) = buffer.as_ref().filter(|_| of.store == Store::Local) else { continue };
            context.scoped("writing to the device", || {
                if index == plan.step || index == plan.next {
                    context.queue.write_buffer(buffer, 0, bytemuck::bytes_of(&step));
                    return;
                }
                let (mut at, bytes) = match of.precision {
                    Precision::F32 => (0, bytemuck::cast_slice(&numbers)),
                    Precision::F16 => (0, bytemuck::cast_slice(&halves)),
                };
                while at < buffer.size() {
                    let length = bytes.len().min((buffer.size() - at) as usize);
                    context.queue.write_buffer(buffer, at, &bytes[..length]);
                    at += length as u64;
                }
            })?;
        }
        Ok(Bench { context, buffers, capacity: plan.key.capacity })
    }

    /// Makes the pipelines of these launches, side by side.
    pub fn compile<'a>(&self, launches: impl Iterator<Item = &'a Launch>) -> Result<()> {
        let shaders: Vec<_> = launches.map(|launch| ShaderText::new(&launch.kernel, launch.storage)).collect();
        self.context.pipelines(&shaders).map(drop)
    }

    /// What a launch leaves in the buffers that it writes, which are cleared before. What it updates in place is left
    /// out.
    pub async fn results(&self, launch: &Launch) -> Result<Vec<f32>> {
        let written: Vec<_> = launch
            .kernel
            .bindings(launch.storage)
            .into_iter()
            .zip(&launch.arguments)
            .filter(|(binding, _)| binding.access == Access::Write)
            .filter_map(|(binding, argument)| Some((binding, argument, self.buffers[argument.buffer].as_ref()?)))
            .collect();
        self.context.scoped("clearing results", || {
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            for (_, argument, buffer) in &written {
                let size = (argument.words > 0).then_some(4 * argument.words as u64);
                encoder.clear_buffer(buffer, 4 * argument.offset as u64, size);
            }
            self.context.queue.submit([encoder.finish()]);
        })?;
        self.pass(&self.prepare(launch)?, 1).await?;
        let mut results = Vec::new();
        for (binding, argument, buffer) in written {
            let values = read_buffer(&self.context, buffer).await?;
            let words = if argument.words > 0 { argument.words } else { values.len() - argument.offset };
            let values = &values[argument.offset..argument.offset + words];
            match binding.element {
                Element::Half => results.extend(unpack_halves(bytemuck::cast_slice(values))),
                Element::Float | Element::Word => results.extend_from_slice(values),
            }
        }
        Ok(results)
    }

    /// Seconds that a launch takes when it follows itself.
    pub async fn seconds(&self, launch: &Launch) -> Result<f64> {
        let launch = self.prepare(launch)?;
        // The first one warms up: caches, and drivers that compile only now.
        self.pass(&launch, 1).await?;
        let once = self.pass(&launch, 1).await?;
        if once > LONG_SECONDS {
            return Ok(once);
        }
        let long_enough = if self.context.has_timestamps() { PASS_SECONDS } else { WAITED_SECONDS };
        let repeats = (long_enough / once.max(1e-9)).ceil().clamp(1.0, MOST_REPEATS);
        let mut best = f64::INFINITY;
        for _ in 0..PASSES {
            best = best.min(self.pass(&launch, repeats as u32).await? / repeats);
        }
        Ok(best)
    }

    fn prepare(&self, launch: &Launch) -> Result<Prepared> {
        let pipelines = self.context.pipelines(&[ShaderText::new(&launch.kernel, launch.storage)])?;
        Prepared::new(&self.context, std::slice::from_ref(launch), pipelines[0].clone(), &self.buffers, self.capacity)
    }

    /// Seconds of a pass of so many launches.
    async fn pass(&self, launch: &Prepared, repeats: u32) -> Result<f64> {
        if !self.context.has_timestamps() {
            let clock = Stopwatch::start();
            let submission = self.context.scoped("timing tilings", || {
                let mut encoder = self.context.device.create_command_encoder(&Default::default());
                record(&mut encoder, launch, repeats, None);
                self.context.queue.submit([encoder.finish()])
            })?;
            self.context.wait("timing tilings", submission).await?;
            return Ok(clock.seconds());
        }
        let ticks = self.context.buffer("ticks", 4, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?;
        self.context.scoped("timing tilings", || {
            let set = self.context.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("wgrad ticks"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            record(&mut encoder, launch, repeats, Some(&set));
            encoder.resolve_query_set(&set, 0..2, &ticks, 0);
            self.context.queue.submit([encoder.finish()]);
        })?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&read_buffer(&self.context, &ticks).await?);
        Ok(self.context.seconds_of(ticks[1].saturating_sub(ticks[0])))
    }
}

fn record(encoder: &mut wgpu::CommandEncoder, launch: &Prepared, repeats: u32, ticks: Option<&wgpu::QuerySet>) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some("wgrad timed launches"),
        timestamp_writes: ticks.map(|query_set| wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        }),
    });
    pass.set_pipeline(&launch.pipeline.pipeline);
    pass.set_bind_group(0, launch.bind_group.as_ref(), &[]);
    for _ in 0..repeats {
        // Each writes what the last one wrote, so a barrier keeps them apart.
        pass.dispatch_workgroups(launch.groups[0], launch.groups[1], 1);
    }
}
