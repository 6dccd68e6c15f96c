//! Shaders as wgpu hands them to Vulkan: WGSL through naga with wgrad's settings, loops not counted, indexes into
//! buffers left to the device, workgroup memory not zeroed.

use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use sha2::{Digest, Sha256};

use crate::Outcome;
use crate::vulkan::About;

/// The binary of a shader. `checked` has it check its indexes into memory other than buffers, as shaders for matrix
/// units do.
pub fn compile(wgsl: &str, about: &About, checked: bool) -> Outcome<Vec<u32>> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
    let validated = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
    let info = validated.map_err(|error| error.emit_to_string(wgsl))?;
    let index = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    // Without VK_EXT_robustness2 shaders for matrix units check their buffers too.
    let buffer = if checked && !about.robustness_2 && about.robust { index } else { BoundsCheckPolicy::Unchecked };
    let options = spv::Options {
        lang_version: if about.api_version >= ash::vk::API_VERSION_1_3 { (1, 6) } else { (1, 5) },
        flags: spv::WriterFlags::LABEL_VARYINGS,
        fake_missing_bindings: false,
        bounds_check_policies: BoundsCheckPolicies {
            index,
            buffer,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        binding_map: bindings(&module),
        ..spv::Options::default()
    };
    let entry = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    Ok(spv::write_vec(&module, &info, &options, Some(&entry))?)
}

/// Every binding under its own number.
fn bindings(module: &naga::Module) -> spv::BindingMap {
    let bound = module.global_variables.iter().filter_map(|(_, variable)| variable.binding);
    bound
        .map(|binding| {
            let target =
                spv::BindingInfo { descriptor_set: binding.group, binding: binding.binding, binding_array_size: None };
            (binding, target)
        })
        .collect()
}

/// What a shader is known by: the beginning of its text's SHA-256.
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
