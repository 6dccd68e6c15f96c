//! Devices: choosing, listing and describing them, and wrapping a caller's own. What runs on a device is not known here.

mod adapters;
pub(crate) mod context;
mod info;
pub(crate) mod limits;
mod lock;
mod open;
mod options;
#[cfg(feature = "native")]
mod pipelines;
#[cfg_attr(not(feature = "native"), allow(dead_code, reason = "without threads whoever waits polls"))]
mod poller;
#[cfg(feature = "native")]
pub(crate) mod tilings;

use std::sync::Arc;

use crate::blocking::block_on;
use crate::cpu::machine::Processor;
use crate::error::{Error, Result};
use crate::kernels::product::{Choices, Family, Traits};
use context::Context;
pub use info::{DeviceInfo, DeviceKind};
pub use options::DeviceOptions;

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

    /// The first GPU whose name contains `part`, upper and lower case being the same; or whose place in the machine this is
    /// ([`DeviceInfo::pci_bus_id`]), or part of that; or, as `gpu:0`, `gpu:1` and so on, the GPU of that number in
    /// [`devices`]. Two GPUs of one name are told apart by place or number.
    ///
    /// ```no_run
    /// let second = wgrad::Device::gpu_named("gpu:1")?;
    /// println!("{}", second.info()); // such as: NVIDIA L4 (discrete GPU, vulkan, NVIDIA 570.0, PCI 0000:3b:00.0)
    /// # Ok::<(), wgrad::Error>(())
    /// ```
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

    /// A device for `best`, `cpu`, `gpu`, or what [`Device::gpu_named`] takes: what a `--device` option takes.
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

    /// The same device opened once more, by the same options: after it was lost, when it answers every call with
    /// [`Error::DeviceLost`](crate::Error::DeviceLost). What [`Model::tune`](crate::Model::tune) has found for it goes along. Models stay
    /// where they are; [`Snapshot::open`](crate::Snapshot::open) brings them over, and
    /// [`Fit::on_device_loss`](crate::Fit::on_device_loss) a training.
    ///
    /// ```
    /// let device = wgrad::Device::best()?;
    /// assert_eq!(device.reopen()?.info(), device.info());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`](crate::Error::Configuration) for a device of the caller's own, which only the caller can open;
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) if it is there no more, and [`Error::Gpu`](crate::Error::Gpu) if it does not open.
    pub fn reopen(&self) -> Result<Self> {
        block_on(self.reopen_async())
    }

    /// The limits a caller's own device must have: WebGPU's defaults. With
    /// [`Device::wanted_limits`] a step has fewer dispatches.
    pub fn required_limits() -> wgpu::Limits {
        limits::required()
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
        limits::wanted(offered)
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

    /// How many pipelines were made on it so far; 0 for the CPU device.
    #[doc(hidden)]
    pub fn pipelines_made(&self) -> usize {
        match &self.backend {
            Backend::Cpu { .. } => 0,
            Backend::Gpu(context) => context.pipelines_made(),
        }
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

    /// Bytes of the largest storage buffer that can be bound.
    pub(crate) fn largest_binding(&self) -> u64 {
        match &self.backend {
            Backend::Cpu { .. } => u64::MAX,
            Backend::Gpu(context) => {
                let limits = context.limits();
                limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
            }
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
    let mut found: Vec<_> = block_on(adapters::adapters()).into_iter().map(|(_, info)| info).collect();
    found.push(Device::cpu().info());
    found
}

fn cpu_info(threads: usize, processor: &Processor) -> DeviceInfo {
    DeviceInfo {
        name: "CPU".into(),
        kind: DeviceKind::Cpu,
        backend: "native".into(),
        driver: processor.instructions.set().to_string(),
        pci_bus_id: None,
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
