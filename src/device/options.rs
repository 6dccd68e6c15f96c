//! Choices for opening a device, as plain data: what is kept on disk from one run to the next, and what is switched on.

#[cfg(feature = "native")]
use std::path::PathBuf;

use crate::cpu::machine::InstructionSet;

/// Choices for opening a device; made by [`Device::options`](crate::Device::options). Without any, [`DeviceOptions::best`]
/// and the others do what [`Device::best`](crate::Device::best) and the others do.
///
/// ```
/// use wgrad::Device;
///
/// let device = Device::options().pipeline_cache(true).best()?;
/// println!("{}", device.info());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    pub(super) index_checks: Option<bool>,
    pub(super) plans_for_hardware: bool,
    pub(super) threads: Option<usize>,
    pub(super) instructions: Option<InstructionSet>,
    pub(super) cache_size: Option<usize>,
    #[cfg(feature = "native")]
    pub(super) keeps_pipelines: bool,
    #[cfg(feature = "native")]
    pub(super) forgets_tilings: bool,
    #[cfg(feature = "native")]
    pub(super) uses_cooperative_matrices: bool,
    #[cfg(feature = "native")]
    pub(super) directory: Option<PathBuf>,
}

#[cfg(feature = "native")]
impl DeviceOptions {
    /// Whether compiled pipelines are kept on disk, so that the next process that opens this GPU need not compile them
    /// again. By default they are not: desktop drivers keep caches of their own, which do the same. Turn it on for
    /// drivers that have none, such as Android's.
    ///
    /// It works on Vulkan alone; elsewhere it has no effect, and neither has it on a caller's device without the
    /// feature `PIPELINE_CACHE`. [`DeviceInfo::features`](crate::DeviceInfo::features) says whether it is on. The file is `pipelines` in the
    /// [`cache_directory`](DeviceOptions::cache_directory), one for each adapter and version of wgrad; how large it is,
    /// is the driver's business, and what is beyond 32 MiB is neither read nor written. It is written after pipelines
    /// were made, whole or not at all, if it changed. A file that is damaged, of another driver, or cannot be read or
    /// written costs time and nothing else: pipelines are compiled then.
    pub fn pipeline_cache(mut self, on: bool) -> Self {
        self.keeps_pipelines = on;
        self
    }

    /// Whether tilings that [`Model::tune`](crate::Model::tune) chose for this GPU, in this or an earlier process,
    /// are used, and those that it will choose are kept on disk. By default they are; without a call of `tune` nothing
    /// is written. Turned off, tilings are a function of shape and kind of device, and what `tune` finds holds for
    /// this device alone, as long as it is open.
    ///
    /// The file is `tilings` in the [`cache_directory`](DeviceOptions::cache_directory), one for each adapter, driver
    /// with its version, and version of wgrad, some 200 bytes for each shape of a product. One that is damaged is as if
    /// it were not there.
    pub fn tuned_tilings(mut self, on: bool) -> Self {
        self.forgets_tilings = !on;
        self
    }

    /// Whether the GPU's matrix units (tensor cores) multiply for models in [`Precision::F16`](crate::Precision::F16). By
    /// default they do not: wgpu's cooperative matrices, through which they are reached, are an experimental feature.
    ///
    /// It takes an adapter that multiplies square matrices of 8 or 16 halves with sums in f32 and whose subgroups have one
    /// size. Elsewhere, and on a caller's device, it has no effect; [`DeviceInfo::cooperative_matrix`](crate::DeviceInfo::cooperative_matrix) says whether it is on.
    /// Which products the units make, follows from their size, or is [tuned](crate::Model::tune).
    ///
    /// There a layer's parameters are rounded to halves as they are multiplied, as they are under Keras's policy
    /// `mixed_float16`; one beyond 65,504 becomes infinite there. What is kept of them and updated stays in f32.
    pub fn cooperative_matrices(mut self, on: bool) -> Self {
        self.uses_cooperative_matrices = on;
        self
    }

    /// Whether shaders check their own indexes into workgroup and private memory. By default they do not on hardware GPUs
    /// through Vulkan, where these checks are an eighth of a product's instructions, and do everywhere else. Through Metal and
    /// DX12 they always do.
    ///
    /// Turned on, it is a tool for doubts about a driver or about wgrad; the numbers are the same. Accesses to storage and
    /// uniform buffers are kept within their binding in any case, by the shader or by the device; without the extension
    /// `VK_EXT_robustness2`, within the whole of the buffer. Shaders for matrix units always check.
    pub fn index_checks(mut self, on: bool) -> Self {
        self.index_checks = Some(on);
        self
    }

    /// Keeps files in this directory rather than in the user's cache: `wgrad` in `$XDG_CACHE_HOME` or `~/.cache`, in
    /// `~/Library/Caches` on macOS, in `%LOCALAPPDATA%` on Windows. Others should not be able to write there: drivers
    /// trust compiled pipelines.
    pub fn cache_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Threads of the CPU device, 1 at least; by default as many as the process may use. The number changes no result.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The vector instructions that the CPU device computes with; by default the best that the processor has. For tests and
    /// measurements: results differ in their last bits from one set to another, and others are slower.
    ///
    /// ```
    /// use wgrad::{Device, InstructionSet};
    ///
    /// let device = Device::options().instruction_set(InstructionSet::Baseline).cpu()?;
    /// println!("{}", device.info());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn instruction_set(mut self, set: InstructionSet) -> Self {
        self.instructions = Some(set);
        self
    }

    /// What the CPU device takes for the size of a core's second-level cache, in bytes; by default what the processor says.
    /// For tests and measurements: products are cut into blocks by it, which changes no result.
    pub fn cache_size(mut self, bytes: usize) -> Self {
        self.cache_size = Some(bytes);
        self
    }
}

impl DeviceOptions {
    /// Has models planned as for a hardware GPU, whatever the device is: the same tilings, fusions and shaders without
    /// index checks. For tests of those plans where there is only a software driver, on which they are slow.
    #[cfg(feature = "native")]
    #[doc(hidden)]
    pub fn plan_for_hardware(mut self, on: bool) -> Self {
        self.plans_for_hardware = on;
        self
    }

    /// What the device is asked for beyond what is always of use, where the adapter has it.
    pub(super) fn features(&self) -> wgpu::Features {
        #[cfg(feature = "native")]
        if self.keeps_pipelines {
            return wgpu::Features::PIPELINE_CACHE;
        }
        wgpu::Features::empty()
    }

    /// Whether matrix units are to be used where there are some.
    pub(super) fn wants_cooperative_matrices(&self) -> bool {
        #[cfg(feature = "native")]
        return self.uses_cooperative_matrices;
        #[cfg(not(feature = "native"))]
        false
    }
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use crate::{Activation, Adam, Dataset, Dense, Device, Fit, InstructionSet, Loss, Result, Sequential};

    /// The bits of a net's first kernel after some steps on a device; batches are larger than a block of the smallest cache.
    fn trained(device: &Device) -> Result<Vec<u32>> {
        let values = |count: usize| (0..count).map(|index| (index * 7919 % 1013) as f32 / 1013.0).collect();
        let data = Dataset::from_rows(values(640 * 100), 100, values(640 * 3), 3)?;
        let net = Sequential::new(100).add(Dense::new(70).activation(Activation::Relu)).add(Dense::new(3)).seed(1);
        let mut model = net.compile(device, Adam::default(), Loss::MeanSquaredError)?;
        model.fit(&data, Fit::new().batch_size(320).epochs(2).seed(1))?;
        Ok(model.parameter("dense_0.kernel")?.iter().map(|weight| weight.to_bits()).collect())
    }

    #[test]
    fn threads_and_cache_change_no_bit_and_instructions_are_those_asked_for() -> Result<()> {
        for set in InstructionSet::available() {
            let options = Device::options().instruction_set(set).threads(1);
            let (device, other) = (options.named("cpu")?, options.clone().threads(3).cache_size(64 << 10).cpu()?);
            let threads = |device: &Device| device.info().threads;
            assert_eq!((threads(&device), threads(&other)), (Some(1), Some(3)));
            assert_eq!(device.info().driver, set.to_string());
            assert_eq!(trained(&device)?, trained(&other)?, "{set}");
        }
        Ok(())
    }

    #[test]
    fn what_the_processor_does_not_have_is_refused() {
        let lacking = if cfg!(target_arch = "aarch64") { InstructionSet::Avx2 } else { InstructionSet::Neon };
        let error = Device::options().instruction_set(lacking).cpu().map_err(|error| error.to_string()).err();
        let expected = "instruction set: expected what this processor has (";
        assert!(error.as_ref().is_some_and(|error| error.starts_with(expected)), "{error:?}");
        let error = Device::options().cache_size(1000).cpu().map_err(|error| error.to_string()).err();
        assert_eq!(error.as_deref(), Some("cache size: expected 65536 bytes at least, found 1000"));
    }
}
