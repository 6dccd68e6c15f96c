//! What a device is: plain data.

use std::fmt;

use crate::kernels::product::cooperative::CooperativeMatrix;

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
    /// The driver's name and version, or the instruction set that the CPU device found.
    pub driver: String,
    /// Where a GPU is plugged in, such as `0000:01:00.0`, if its driver says so: two of one name differ in it.
    pub pci_bus_id: Option<String>,
    /// Threads that were asked for, the calling one included, for the CPU device. The system may grant fewer.
    pub threads: Option<usize>,
    /// Invocations in a subgroup, for a GPU whose subgroups all have one size and are switched on.
    pub subgroup_size: Option<usize>,
    /// What the matrix units multiply, for a GPU on which they are switched on; see
    /// [`DeviceOptions::cooperative_matrices`](crate::DeviceOptions::cooperative_matrices).
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
            None => {
                write!(f, "{} ({}, {}, {}", self.name, self.kind, self.backend, self.driver)?;
                self.pci_bus_id.iter().try_for_each(|id| write!(f, ", PCI {id}"))?;
                f.write_str(")")
            }
        }
    }
}
