//! How a device is opened: which adapter is taken.

use std::sync::Arc;

use super::adapters::adapters;
use super::context::Context;
use super::info::{DeviceInfo, DeviceKind};
use super::options::DeviceOptions;
use super::{Backend, Device, available_threads};
use crate::blocking::block_on;
use crate::cpu::machine::{Cache, Instructions, Processor};
use crate::error::{Error, Result};

impl DeviceOptions {
    /// The CPU device, as [`Device::cpu`] opens it but for what was chosen.
    ///
    /// # Errors
    /// [`Error::Configuration`] for instructions that the processor does not have, and for a cache of less than 64 KiB.
    pub fn cpu(&self) -> Result<Device> {
        let mut processor = match self.instructions {
            Some(set) => Processor::with(Instructions::of(set)?),
            None => Processor::found(),
        };
        if let Some(bytes) = self.cache_size {
            processor.cache = Cache::of(bytes)?;
        }
        let threads = self.threads.unwrap_or_else(available_threads).max(1);
        Ok(Device { backend: Backend::Cpu { threads, processor } })
    }

    /// As [`Device::best`].
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn best(&self) -> Result<Device> {
        block_on(self.best_async())
    }

    /// As [`Device::best_async`].
    ///
    /// # Errors
    /// As [`Device::best`].
    pub async fn best_async(&self) -> Result<Device> {
        let mut adapters = adapters().await;
        adapters.retain(|(_, info)| info.kind != DeviceKind::SoftwareGpu);
        match adapters.into_iter().next() {
            Some((adapter, info)) => self.open(adapter, info).await,
            None => self.cpu(),
        }
    }

    /// As [`Device::gpu`].
    ///
    /// # Errors
    /// As [`Device::gpu`].
    pub fn gpu(&self) -> Result<Device> {
        self.gpu_named("")
    }

    /// As [`Device::gpu_named`].
    ///
    /// # Errors
    /// As [`Device::gpu_named`].
    pub fn gpu_named(&self, part: &str) -> Result<Device> {
        block_on(self.gpu_named_async(part))
    }

    /// As [`Device::gpu_named_async`].
    ///
    /// # Errors
    /// As [`Device::gpu_named`].
    pub async fn gpu_named_async(&self, part: &str) -> Result<Device> {
        let adapters = adapters().await;
        let names: Vec<_> = adapters.iter().map(|(_, info)| info.to_string()).collect();
        let wanted = part.to_lowercase();
        match adapters.into_iter().find(|(_, info)| info.name.to_lowercase().contains(&wanted)) {
            Some((adapter, info)) => self.open(adapter, info).await,
            None => Err(Error::NoAdapter {
                wanted: if part.is_empty() { "any GPU".into() } else { format!("a name containing {part:?}") },
                available: if names.is_empty() { "none".into() } else { names.join("; ") },
            }),
        }
    }

    /// As [`Device::named`].
    ///
    /// # Errors
    /// As [`Device::named`].
    pub fn named(&self, name: &str) -> Result<Device> {
        match name {
            "best" => self.best(),
            "cpu" => self.cpu(),
            "gpu" => self.gpu(),
            part => self.gpu_named(part),
        }
    }

    /// Wraps a device and queue that the caller owns, as [`Device::from_wgpu`] does.
    ///
    /// # Errors
    /// As [`Device::from_wgpu`].
    pub fn wrap(&self, device: wgpu::Device, queue: wgpu::Queue) -> Result<Device> {
        Ok(Device { backend: Backend::Gpu(Arc::new(Context::wrap(device, queue, self)?)) })
    }

    async fn open(&self, adapter: wgpu::Adapter, info: DeviceInfo) -> Result<Device> {
        Ok(Device { backend: Backend::Gpu(Arc::new(Context::open(adapter, info, self).await?)) })
    }
}
