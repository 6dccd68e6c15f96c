//! The limits that wgrad needs and those that it asks for, and whether a device's are enough.

use crate::error::{Error, Result};

/// The most storage buffers that an operation binds: `gather_batch` has as many as WebGPU grants.
pub(crate) const MOST_STORAGE_BUFFERS: u64 = 8;

/// WebGPU's defaults.
pub(super) fn required() -> wgpu::Limits {
    wgpu::Limits::default()
}

/// What is asked for where the adapter offers it.
pub(super) fn wanted(offered: &wgpu::Limits) -> wgpu::Limits {
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

/// Compares the limits that the kernels depend on; no kernel depends on textures and the like.
pub(super) fn check(name: &str, limits: &wgpu::Limits) -> Result<()> {
    let required = required();
    let pairs: [(&'static str, u64, u64); 6] = [
        ("maxStorageBuffersPerShaderStage", MOST_STORAGE_BUFFERS, limits.max_storage_buffers_per_shader_stage.into()),
        (
            "maxComputeInvocationsPerWorkgroup",
            required.max_compute_invocations_per_workgroup.into(),
            limits.max_compute_invocations_per_workgroup.into(),
        ),
        (
            "maxComputeWorkgroupSizeX",
            required.max_compute_workgroup_size_x.into(),
            limits.max_compute_workgroup_size_x.into(),
        ),
        (
            "maxComputeWorkgroupStorageSize",
            required.max_compute_workgroup_storage_size.into(),
            limits.max_compute_workgroup_storage_size.into(),
        ),
        (
            "maxComputeWorkgroupsPerDimension",
            required.max_compute_workgroups_per_dimension.into(),
            limits.max_compute_workgroups_per_dimension.into(),
        ),
        (
            "maxStorageBufferBindingSize",
            required.max_storage_buffer_binding_size,
            limits.max_storage_buffer_binding_size,
        ),
    ];
    for (limit, needed, available) in pairs {
        if available < needed {
            return Err(Error::Limit { what: format!("wgrad on {name}"), limit, needed, available });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Access, REGISTRY};

    #[test]
    fn storage_buffers_are_those_of_the_operation_that_has_most() {
        let of = |definition: &crate::kernels::Definition| {
            definition.bindings.iter().filter(|binding| binding.access != Access::Step).count()
        };
        assert_eq!(REGISTRY.iter().map(of).max(), Some(MOST_STORAGE_BUFFERS as usize));
        assert_eq!(MOST_STORAGE_BUFFERS, u64::from(required().max_storage_buffers_per_shader_stage));
    }
}
