//! The GPU executor: model buffers, programs (a plan with its pipelines, bind groups and buffers), and kernels launched
//! one at a time for tests and verification. A program at work on a data set is a [`Run`].

#[cfg(feature = "native")]
mod bench;
mod feed;
mod run;

use std::collections::HashMap;
use std::sync::Arc;

use wgpu::BufferUsages as Usage;

use super::{Feed, MOST_PROGRAMS};
use crate::data::Dataset;
use crate::device::context::{Context, Pipeline, ShaderText};
use crate::error::Result;
use crate::kernels::storage::Storage;
use crate::kernels::{Access, Kernel};
use crate::plan::{Argument, Launch, Plan, PlanKey, Store};

#[cfg(feature = "native")]
pub(crate) use bench::Bench;
pub(crate) use run::Run;

/// The usage of every buffer that kernels see: they are read back and written to as well.
const KERNEL_USAGE: Usage = Usage::STORAGE.union(Usage::COPY_SRC).union(Usage::COPY_DST);

/// A dispatch, ready to be recorded: one launch, or several side by side.
#[derive(Debug)]
pub(crate) struct Prepared {
    pipeline: Arc<Pipeline>,
    /// `None` if it binds the data set: then each run has its own.
    bind_group: Option<wgpu::BindGroup>,
    groups: [u32; 2],
}

/// A plan with all that its launches need.
#[derive(Debug)]
pub(crate) struct Program {
    pub plan: Plan,
    /// For each of the plan's buffers; `None` for those of the data set.
    pub buffers: Vec<Option<wgpu::Buffer>>,
    /// One for each of the plan's.
    pub dispatches: Vec<Prepared>,
}

/// A model's buffers and programs on a GPU.
#[derive(Debug)]
pub(crate) struct Executor {
    pub context: Arc<Context>,
    stores: HashMap<Store, wgpu::Buffer>,
    programs: Vec<Arc<Program>>,
}

impl Executor {
    pub fn new(context: Arc<Context>, buffers: Vec<(Store, Vec<f32>)>) -> Result<Self> {
        let mut stores = HashMap::new();
        for (store, values) in &buffers {
            let buffer = context.buffer(&format!("{store:?}").to_lowercase(), values.len(), KERNEL_USAGE)?;
            context.scoped("writing to the device", || {
                context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(values));
            })?;
            stores.insert(*store, buffer);
        }
        Ok(Executor { context, stores, programs: Vec::new() })
    }

    /// A model-wide buffer.
    pub fn store(&self, store: Store) -> Option<&wgpu::Buffer> {
        self.stores.get(&store)
    }

    pub async fn read(&self, store: Store) -> Result<Vec<f32>> {
        match self.stores.get(&store) {
            Some(buffer) => read_buffer(&self.context, buffer).await,
            None => Ok(Vec::new()),
        }
    }

    pub fn write(&self, store: Store, values: &[f32]) -> Result<()> {
        let Some(buffer) = self.stores.get(&store) else { return Ok(()) };
        self.context.scoped("writing to the device", || {
            self.context.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
        })
    }

    pub fn has(&self, key: &PlanKey) -> bool {
        self.programs.iter().any(|program| program.plan.key == *key)
    }

    pub fn open(
        &mut self,
        key: PlanKey,
        plan: impl FnOnce() -> Plan,
        data: &Dataset,
        weights: Option<Vec<f32>>,
        feed: Feed,
    ) -> Result<Run> {
        let program = match self.programs.iter().find(|program| program.plan.key == key) {
            Some(program) => program.clone(),
            None => {
                let program = Arc::new(Program::new(&self.context, plan(), &self.stores)?);
                // Runs keep their own; a program that is dropped here is made again when it is wanted.
                if self.programs.len() == MOST_PROGRAMS {
                    self.programs.remove(0);
                }
                self.programs.push(program.clone());
                program
            }
        };
        Run::new(self.context.clone(), program, data, weights, feed)
    }

    /// Later runs get programs that are made anew.
    #[cfg(feature = "native")]
    pub fn forget_programs(&mut self) {
        self.programs.clear();
    }

    /// Leaves a run's program to that run, which may then outlive the call that opened it: later runs get another.
    pub fn leave_program_to(&mut self, run: &Run) {
        self.programs.retain(|program| !Arc::ptr_eq(program, run.program()));
    }
}

impl Program {
    fn new(context: &Context, plan: Plan, stores: &HashMap<Store, wgpu::Buffer>) -> Result<Self> {
        let buffers = Self::buffers(context, &plan, stores)?;
        let dispatches = prepare(context, &plan, &buffers)?;
        Ok(Program { plan, buffers, dispatches })
    }

    fn buffers(
        context: &Context,
        plan: &Plan,
        stores: &HashMap<Store, wgpu::Buffer>,
    ) -> Result<Vec<Option<wgpu::Buffer>>> {
        let buffer = |(index, buffer): (usize, &crate::plan::Buffer)| match buffer.store {
            Store::Local => {
                let is_block = index == plan.step || index == plan.next;
                let usage = if is_block { KERNEL_USAGE | Usage::UNIFORM } else { KERNEL_USAGE };
                context.buffer(&buffer.label, buffer.words, usage).map(Some)
            }
            store => Ok(stores.get(&store).cloned()),
        };
        plan.buffers.iter().enumerate().map(buffer).collect()
    }
}

/// What dispatches need beside the plan's buffers.
fn prepare(context: &Context, plan: &Plan, buffers: &[Option<wgpu::Buffer>]) -> Result<Vec<Prepared>> {
    let capacity = plan.key.capacity;
    let sources: Vec<_> = plan.dispatched().map(|launches| shader(launches, capacity)).collect();
    let pipelines = context.pipelines(&sources)?.into_iter();
    plan.dispatched()
        .zip(pipelines)
        .map(|(launches, made)| Prepared::new(context, launches, made, buffers, capacity))
        .collect()
}

/// The shader of launches that share a dispatch. Those of few workgroups come first, so that they do not end last.
fn shader(launches: &[Launch], capacity: usize) -> ShaderText {
    ShaderText::side_by_side(&kernels(launches, capacity))
}

/// What that shader is made of: the launches' kernels, each with the number of its workgroups.
fn kernels(launches: &[Launch], capacity: usize) -> Vec<(&Kernel, Storage, usize)> {
    in_order(launches, capacity)
        .map(|launch| (&launch.kernel, launch.storage, launch.kernel.workgroups(capacity)))
        .collect()
}

/// Puts a shader whose launches' texts are changed, as a driver might break them, in the place of [`shader`]'s: for tests of
/// verify mode.
#[cfg(test)]
pub(crate) fn sabotage(
    context: &Context,
    launches: &[Launch],
    capacity: usize,
    change: impl Fn(&Launch, String) -> String,
) -> Result<()> {
    let texts: Vec<_> =
        in_order(launches, capacity).map(|launch| change(launch, launch.kernel.shader(launch.storage))).collect();
    let text = match texts.as_slice() {
        [text] => text.clone(),
        texts => crate::shader::side_by_side(&Kernel::sides(&kernels(launches, capacity), texts)),
    };
    context.sabotage(shader(launches, capacity), &text)
}

fn in_order(launches: &[Launch], capacity: usize) -> impl Iterator<Item = &Launch> {
    let mut launches: Vec<_> = launches.iter().collect();
    launches.sort_by_key(|launch| launch.kernel.workgroups(capacity));
    launches.into_iter()
}

/// What launches that share a dispatch bind, in the order of their shader: the step block, which each has first, once.
fn arguments(launches: &[Launch], capacity: usize) -> impl Iterator<Item = &Argument> {
    let launches = in_order(launches, capacity).enumerate();
    launches.flat_map(|(index, launch)| launch.arguments.iter().skip(usize::from(index > 0)))
}

impl Prepared {
    fn new(
        context: &Context,
        launches: &[Launch],
        pipeline: Arc<Pipeline>,
        buffers: &[Option<wgpu::Buffer>],
        capacity: usize,
    ) -> Result<Self> {
        let bound: Option<Vec<_>> = arguments(launches, capacity)
            .map(|argument| Some((*argument, buffers[argument.buffer].as_ref()?)))
            .collect();
        let bind_group = match bound {
            Some(bound) => Some(bind(context, &Plan::label(launches), &pipeline, &bound)?),
            None => None,
        };
        let workgroups = launches.iter().map(|launch| launch.kernel.workgroups(capacity)).sum();
        Ok(Prepared { pipeline, bind_group, groups: grid(workgroups) })
    }
}

/// Folds a count of workgroups into two dimensions: one alone goes no further than 65,535.
pub(crate) fn grid(workgroups: usize) -> [u32; 2] {
    let down = workgroups.div_ceil(65_535).max(1);
    [workgroups.div_ceil(down) as u32, down as u32]
}

fn bind(
    context: &Context,
    label: &str,
    pipeline: &Pipeline,
    arguments: &[(Argument, &wgpu::Buffer)],
) -> Result<wgpu::BindGroup> {
    let entries: Vec<_> = (0..)
        .zip(arguments)
        .map(|(binding, (argument, buffer))| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: 4 * argument.offset as u64,
                size: std::num::NonZeroU64::new(4 * argument.words as u64),
            }),
        })
        .collect();
    context.scoped(&format!("binding {label}"), || {
        context.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("wgrad {label}")),
            layout: &pipeline.layout,
            entries: &entries,
        })
    })
}

/// Copies a whole buffer to the host. For checkpoints and tests: it allocates.
pub(crate) async fn read_buffer(context: &Context, buffer: &wgpu::Buffer) -> Result<Vec<f32>> {
    let words = (buffer.size() / 4) as usize;
    let staging = context.buffer("readback", words, Usage::COPY_DST | Usage::MAP_READ)?;
    let submission = context.scoped("reading back", || {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        let submission = context.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |_| {});
        submission
    })?;
    context.wait("reading back", submission).await?;
    let view = staging.get_mapped_range(..).map_err(|error| context.refusal("reading back", error.to_string()))?;
    Ok(bytemuck::pod_collect_to_vec(&view))
}

/// Runs one kernel once on buffers of its own: each argument's words go in, all of them come out. For tests and for
/// looking at a single launch.
pub(crate) async fn run_once(
    context: &Context,
    (kernel, storage): (&Kernel, Storage),
    capacity: usize,
    arguments: &mut [Vec<u32>],
) -> Result<()> {
    let pipelines = context.pipelines(&[ShaderText::new(kernel, storage)])?;
    let name = kernel.definition().name;
    let mut buffers = Vec::new();
    for (binding, words) in kernel.bindings(storage).iter().zip(arguments.iter()) {
        let usage = if binding.access == Access::Step { KERNEL_USAGE | Usage::UNIFORM } else { KERNEL_USAGE };
        let buffer = context.buffer(binding.name, words.len(), usage)?;
        context.scoped("writing to the device", || {
            context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        })?;
        buffers.push(buffer);
    }
    let whole = Argument::whole(0);
    let bound: Vec<_> = buffers.iter().map(|buffer| (whole, buffer)).collect();
    let bind_group = bind(context, name, &pipelines[0], &bound)?;
    let [x, y] = grid(kernel.workgroups(capacity));
    context.scoped(name, || {
        let mut encoder = context.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipelines[0].pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        drop(pass);
        context.queue.submit([encoder.finish()]);
    })?;
    for (words, buffer) in arguments.iter_mut().zip(&buffers) {
        let read = read_buffer(context, buffer).await?;
        let length = words.len();
        words.copy_from_slice(&bytemuck::cast_slice::<f32, u32>(&read)[..length]);
    }
    Ok(())
}
