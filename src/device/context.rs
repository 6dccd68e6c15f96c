//! A GPU as this crate uses it: the wgpu device and queue, its pipelines, and the one way in which wgpu's errors become
//! ours. Error scopes are confined to this file, polls to `poller.rs`.

use std::collections::HashMap;
#[cfg(feature = "native")]
use std::path::PathBuf;
#[cfg(feature = "native")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex};

use futures::FutureExt;

use super::adapters::{cooperative_matrix, describe};
use super::info::{DeviceInfo, DeviceKind};
use super::limits;
use super::lock::lock;
use super::options::DeviceOptions;
#[cfg(feature = "native")]
use super::pipelines::KeptPipelines;
use super::poller;
#[cfg(feature = "native")]
use super::poller::Poller;
#[cfg(feature = "native")]
use super::tilings::KeptTilings;
use crate::error::{Error, Result};
use crate::kernels::product::{Choices, Family, SUBGROUP, Traits};
use crate::kernels::storage::Storage;
use crate::kernels::{Access, Binding, Kernel};
use crate::shader::{ENABLE_MATRIX_UNITS, FOREIGN_TEXT};

/// A pipeline with the layout of its bind group.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// What a pipeline is made of.
#[derive(Clone, Debug)]
pub(crate) struct ShaderText {
    name: String,
    text: String,
    bindings: Vec<Binding>,
}

impl ShaderText {
    /// For one kernel.
    pub fn new(kernel: &Kernel, storage: Storage) -> Self {
        let (text, bindings) = (kernel.shader(storage), kernel.bindings(storage));
        ShaderText { name: kernel.definition().name.to_string(), text, bindings }
    }

    /// For kernels that share a dispatch, each with the number of its workgroups.
    pub fn side_by_side(kernels: &[(&Kernel, Storage, usize)]) -> Self {
        if let [(kernel, storage, _)] = kernels {
            return ShaderText::new(kernel, *storage);
        }
        let names: Vec<_> = kernels.iter().map(|(kernel, ..)| kernel.definition().name).collect();
        let text = Kernel::shader_side_by_side(kernels);
        ShaderText { name: names.join(" + "), text, bindings: Kernel::bindings_side_by_side(kernels) }
    }
}

/// A GPU with what is made once for all models on it.
#[derive(Debug)]
pub(crate) struct Context {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: DeviceInfo,
    /// By the whole text of the shader: layers of one shape share theirs.
    pipelines: Mutex<HashMap<String, Arc<Pipeline>>>,
    choices: Mutex<Arc<Choices>>,
    /// How it was opened; `None` for a caller's device.
    pub opened_by: Option<DeviceOptions>,
    /// As [`DeviceOptions::index_checks`] was set.
    index_checks: Option<bool>,
    /// As [`DeviceOptions::plan_for_hardware`] was set.
    plans_for_hardware: bool,
    #[cfg(feature = "native")]
    kept_pipelines: Option<KeptPipelines>,
    #[cfg(feature = "native")]
    kept_tilings: Option<KeptTilings>,
    #[cfg(feature = "native")]
    poller: OnceLock<Option<Poller>>,
    /// Why the device was lost, as far as wgpu told us. Never set for a caller's device, whose handler is the caller's.
    lost: Arc<Mutex<Option<String>>>,
}

impl Context {
    /// Opens an adapter.
    pub async fn open(adapter: wgpu::Adapter, info: DeviceInfo, options: &DeviceOptions) -> Result<Self> {
        let (offered, offered_features) = (adapter.limits(), adapter.features());
        let wanted_limits = limits::wanted(&offered);
        limits::check(&info.name, &offered)?;
        let taken = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16;
        let mut wanted = taken | options.features();
        let matrix = options.wants_cooperative_matrices().then(|| cooperative_matrix(&adapter, &info)).flatten();
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if matrix.is_some() {
            wanted |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: wgpu does not answer for what experimental features do, so they are on only where the caller asked for
            // this one. One shader uses it, product_cooperative.wgsl, in uniform control flow, on matrices that lie in their
            // arrays whole. docs/safety.md says what is left to the driver.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgrad device"),
            required_features: offered_features & wanted,
            required_limits: wanted_limits,
            experimental_features,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| Error::Gpu { during: format!("opening {}", info.name), message: error.to_string() })?;
        let lost = Arc::new(Mutex::new(None));
        let reason = lost.clone();
        device.set_device_lost_callback(move |_, message| *lock(&reason) = Some(message));
        let (limits, features) = (Some(device.limits()), Some(device.features()));
        let info = DeviceInfo { limits, features, cooperative_matrix: matrix, ..info };
        let opened = Self::new(device, queue, info, lost, options);
        Ok(Context { opened_by: Some(options.clone()), ..opened })
    }

    /// Wraps a caller's device, leaving its handlers alone.
    pub fn wrap(device: wgpu::Device, queue: wgpu::Queue, options: &DeviceOptions) -> Result<Self> {
        let info = describe(device.adapter_info(), device.limits(), device.features());
        limits::check(&info.name, &device.limits())?;
        Ok(Self::new(device, queue, info, Arc::default(), options))
    }

    fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        info: DeviceInfo,
        lost: Arc<Mutex<Option<String>>>,
        options: &DeviceOptions,
    ) -> Self {
        let context = Context {
            index_checks: options.index_checks,
            plans_for_hardware: options.plans_for_hardware,
            device,
            queue,
            info,
            pipelines: Mutex::default(),
            choices: Mutex::default(),
            opened_by: None,
            #[cfg(feature = "native")]
            kept_pipelines: None,
            #[cfg(feature = "native")]
            kept_tilings: None,
            #[cfg(feature = "native")]
            poller: OnceLock::new(),
            lost,
        };
        #[cfg(feature = "native")]
        let context = context.with_kept(options);
        context
    }

    /// With what earlier runs left on disk.
    #[cfg(feature = "native")]
    fn with_kept(self, options: &DeviceOptions) -> Self {
        let kept_pipelines = KeptPipelines::open(&self.device, options, |create| {
            // Without it pipelines are compiled, as they would be without the option.
            self.scoped("opening the pipeline cache", create).ok()
        });
        let kept_tilings = KeptTilings::new(&self.info, self.traits(), options);
        let choices = kept_tilings.as_ref().map(KeptTilings::load).unwrap_or_default();
        Context { choices: Mutex::new(Arc::new(choices)), kept_pipelines, kept_tilings, ..self }
    }

    /// What tilings are chosen for.
    pub fn traits(&self) -> Traits {
        let family = match self.info.kind {
            _ if self.plans_for_hardware => Family::Hardware,
            DeviceKind::SoftwareGpu if self.info.subgroup_size == Some(SUBGROUP) => Family::SoftwareSubgroups,
            DeviceKind::SoftwareGpu => Family::Software,
            _ => Family::Hardware,
        };
        Traits { family, matrix: self.info.cooperative_matrix }
    }

    /// Whether shaders check their indexes. They need not on Vulkan alone: there a device checks those into buffers itself.
    pub fn checks_indexes(&self) -> bool {
        let robust = self.device.adapter_info().backend == wgpu::Backend::Vulkan;
        !robust || self.index_checks.unwrap_or(self.traits().family != Family::Hardware)
    }

    /// How many pipelines were made.
    pub fn pipelines_made(&self) -> usize {
        lock(&self.pipelines).len()
    }

    /// Whether launches can be timed by the device itself.
    pub fn has_timestamps(&self) -> bool {
        self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// The seconds that so many ticks of the device's clock are.
    pub fn seconds_of(&self, ticks: u64) -> f64 {
        ticks as f64 * f64::from(self.queue.get_timestamp_period()) * 1e-9
    }

    /// The tilings that were chosen for this device by measurement, so far.
    pub fn choices(&self) -> Arc<Choices> {
        lock(&self.choices).clone()
    }

    /// Adds choices for models that are compiled from now on.
    #[cfg(feature = "native")]
    pub fn choose(&self, choices: &Choices) {
        let mut all = lock(&self.choices);
        Arc::make_mut(&mut all).0.extend(choices.0.iter());
    }

    /// Keeps choices on disk, where that is wanted; returns the file.
    #[cfg(feature = "native")]
    pub fn keep(&self, choices: &Choices) -> Result<Option<PathBuf>> {
        self.kept_tilings.as_ref().map(|kept| kept.store(choices)).transpose()
    }

    pub fn limits(&self) -> wgpu::Limits {
        self.device.limits()
    }

    /// Runs calls to wgpu and turns the errors that they raise on this thread into ours.
    pub fn scoped<T>(&self, during: &str, calls: impl FnOnce() -> T) -> Result<T> {
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let value = calls();
        let mut found = None;
        // Scopes end in the reverse order of their start. wgpu-core has the answer at once; nothing is waited for.
        for scope in scopes.into_iter().rev() {
            found = scope.pop().now_or_never().flatten().or(found);
        }
        match found {
            None => Ok(value),
            Some(error) => Err(self.translate(during, error)),
        }
    }

    fn translate(&self, during: &str, error: wgpu::Error) -> Error {
        match error {
            wgpu::Error::OutOfMemory { .. } => {
                Error::OutOfMemory { during: format!("{during}, in the device's memory") }
            }
            other => self.refusal(during, other.to_string()),
        }
    }

    /// The error for a call that wgpu refused: because the device is lost, or else for a reason that should not be.
    pub fn refusal(&self, during: &str, message: String) -> Error {
        match self.loss() {
            Some(reason) => Error::DeviceLost { during: during.into(), reason },
            None => Error::Gpu { during: during.into(), message },
        }
    }

    /// Why the device is lost, if it is. wgpu says so to the device-lost handler alone, which on a caller's device is the
    /// caller's; its calls on a lost device raise no error. But what they make is invalid, and using that is an error.
    fn loss(&self) -> Option<String> {
        if let Some(reason) = lock(&self.lost).clone() {
            return Some(reason);
        }
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let no_memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let usage = wgpu::BufferUsages::COPY_DST;
        let descriptor =
            wgpu::BufferDescriptor { label: Some("wgrad probe"), size: 4, usage, mapped_at_creation: false };
        let probe = self.device.create_buffer(&descriptor);
        self.queue.write_buffer(&probe, 0, &[0; 4]);
        let (no_memory, invalid) = (no_memory.pop().now_or_never().flatten(), invalid.pop().now_or_never().flatten());
        (invalid.is_some() && no_memory.is_none()).then(|| "it was destroyed or reset".into())
    }

    /// Waits for a submission.
    pub async fn wait(&self, during: &str, submission: wgpu::SubmissionIndex) -> Result<()> {
        let lost = |reason: String| Error::DeviceLost { during: during.into(), reason };
        self.polled(submission).await.map_err(lost)?;
        match lock(&self.lost).clone() {
            Some(reason) => Err(lost(reason)),
            None => Ok(()),
        }
    }

    #[cfg(feature = "native")]
    async fn polled(&self, submission: wgpu::SubmissionIndex) -> std::result::Result<(), String> {
        match self.poller.get_or_init(|| Poller::start(&self.device)) {
            Some(poller) => poller.wait(submission).await,
            None => poller::wait(&self.device, submission),
        }
    }

    /// There is no thread to do it.
    #[cfg(not(feature = "native"))]
    async fn polled(&self, submission: wgpu::SubmissionIndex) -> std::result::Result<(), String> {
        poller::wait(&self.device, submission)
    }

    /// A buffer with a label, its size checked against the device's limits first.
    pub fn buffer(&self, label: &str, words: usize, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let size = self.check_size(label, words, usage)?;
        self.scoped(&format!("allocating {label} ({size} bytes)"), || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(&format!("wgrad {label}")),
                size,
                usage,
                mapped_at_creation: false,
            })
        })
    }

    /// The bytes that a buffer takes, if the device's limits allow it.
    pub fn check_size(&self, label: &str, words: usize, usage: wgpu::BufferUsages) -> Result<u64> {
        let size = 4 * words.max(4) as u64;
        let limits = self.limits();
        let mut limit = ("maxBufferSize", limits.max_buffer_size);
        if usage.contains(wgpu::BufferUsages::STORAGE) && limits.max_storage_buffer_binding_size < limit.1 {
            limit = ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size);
        }
        if size > limit.1 {
            return Err(Error::Limit { what: label.into(), limit: limit.0, needed: size, available: limit.1 });
        }
        Ok(size)
    }

    /// The pipelines of these shaders, made in parallel where they are not there yet.
    pub fn pipelines(&self, shaders: &[ShaderText]) -> Result<Vec<Arc<Pipeline>>> {
        let mut missing: Vec<_> = {
            let known = lock(&self.pipelines);
            shaders.iter().filter(|source| !known.contains_key(&source.text)).collect()
        };
        missing.sort_by(|a, b| a.text.cmp(&b.text));
        missing.dedup_by(|a, b| a.text == b.text);
        for (source, made) in missing.iter().zip(self.make_all(&missing)) {
            lock(&self.pipelines).insert(source.text.clone(), Arc::new(made?));
        }
        #[cfg(feature = "native")]
        if let Some(kept) = self.kept_pipelines.as_ref().filter(|_| !missing.is_empty()) {
            kept.store();
        }
        let known = lock(&self.pipelines);
        Ok(shaders.iter().filter_map(|source| known.get(&source.text).cloned()).collect())
    }

    /// Puts a pipeline made of another text in the place of a shader's own: for tests of verify mode.
    #[cfg(test)]
    pub fn sabotage(&self, source: ShaderText, text: &str) -> Result<()> {
        let made = self.make(&ShaderText { text: text.to_string(), ..source.clone() })?;
        lock(&self.pipelines).insert(source.text, Arc::new(made));
        Ok(())
    }

    #[cfg(feature = "native")]
    fn make_all(&self, missing: &[&ShaderText]) -> Vec<Result<Pipeline>> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = missing.iter().map(|&source| scope.spawn(move || self.make(source))).collect();
            let panicked =
                |_| Err(Error::Gpu { during: "compiling".into(), message: "the driver's compiler panicked".into() });
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        })
    }

    #[cfg(not(feature = "native"))]
    fn make_all(&self, missing: &[&ShaderText]) -> Vec<Result<Pipeline>> {
        missing.iter().map(|source| self.make(source)).collect()
    }

    fn make(&self, source: &ShaderText) -> Result<Pipeline> {
        let label = format!("wgrad {}", source.name);
        let entries: Vec<_> = (0..).zip(&source.bindings).map(|(i, binding)| layout_entry(i, binding.access)).collect();
        self.scoped(&format!("compiling {}", source.name), || {
            let layout = self
                .device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&label),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = self.compute_pipeline(&label, &source.text, Some(&pipeline_layout));
            Pipeline { pipeline, layout }
        })
    }

    /// A pipeline of a shader that is no operation's, under the same checks, its layout as wgpu reads it from the text. The
    /// text keeps to the rules that [`Context::compute_pipeline`] states.
    #[cfg(feature = "native")]
    pub fn foreign_pipeline(&self, name: &str, text: &str) -> Result<wgpu::ComputePipeline> {
        let label = format!("wgrad {name}");
        self.scoped(&format!("compiling {name}"), || self.compute_pipeline(&label, text, None))
    }

    fn compute_pipeline(
        &self,
        label: &str,
        text: &str,
        layout: Option<&wgpu::PipelineLayout>,
    ) -> wgpu::ComputePipeline {
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(text.into()) };
        let foreign = text.contains(FOREIGN_TEXT);
        let checks = wgpu::ShaderRuntimeChecks {
            bounds_checks: self.checks_indexes() || foreign || text.contains(ENABLE_MATRIX_UNITS),
            force_loop_bounding: foreign,
            ..wgpu::ShaderRuntimeChecks::checked()
        };
        // SAFETY: shaders with text of the user's have all checks. Of the others, one check that is off guards against loops without an end. Every loop of every shader counts up to (or
        // halves down from) a bound that the loop does not change, by a step of at least one, so each ends. The other,
        // if it is off, leaves storage and uniform buffers to the device, which wgpu opens with robust access on Vulkan: no
        // access leaves the buffer, and all of these are the engine's own. Indexes into other memory are made of constants,
        // counters and the invocation's place alone, and docs/safety.md says why each lies within its array. Where a
        // subgroup's number has a part in them, in shaders for matrix units, they stay checked. The doctor's shaders keep to
        // the same rules.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every shader writes the workgroup memory that it reads, behind a barrier.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: self.pipeline_cache(),
        })
    }
}

impl Context {
    #[cfg(feature = "native")]
    fn pipeline_cache(&self) -> Option<&wgpu::PipelineCache> {
        self.kept_pipelines.as_ref().map(|kept| &kept.cache)
    }

    /// There are no files to keep it in.
    #[cfg(not(feature = "native"))]
    fn pipeline_cache(&self) -> Option<&wgpu::PipelineCache> {
        None
    }
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let ty = match access {
        Access::Step => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::Write | Access::Update => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
