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
        let mut adapters = adapters().await;
        let infos: Vec<_> = adapters.iter().map(|(_, info)| info.clone()).collect();
        match find(&infos, part) {
            Some(number) => {
                let (adapter, info) = adapters.swap_remove(number);
                self.open(adapter, info).await
            }
            None => {
                let gpus: Vec<_> = infos.iter().enumerate().map(|(at, info)| format!("gpu:{at} {info}")).collect();
                let wanted = match part {
                    "" => "any GPU".into(),
                    part => format!("{part:?}, be it a number such as gpu:0, a PCI place or part of a name"),
                };
                Err(Error::NoAdapter {
                    wanted,
                    available: if gpus.is_empty() { "none".into() } else { gpus.join("; ") },
                })
            }
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

impl Device {
    /// [`Device::reopen`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Device::reopen`].
    pub async fn reopen_async(&self) -> Result<Device> {
        let Backend::Gpu(context) = &self.backend else { return Ok(self.clone()) };
        let Some(options) = &context.opened_by else {
            let expected =
                "one that wgrad opened; a device of your own is opened by you, and wrapped by Device::from_wgpu";
            return Err(Error::configuration("device to be opened again", expected, &context.info));
        };
        let adapters = adapters().await;
        let infos: Vec<_> = adapters.iter().map(|(_, info)| info.to_string()).collect();
        let Some((adapter, info)) = adapters.into_iter().find(|(_, info)| is_same(info, &context.info)) else {
            let available = if infos.is_empty() { "none".into() } else { infos.join("; ") };
            return Err(Error::NoAdapter { wanted: context.info.to_string(), available });
        };
        let device = options.open(adapter, info).await?;
        #[cfg(feature = "native")]
        if let Backend::Gpu(opened) = &device.backend {
            opened.choose(&context.choices());
        }
        Ok(device)
    }

    /// Whether [`Device::reopen`] is able to.
    pub(crate) fn can_reopen(&self) -> bool {
        match &self.backend {
            Backend::Cpu { .. } => true,
            Backend::Gpu(context) => context.opened_by.is_some(),
        }
    }
}

/// Whether an adapter is the one that a device was opened on. Of equal ones without a place, the first will do: they compute the
/// same.
fn is_same(adapter: &DeviceInfo, device: &DeviceInfo) -> bool {
    let traits = |info: &DeviceInfo| {
        (info.name.clone(), info.kind, info.backend.clone(), info.driver.clone(), info.pci_bus_id.clone())
    };
    traits(adapter) == traits(device)
}

/// Which of these GPUs is meant, by its number, a part of its name or of its place.
fn find(gpus: &[DeviceInfo], wanted: &str) -> Option<usize> {
    let wanted = wanted.to_lowercase();
    if let Some(number) = wanted.strip_prefix("gpu:") {
        return number.parse().ok().filter(|&number: &usize| number < gpus.len());
    }
    let fits = |part: &str| part.to_lowercase().contains(&wanted);
    gpus.iter().position(|gpu| fits(&gpu.name) || gpu.pci_bus_id.as_deref().is_some_and(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_gpus_are_told_apart_by_number_and_by_place() {
        let gpu = |name: &str, place: Option<&str>| DeviceInfo {
            name: name.into(),
            kind: DeviceKind::DiscreteGpu,
            pci_bus_id: place.map(Into::into),
            ..Device::cpu().info()
        };
        let (first, second) = (gpu("NVIDIA L4", Some("0000:3B:00.0")), gpu("NVIDIA L4", Some("0000:af:00.0")));
        let gpus = [first, second, gpu("llvmpipe", None)];
        for (wanted, expected) in [
            ("", Some(0)),
            ("l4", Some(0)),
            ("gpu:0", Some(0)),
            ("GPU:1", Some(1)),
            ("0000:af:00.0", Some(1)),
            ("3b:00", Some(0)),
            ("gpu:2", Some(2)),
            ("llvm", Some(2)),
            ("gpu:3", None),
            ("gpu:", None),
            ("gpu:-1", None),
            ("0000:b0:00.0", None),
        ] {
            assert_eq!(find(&gpus, wanted), expected, "{wanted:?}");
        }
        assert_eq!(find(&[], ""), None);
    }
}
