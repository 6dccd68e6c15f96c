//! Compiled pipelines that are kept on disk from one process to the next. It owns the file; which pipelines there are
//! is the context's concern.

use std::path::PathBuf;
use std::sync::Mutex;

use super::lock::lock;
use super::options::DeviceOptions;
use crate::cache;
use crate::digest::sha256;
use crate::files::user_cache;

/// The kind of file.
const KIND: &str = "pipelines";

/// More is neither read nor written: drivers add and never remove, and shapes come and go.
const MOST_BYTES: u64 = 32 << 20;

/// wgpu's cache of pipelines, with the file that it is loaded from and stored to.
#[derive(Debug)]
pub(super) struct KeptPipelines {
    pub cache: wgpu::PipelineCache,
    path: PathBuf,
    /// What the file holds, by its digest; `None` if it is not there or of no use.
    on_disk: Mutex<Option<String>>,
}

impl KeptPipelines {
    /// Where it was asked for, the device can do it, and there is a place for it.
    /// `scoped` calls what it is given, and says whether wgpu refused.
    pub fn open(
        device: &wgpu::Device,
        options: &DeviceOptions,
        scoped: impl FnOnce(&dyn Fn() -> wgpu::PipelineCache) -> Option<wgpu::PipelineCache>,
    ) -> Option<Self> {
        if !options.keeps_pipelines || !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let directory = options.directory.clone().or_else(user_cache)?.join(KIND);
        let key = wgpu::util::pipeline_cache_key(&device.adapter_info())?;
        let path = directory.join(format!("{key}-wgrad-{}", env!("CARGO_PKG_VERSION")));
        let data = cache::load(&path, KIND, MOST_BYTES);
        let descriptor =
            wgpu::PipelineCacheDescriptor { label: Some("wgrad pipelines"), data: data.as_deref(), fallback: true };
        // SAFETY: the data must be what `get_data` returned. It is: under this name `store` writes nothing else, into a
        // directory of the user's own, and the SHA-256 that stands before it says that it has not changed since.
        // Whether adapter and driver are still the same, wgpu and the driver find out, and start from nothing if they
        // are not.
        let create = || unsafe { device.create_pipeline_cache(&descriptor) };
        let cache = scoped(&create)?;
        Some(KeptPipelines { cache, path, on_disk: Mutex::new(data.map(|data| sha256(&[&data]))) })
    }

    /// Brings the file up to date after pipelines were made. That it cannot be written is no error: the next process
    /// compiles them again, that is all.
    pub fn store(&self) {
        let Some(data) = self.cache.get_data().filter(|data| data.len() as u64 <= MOST_BYTES) else { return };
        let digest = Some(sha256(&[&data]));
        let mut on_disk = lock(&self.on_disk);
        if *on_disk != digest && cache::store(&self.path, KIND, &data).is_ok() {
            *on_disk = digest;
        }
    }
}
