//! What wgpu hands to Metal and to DX12's compilers, written by naga as wgpu has it written. Nothing here compiles it: that
//! takes these systems. What naga cannot say in their languages shows here all the same.

use naga::Module;
use naga::back::{hlsl, msl};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

/// The module in both languages, or what stands in the way.
pub fn write(module: &Module) -> Result<[String; 2], String> {
    let info = Validator::new(ValidationFlags::empty(), Capabilities::all())
        .validate(module)
        .map_err(|error| format!("{error:?}"))?;
    Ok([metal(module, &info)?, dx12(module, &info)?])
}

fn metal(module: &Module, info: &ModuleInfo) -> Result<String, String> {
    let options = msl::Options {
        // Metal 2.4, of macOS 12 and iOS 15.
        lang_version: (2, 4),
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            buffer: BoundsCheckPolicy::Restrict,
            image_load: BoundsCheckPolicy::Restrict,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..msl::Options::default()
    };
    let written = msl::write_string(module, info, &options, &msl::PipelineOptions::default());
    written.map(|(text, _)| text).map_err(|error| format!("Metal: {error}"))
}

fn dx12(module: &Module, info: &ModuleInfo) -> Result<String, String> {
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_2,
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: false,
        restrict_indexing: true,
        force_loop_bounding: false,
        ..hlsl::Options::default()
    };
    let pipeline = hlsl::PipelineOptions::default();
    let mut text = String::new();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
    writer.write(module, info, None).map_err(|error| format!("DX12: {error}"))?;
    Ok(text)
}
