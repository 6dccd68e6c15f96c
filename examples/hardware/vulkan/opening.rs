//! How a device is opened: the one that wgpu took, with the features that wgpu would ask for.

use ash::{ext, khr, nv, vk};

use super::{About, text};
use crate::Outcome;

/// The features that are asked for, each where the device has it.
#[derive(Default)]
struct Features<'a> {
    vulkan_11: vk::PhysicalDeviceVulkan11Features<'a>,
    vulkan_12: vk::PhysicalDeviceVulkan12Features<'a>,
    subgroup_sizes: vk::PhysicalDeviceSubgroupSizeControlFeatures<'a>,
    robustness_2: vk::PhysicalDeviceRobustness2FeaturesEXT<'a>,
    matrices: vk::PhysicalDeviceCooperativeMatrixFeaturesKHR<'a>,
    executables: vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR<'a>,
}

pub fn find(instance: &ash::Instance, name: &str) -> Outcome<vk::PhysicalDevice> {
    // SAFETY: see the top of `vulkan.rs`.
    let all = unsafe { instance.enumerate_physical_devices() }?;
    let named = |&physical: &vk::PhysicalDevice| {
        let properties = unsafe { instance.get_physical_device_properties(physical) };
        text(&properties.device_name) == name
    };
    all.into_iter().find(named).ok_or_else(|| format!("expected a Vulkan device named {name:?}, found none").into())
}

/// Which of the extensions that matter here there are.
pub struct Extensions {
    robustness_2: bool,
    executables: bool,
    matrices: bool,
    multiprocessors: bool,
}

impl Extensions {
    pub fn of(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Outcome<Self> {
        // SAFETY: see the top of `vulkan.rs`.
        let found = unsafe { instance.enumerate_device_extension_properties(physical) }?;
        let has = |name| found.iter().any(|extension| extension.extension_name_as_c_str() == Ok(name));
        Ok(Extensions {
            robustness_2: has(ext::robustness2::NAME),
            executables: has(khr::pipeline_executable_properties::NAME),
            matrices: has(khr::cooperative_matrix::NAME),
            multiprocessors: has(nv::shader_sm_builtins::NAME),
        })
    }
}

pub fn describe(
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
    extensions: &Extensions,
) -> (About, vk::PhysicalDeviceMemoryProperties) {
    let mut units = vk::PhysicalDeviceShaderSMBuiltinsPropertiesNV::default();
    let mut all = vk::PhysicalDeviceProperties2::default();
    if extensions.multiprocessors {
        all = all.push_next(&mut units);
    }
    // SAFETY: see the top of `vulkan.rs`.
    let memory = unsafe {
        instance.get_physical_device_properties2(physical, &mut all);
        instance.get_physical_device_memory_properties(physical)
    };
    let properties = all.properties;
    let about = About {
        api_version: properties.api_version,
        robust: false,
        robustness_2: false,
        tick_nanoseconds: f64::from(properties.limits.timestamp_period),
        multiprocessors: extensions.multiprocessors.then_some((units.shader_sm_count, units.shader_warps_per_sm)),
        tells_registers: false,
    };
    (about, memory)
}

/// Makes the device with the features that wgpu would ask for; robust access as `about` says.
pub fn create(
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
    family: u32,
    extensions: &Extensions,
    about: &mut About,
) -> Outcome<ash::Device> {
    let mut features = Features::default();
    let mut all = vk::PhysicalDeviceFeatures2::default()
        .push_next(&mut features.vulkan_11)
        .push_next(&mut features.vulkan_12)
        .push_next(&mut features.subgroup_sizes);
    let mut names = Vec::new();
    if extensions.robustness_2 {
        names.push(ext::robustness2::NAME.as_ptr());
        all = all.push_next(&mut features.robustness_2);
    }
    if extensions.matrices {
        names.push(khr::cooperative_matrix::NAME.as_ptr());
        all = all.push_next(&mut features.matrices);
    }
    if extensions.executables {
        names.push(khr::pipeline_executable_properties::NAME.as_ptr());
        all = all.push_next(&mut features.executables);
    }
    // SAFETY: the structs are those that their extensions, or Vulkan 1.3, know.
    unsafe { instance.get_physical_device_features2(physical, &mut all) };
    let core = vk::PhysicalDeviceFeatures::default()
        .robust_buffer_access(about.robust && all.features.robust_buffer_access != 0)
        .shader_int16(all.features.shader_int16 != 0)
        .shader_int64(all.features.shader_int64 != 0);
    all.features = core;
    let mut created = vk::PhysicalDeviceFeatures2::default().features(core);
    created.p_next = all.p_next;
    // The list that `all` began goes on to the device, with robust access as it is wanted.
    features.robustness_2.robust_buffer_access2 &= u32::from(about.robust);
    features.robustness_2.robust_image_access2 = 0;
    features.robustness_2.null_descriptor = 0;
    features.vulkan_11.protected_memory = 0;
    features.vulkan_12.buffer_device_address = 0;
    features.vulkan_12.buffer_device_address_capture_replay = 0;
    features.vulkan_12.buffer_device_address_multi_device = 0;
    about.robustness_2 = features.robustness_2.robust_buffer_access2 != 0;
    about.tells_registers = features.executables.pipeline_executable_info != 0;
    let queue = [vk::DeviceQueueCreateInfo::default().queue_family_index(family).queue_priorities(&[1.0])];
    let info = vk::DeviceCreateInfo::default().queue_create_infos(&queue).enabled_extension_names(&names);
    // SAFETY: as above; `features` lives until the device is made.
    Ok(unsafe { instance.create_device(physical, &info.push_next(&mut created), None) }?)
}
