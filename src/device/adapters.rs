//! What adapters there are, and what they can do.

use super::info::{DeviceInfo, DeviceKind};
use crate::kernels::product::cooperative::CooperativeMatrix;

/// The adapters of this machine, hardware first, discrete before integrated.
pub(crate) async fn adapters() -> Vec<(wgpu::Adapter, DeviceInfo)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let found = instance.enumerate_adapters(wgpu::Backends::PRIMARY).await;
    let mut adapters: Vec<_> = found
        .into_iter()
        .map(|adapter| {
            let info = describe(adapter.get_info(), adapter.limits(), adapter.features());
            (adapter, info)
        })
        .collect();
    adapters.sort_by_key(|(_, info)| preference(info.kind));
    adapters
}

fn preference(kind: DeviceKind) -> u32 {
    match kind {
        DeviceKind::DiscreteGpu => 0,
        DeviceKind::IntegratedGpu => 1,
        DeviceKind::VirtualGpu => 2,
        DeviceKind::OtherGpu => 3,
        DeviceKind::SoftwareGpu => 4,
        DeviceKind::Cpu => 5,
    }
}

pub(super) fn describe(info: wgpu::AdapterInfo, limits: wgpu::Limits, features: wgpu::Features) -> DeviceInfo {
    let one_size = info.subgroup_min_size == info.subgroup_max_size && features.contains(wgpu::Features::SUBGROUP);
    DeviceInfo {
        subgroup_size: one_size.then_some(info.subgroup_max_size as usize),
        name: info.name,
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
            wgpu::DeviceType::Cpu => DeviceKind::SoftwareGpu,
            wgpu::DeviceType::Other => DeviceKind::OtherGpu,
        },
        backend: info.backend.to_string(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        pci_bus_id: Some(info.device_pci_bus_id).filter(|id| !id.is_empty()),
        threads: None,
        cooperative_matrix: None,
        limits: Some(limits),
        features: Some(features),
    }
}

/// What an adapter's matrix units multiply, as far as WGSL and the tiling for them can say it: square matrices of halves,
/// sums in f32, subgroups of one size. Larger ones first.
pub(super) fn cooperative_matrix(adapter: &wgpu::Adapter, info: &DeviceInfo) -> Option<CooperativeMatrix> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let needed = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16;
    // With more, a workgroup of four would be beyond 256 invocations; with fewer, its lanes would not reach across a tile.
    let subgroup = info.subgroup_size.filter(|size| (8..=64).contains(size) && adapter.features().contains(needed))?;
    let found = adapter.cooperative_matrix_properties();
    let fits = |&size: &u32| {
        let sizes = [size; 3];
        found.iter().any(|p| ([p.m_size, p.n_size, p.k_size], p.ab_type, p.cr_type) == (sizes, F16, F32))
    };
    [16, 8].into_iter().find(fits).map(|size| CooperativeMatrix { size: size as usize, subgroup })
}
