//! Devices: choosing, listing and describing them, and wrapping a caller's own. What runs on a device is not known here.

mod adapters;
pub(crate) mod context;
mod options;
#[cfg(feature = "native")]
mod pipelines;
#[cfg(feature = "native")]
mod tilings;

use std::fmt;
use std::sync::Arc;

use crate::cpu::machine::Processor;
use crate::error::{Error, Result};
use crate::executor;
use crate::kernels::Kernel;
use crate::kernels::product::cooperative::CooperativeMatrix;
use crate::kernels::product::{Choices, Family, Traits};
use crate::kernels::storage::Storage;
use context::Context;
pub use options::DeviceOptions;

/// What kind of thing a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// wgrad's own CPU path.
    Cpu,
    /// A GPU with its own memory.
    DiscreteGpu,
    /// A GPU that shares the CPU's memory.
    IntegratedGpu,
    /// A GPU of a virtual machine's host.
    VirtualGpu,
    /// A driver that runs shaders on the CPU, such as lavapipe or WARP.
    SoftwareGpu,
    /// An adapter that does not say what it is.
    OtherGpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Cpu => "CPU",
            DeviceKind::DiscreteGpu => "discrete GPU",
            DeviceKind::IntegratedGpu => "integrated GPU",
            DeviceKind::VirtualGpu => "virtual GPU",
            DeviceKind::SoftwareGpu => "software GPU",
            DeviceKind::OtherGpu => "GPU",
        })
    }
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The adapter's name; `CPU` for the CPU device.
    pub name: String,
    /// What kind of thing it is.
    pub kind: DeviceKind,
    /// `vulkan`, `metal`, `dx12`, or `native` for the CPU device.
    pub backend: String,
    /// The driver's name and version, or the instruction set that the CPU device uses.
    pub driver: String,
    /// Threads that were asked for, the calling one included, for the CPU device. The system may grant fewer.
    pub threads: Option<usize>,
    /// Invocations in a subgroup, for a GPU whose subgroups all have one size and are switched on.
    pub subgroup_size: Option<usize>,
    /// What the matrix units multiply, for a GPU on which they are switched on; see
    /// [`DeviceOptions::cooperative_matrices`].
    pub cooperative_matrix: Option<CooperativeMatrix>,
    /// The device's limits, for a GPU.
    pub limits: Option<wgpu::Limits>,
    /// The features that are switched on, for a GPU.
    pub features: Option<wgpu::Features>,
}

impl DeviceInfo {
    /// Whether the device stores and converts 16-bit floats, which [`Precision::F16`](crate::Precision::F16) needs: a GPU
    /// whose feature `shader-f16` is switched on. wgrad switches it on where it opens the device itself and the adapter
    /// has it.
    pub fn has_half_precision(&self) -> bool {
        self.features.is_some_and(|features| features.contains(wgpu::Features::SHADER_F16))
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threads {
            Some(1) => write!(f, "{} ({}, 1 thread)", self.name, self.driver),
            Some(threads) => write!(f, "{} ({}, {threads} threads)", self.name, self.driver),
            None => write!(f, "{} ({}, {}, {})", self.name, self.kind, self.backend, self.driver),
        }
    }
}

/// Where a model lives and computes. Cheap to clone; several models may share one, from several threads.
///
/// ```
/// use wgrad::{Device, DeviceKind};
///
/// let device = Device::best()?;
/// println!("{}", device.info());
/// assert_eq!(Device::cpu().info().kind, DeviceKind::Cpu);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) backend: Backend,
}

#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Cpu { threads: usize, processor: Processor },
    Gpu(Arc<Context>),
}

impl Device {
    /// Choices for opening a device: what is kept on disk from one run to the next.
    #[cfg(feature = "native")]
    pub fn options() -> DeviceOptions {
        DeviceOptions::default()
    }

    /// A hardware GPU where there is one (discrete before integrated before others), else the CPU device. A software
    /// Vulkan driver is slower than the CPU device, so it is taken only when asked for.
    ///
    /// # Errors
    /// [`Error::Gpu`](crate::Error::Gpu) if a hardware GPU is there but cannot be opened: falling back silently would
    /// hide that.
    pub fn best() -> Result<Self> {
        DeviceOptions::default().best()
    }

    /// [`Device::best`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub async fn best_async() -> Result<Self> {
        DeviceOptions::default().best_async().await
    }

    /// The CPU device, on as many threads as the process may use; on one without the feature `native`. Each model on it
    /// has threads of its own.
    pub fn cpu() -> Self {
        Self::cpu_with_threads(available_threads())
    }

    /// The CPU device on a given number of threads, 1 at least. The number changes no result, only the time.
    pub fn cpu_with_threads(threads: usize) -> Self {
        Device { backend: Backend::Cpu { threads: threads.max(1), processor: Processor::found() } }
    }

    /// A GPU: hardware before software.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where no driver offers one.
    pub fn gpu() -> Result<Self> {
        DeviceOptions::default().gpu()
    }

    /// The first GPU whose name contains `part`, upper and lower case being the same.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter), listing those there are.
    pub fn gpu_named(part: &str) -> Result<Self> {
        DeviceOptions::default().gpu_named(part)
    }

    /// [`Device::gpu_named`] for callers that are asynchronous themselves; an empty name fits every GPU.
    ///
    /// # Errors
    /// As [`Device::gpu_named`].
    pub async fn gpu_named_async(part: &str) -> Result<Self> {
        DeviceOptions::default().gpu_named_async(part).await
    }

    /// A device for `best`, `cpu`, `gpu`, or any part of an adapter's name: what a `--device` option takes.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) if nothing fits.
    pub fn named(name: &str) -> Result<Self> {
        DeviceOptions::default().named(name)
    }

    /// Wraps a device and queue that the caller owns. Its error and device-lost handlers are left alone.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if a limit is below [`Device::required_limits`].
    ///
    /// ```no_run
    /// # fn host_device() -> (wgpu::Device, wgpu::Queue) { unimplemented!() }
    /// use wgrad::{Device, wgpu};
    ///
    /// let (device, queue) = host_device();
    /// let shared = Device::from_wgpu(device, queue)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        DeviceOptions::default().wrap(device, queue)
    }

    /// The limits a caller's own device must have: WebGPU's defaults. With
    /// [`Device::wanted_limits`] a step has fewer dispatches.
    pub fn required_limits() -> wgpu::Limits {
        wgpu::Limits::default()
    }

    /// The limits that wgrad asks for on a device of its own, where the adapter offers these: WebGPU's defaults, buffers as
    /// large as they may be, up to 32 storage buffers in a stage and 32 KiB of workgroup memory. With those, launches that do
    /// not depend on each other share a dispatch; [`Model::plan_summary`](crate::Model::plan_summary) marks them.
    ///
    /// ```
    /// use wgrad::{Device, wgpu};
    ///
    /// let limits = Device::wanted_limits(&wgpu::Limits::default()); // of an adapter, `adapter.limits()`
    /// assert_eq!(limits, Device::required_limits());
    /// ```
    pub fn wanted_limits(offered: &wgpu::Limits) -> wgpu::Limits {
        wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: offered.max_storage_buffers_per_shader_stage.min(32),
            // With the step block.
            max_buffers_and_acceleration_structures_per_shader_stage: offered
                .max_buffers_and_acceleration_structures_per_shader_stage
                .min(32 + 1),
            max_compute_workgroup_storage_size: offered.max_compute_workgroup_storage_size.min(32 << 10),
            ..wgpu::Limits::default()
        }
    }

    /// What this device is.
    pub fn info(&self) -> DeviceInfo {
        match &self.backend {
            Backend::Cpu { threads, processor } => cpu_info(*threads, processor),
            Backend::Gpu(context) => context.info.clone(),
        }
    }

    /// The wgpu device and queue; `None` for the CPU device.
    pub fn wgpu(&self) -> Option<(&wgpu::Device, &wgpu::Queue)> {
        match &self.backend {
            Backend::Cpu { .. } => None,
            Backend::Gpu(context) => Some((&context.device, &context.queue)),
        }
    }

    /// Runs one kernel once, on memory of its own: `arguments` are the words of each binding in the order of the kernel's
    /// list, and come back as the kernel leaves them. The step block among them says how many rows there are; the launch
    /// is made for `capacity` rows at most. For tests, and for those who add an operation.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for a wrong number of arguments, and whatever the device reports.
    pub fn launch(&self, kernel: &Kernel, capacity: usize, arguments: &mut [Vec<u32>]) -> Result<()> {
        self.launch_stored(kernel, Storage::default(), capacity, arguments)
    }

    /// [`Device::launch`] for numbers that are stored in this way: the arguments are those of [`Kernel::bindings`].
    ///
    /// # Errors
    /// As [`Device::launch`], and [`Error::Configuration`](crate::Error::Configuration) for half precision on a device
    /// without it.
    pub fn launch_stored(
        &self,
        kernel: &Kernel,
        storage: Storage,
        capacity: usize,
        arguments: &mut [Vec<u32>],
    ) -> Result<()> {
        executor::launch_once(self, (kernel, storage), capacity, arguments)
    }

    /// Whether [`Precision::F16`](crate::Precision::F16) may be used.
    pub(crate) fn check_half_precision(&self) -> Result<()> {
        let info = self.info();
        match info.has_half_precision() {
            true => Ok(()),
            false => Err(Error::configuration("half precision", "a GPU with the feature shader-f16", info)),
        }
    }

    /// Whether a storage buffer of so many words can be had, as far as limits tell.
    pub(crate) fn check_storage(&self, label: &str, words: usize) -> Result<()> {
        match &self.backend {
            Backend::Cpu { .. } => Ok(()),
            Backend::Gpu(context) => context.check_size(label, words, wgpu::BufferUsages::STORAGE).map(drop),
        }
    }

    /// The tilings that were chosen for it by measurement, so far.
    pub(crate) fn choices(&self) -> Arc<Choices> {
        match &self.backend {
            Backend::Cpu { .. } => Arc::default(),
            Backend::Gpu(context) => context.choices(),
        }
    }

    /// What tilings are chosen for.
    pub(crate) fn traits(&self) -> Traits {
        match &self.backend {
            Backend::Cpu { .. } => Traits::of(Family::Software),
            Backend::Gpu(context) => context.traits(),
        }
    }
}

/// Every device of this machine: the GPUs, hardware first, then the CPU. Nothing is opened.
///
/// ```
/// for device in wgrad::devices() {
///     println!("{device}"); // such as: CPU (AVX2, 8 threads)
/// }
/// ```
pub fn devices() -> Vec<DeviceInfo> {
    let mut found: Vec<_> = pollster::block_on(adapters::adapters()).into_iter().map(|(_, info)| info).collect();
    found.push(Device::cpu().info());
    found
}

fn cpu_info(threads: usize, processor: &Processor) -> DeviceInfo {
    DeviceInfo {
        name: "CPU".into(),
        kind: DeviceKind::Cpu,
        backend: "native".into(),
        driver: processor.instructions.set().to_string(),
        threads: Some(threads),
        subgroup_size: None,
        cooperative_matrix: None,
        limits: None,
        features: None,
    }
}

fn available_threads() -> usize {
    if cfg!(feature = "native") { std::thread::available_parallelism().map_or(1, |threads| threads.get()) } else { 1 }
}
