//! A GPU through Vulkan itself: what wgpu does not tell (registers, spills, shaders by binary) or does not let one
//! choose (barriers, robust access). It owns the device and one command buffer; buffers are in `vulkan/buffers.rs`,
//! pipelines in `vulkan/pipelines.rs`, how it is opened in `vulkan/opening.rs`. What is measured with it is not known
//! here.
//!
//! On safety: every handle is made by the device that it is used with, both live in `Gpu` or borrow it, and commands
//! are recorded, submitted and waited for by one thread, before anything that they use is let go of. Shaders are
//! wgrad's own or this program's, on buffers of the sizes that they were written for.

mod buffers;
mod opening;
mod pipelines;

use ash::{khr, vk};

use crate::Outcome;
use opening::{Extensions, create, describe, find};

pub use buffers::Buffer;
pub use pipelines::{Bound, Kind, Pipeline};

/// How long a submission may take.
const PATIENCE_NANOSECONDS: u64 = 20_000_000_000;

/// A device of this program's own.
pub struct Gpu {
    device: ash::Device,
    queue: vk::Queue,
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    fence: vk::Fence,
    queries: vk::QueryPool,
    memory: vk::PhysicalDeviceMemoryProperties,
    executables: Option<khr::pipeline_executable_properties::Device>,
    timestamp_mask: u64,
    pub about: About,
    // What the device was made from goes last.
    instance: ash::Instance,
    _entry: ash::Entry,
}

/// What the device is.
#[derive(Clone, Debug)]
pub struct About {
    pub api_version: u32,
    /// Whether accesses are kept within their buffers, as wgpu has it.
    pub robust: bool,
    pub robustness_2: bool,
    pub tick_nanoseconds: f64,
    /// Multiprocessors, and subgroups that each holds, where a driver says so.
    pub multiprocessors: Option<(u32, u32)>,
    pub tells_registers: bool,
}

/// A pass between two timestamps.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub ticks: u64,
    pub seconds: f64,
}

impl Gpu {
    /// Opens the GPU of this name, so that it is the one that wgpu took.
    pub fn open(name: &str, robust: bool) -> Outcome<Self> {
        // SAFETY: the loader that it finds is the one that wgpu found.
        let entry = unsafe { ash::Entry::load() }?;
        let application =
            vk::ApplicationInfo::default().application_name(c"wgrad hardware").api_version(vk::API_VERSION_1_3);
        // SAFETY: see the top of this file, here and below.
        let instance =
            unsafe { entry.create_instance(&vk::InstanceCreateInfo::default().application_info(&application), None) }?;
        let physical = find(&instance, name)?;
        let extensions = Extensions::of(&instance, physical)?;
        let (mut about, memory) = describe(&instance, physical, &extensions);
        about.robust = robust;
        let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
        let family = families.iter().position(|family| family.queue_flags.contains(vk::QueueFlags::COMPUTE));
        let family = family.ok_or("expected a queue that computes, found none")? as u32;
        let bits = families[family as usize].timestamp_valid_bits;
        let device = create(&instance, physical, family, &extensions, &mut about)?;
        let executables =
            about.tells_registers.then(|| khr::pipeline_executable_properties::Device::new(&instance, &device));
        unsafe {
            let flags = vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER;
            let pool = vk::CommandPoolCreateInfo::default().queue_family_index(family).flags(flags);
            let pool = device.create_command_pool(&pool, None)?;
            let allocate = vk::CommandBufferAllocateInfo::default().command_pool(pool).command_buffer_count(1);
            let queries = vk::QueryPoolCreateInfo::default().query_type(vk::QueryType::TIMESTAMP).query_count(2);
            Ok(Gpu {
                queue: device.get_device_queue(family, 0),
                pool,
                commands: device.allocate_command_buffers(&allocate)?[0],
                fence: device.create_fence(&vk::FenceCreateInfo::default(), None)?,
                queries: device.create_query_pool(&queries, None)?,
                memory,
                executables,
                timestamp_mask: if bits >= 64 { u64::MAX } else { (1 << bits) - 1 },
                about,
                device,
                instance,
                _entry: entry,
            })
        }
    }

    /// Submits what `record` records and waits for it; the time between the timestamps before and after it.
    pub fn timed(&self, record: impl FnOnce(&Recorder<'_>)) -> Outcome<Timing> {
        let (device, commands) = (&self.device, self.commands);
        let stage = vk::PipelineStageFlags::BOTTOM_OF_PIPE;
        let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        let mut ticks = [0u64; 2];
        unsafe {
            device.begin_command_buffer(commands, &begin)?;
            device.cmd_reset_query_pool(commands, self.queries, 0, 2);
            let recorder = Recorder { device, commands };
            recorder.barrier(Barrier::Everything);
            device.cmd_write_timestamp(commands, stage, self.queries, 0);
            record(&recorder);
            device.cmd_write_timestamp(commands, stage, self.queries, 1);
            recorder.barrier(Barrier::Everything);
            device.end_command_buffer(commands)?;
            let lists = [commands];
            device.queue_submit(self.queue, &[vk::SubmitInfo::default().command_buffers(&lists)], self.fence)?;
            match device.wait_for_fences(&[self.fence], true, PATIENCE_NANOSECONDS) {
                Err(vk::Result::TIMEOUT) => return Err("the GPU gave no answer within 20 s".into()),
                other => other?,
            }
            device.reset_fences(&[self.fence])?;
            let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WAIT;
            device.get_query_pool_results(self.queries, 0, &mut ticks, flags)?;
        }
        let ticks = ticks[1].wrapping_sub(ticks[0]) & self.timestamp_mask;
        Ok(Timing { ticks, seconds: 1e-9 * ticks as f64 * self.about.tick_nanoseconds })
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: pipelines and buffers borrow this, so they are gone; nothing is under way after a wait.
        unsafe {
            let _ = self.device.device_wait_idle();
            self.device.destroy_query_pool(self.queries, None);
            self.device.destroy_fence(self.fence, None);
            self.device.destroy_command_pool(self.pool, None);
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

/// What keeps one dispatch apart from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    None,
    /// One memory barrier from compute shaders to compute shaders.
    Compute,
    /// As wgpu does: a barrier a buffer, between all shader stages.
    Buffers,
    /// Between all stages; not for timing.
    Everything,
}

/// Records commands.
pub struct Recorder<'g> {
    device: &'g ash::Device,
    commands: vk::CommandBuffer,
}

impl Recorder<'_> {
    /// Binds a pipeline with its buffers and dispatches so many workgroups.
    pub fn dispatch(&self, bound: &Bound<'_>, groups: [u32; 2]) {
        let point = vk::PipelineBindPoint::COMPUTE;
        // SAFETY: see the top of this file.
        unsafe {
            self.device.cmd_bind_pipeline(self.commands, point, bound.pipeline.raw);
            self.device.cmd_bind_descriptor_sets(self.commands, point, bound.pipeline.layout, 0, &[bound.set], &[]);
            self.device.cmd_dispatch(self.commands, groups[0], groups[1], 1);
        }
    }

    pub fn barrier(&self, barrier: Barrier) {
        self.barrier_over(barrier, &[]);
    }

    /// A barrier; `buffers` are what [`Barrier::Buffers`] is over.
    pub fn barrier_over(&self, barrier: Barrier, buffers: &[&Buffer<'_>]) {
        let access = vk::AccessFlags::SHADER_READ | vk::AccessFlags::SHADER_WRITE;
        let compute = vk::PipelineStageFlags::COMPUTE_SHADER;
        let shaders = compute | vk::PipelineStageFlags::VERTEX_SHADER | vk::PipelineStageFlags::FRAGMENT_SHADER;
        let all = vk::AccessFlags::MEMORY_READ | vk::AccessFlags::MEMORY_WRITE;
        let memory = |access| [vk::MemoryBarrier::default().src_access_mask(access).dst_access_mask(access)];
        let one = |buffer: &&Buffer<'_>| {
            let barrier = vk::BufferMemoryBarrier::default().buffer(buffer.raw).size(vk::WHOLE_SIZE);
            barrier.src_access_mask(access).dst_access_mask(access)
        };
        let (before, after, memories, buffers) = match barrier {
            Barrier::None => return,
            Barrier::Compute => (compute, compute, memory(access).to_vec(), Vec::new()),
            Barrier::Buffers => (
                shaders | vk::PipelineStageFlags::TOP_OF_PIPE,
                shaders | vk::PipelineStageFlags::BOTTOM_OF_PIPE,
                Vec::new(),
                buffers.iter().map(one).collect(),
            ),
            Barrier::Everything => {
                let stages = vk::PipelineStageFlags::ALL_COMMANDS;
                (stages, stages, memory(all).to_vec(), Vec::new())
            }
        };
        let flags = vk::DependencyFlags::empty();
        // SAFETY: see the top of this file.
        unsafe { self.device.cmd_pipeline_barrier(self.commands, before, after, flags, &memories, &buffers, &[]) }
    }

    /// Copies bytes from one buffer to another.
    pub fn copy(&self, from: &Buffer<'_>, offset: u64, to: &Buffer<'_>, at: u64, bytes: u64) {
        let region = vk::BufferCopy { src_offset: offset, dst_offset: at, size: bytes };
        // SAFETY: see the top of this file.
        unsafe { self.device.cmd_copy_buffer(self.commands, from.raw, to.raw, &[region]) }
    }
}

/// A name in a fixed array.
fn text(characters: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().map(|&c| c as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
