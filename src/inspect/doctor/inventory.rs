//! What there is: adapter, driver, limits and features that wgrad uses or lacks, and what the tutorial's net gets here.

use std::sync::Arc;

use super::driver::{self, Driver};
use super::parts::Notes;
use super::report::{Check, Feature, Inventory, Limit, TutorialLaunch};
use crate::data::synthetic;
use crate::device::limits::MOST_STORAGE_BUFFERS;
use crate::device::{Device, DeviceInfo, devices};
use crate::error::Result;
use crate::kernels::product::{Family, Product, Tiling};
use crate::plan::{Launch, Mode, Plan};

/// What can be said without asking the device for anything.
pub(super) fn of(device: &Device) -> Inventory {
    let info = device.info();
    Inventory {
        limits: info.limits.as_ref().map(limits).unwrap_or_default(),
        features: features(&info),
        name: info.name,
        kind: info.kind.to_string(),
        backend: info.backend,
        driver: info.driver,
        system: system(),
        threads: info.threads,
        subgroup: info.subgroup_size,
        largest_buffer: info.limits.map(|limits| limits.max_buffer_size),
        tutorial: Vec::new(),
        others: Vec::new(),
    }
}

/// Of a device that could not be opened.
pub(super) fn unopened(wanted: &str) -> Inventory {
    let (name, kind) = (wanted.to_string(), "not opened".to_string());
    Inventory { name, kind, system: system(), others: all(), ..Inventory::default() }
}

fn system() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// All devices of this machine.
pub(super) fn all() -> Vec<String> {
    devices().iter().map(ToString::to_string).collect()
}

/// What a step with fewer limits costs.
const DISPATCHES: &str =
    "launches that depend on nothing of each other cannot all share a dispatch: a step waits more often";

pub(super) fn limits(found: &wgpu::Limits) -> Vec<Limit> {
    let limit = |name: &str, found: u64, needed: u64, wanted: u64, lack: &str| {
        let costs = if found < wanted { lack.into() } else { String::new() };
        Limit { name: name.into(), found, needed, wanted, costs }
    };
    let large = "data sets beyond it are streamed, and layers beyond it refused";
    let [buffers, all] =
        [found.max_storage_buffers_per_shader_stage, found.max_buffers_and_acceleration_structures_per_shader_stage];
    let memory = found.max_compute_workgroup_storage_size.into();
    let required = Device::required_limits();
    let binding = required.max_storage_buffer_binding_size;
    vec![
        limit("maxStorageBuffersPerShaderStage", buffers.into(), MOST_STORAGE_BUFFERS, 32, DISPATCHES),
        // With the step block.
        limit(
            "maxBuffersAndAccelerationStructuresPerShaderStage",
            all.into(),
            MOST_STORAGE_BUFFERS + 1,
            33,
            DISPATCHES,
        ),
        limit("maxComputeWorkgroupStorageSize", memory, 16 << 10, 32 << 10, DISPATCHES),
        limit("maxComputeInvocationsPerWorkgroup", found.max_compute_invocations_per_workgroup.into(), 256, 256, ""),
        limit("maxStorageBufferBindingSize", found.max_storage_buffer_binding_size, binding, 1 << 30, large),
        limit("maxBufferSize", found.max_buffer_size, binding, 1 << 30, large),
    ]
}

fn features(info: &DeviceInfo) -> Vec<Feature> {
    let Some(features) = info.features else { return Vec::new() };
    let feature = |name: &str, on: bool, there: &str, lacking: &str| {
        let what = if on { there } else { lacking };
        Feature { name: name.into(), on, what: what.into() }
    };
    let has = |wanted| features.contains(wanted);
    let subgroup = match info.subgroup_size {
        Some(size) => format!("subgroups of {size}"),
        None => "subgroups of several sizes, which wgrad does not use".into(),
    };
    let matrix = info
        .cooperative_matrix
        .map_or(String::new(), |matrix| format!("products of {0} × {0} halves, for Precision::F16", matrix.size));
    vec![
        feature(
            "shader-f16",
            has(wgpu::Features::SHADER_F16),
            "half precision",
            "no half precision: Precision::F32 alone",
        ),
        feature("subgroups", has(wgpu::Features::SUBGROUP), &subgroup, "no subgroups, so no matrix units either"),
        feature(
            "timestamp-query",
            has(wgpu::Features::TIMESTAMP_QUERY),
            "launches can be timed",
            "Model::profile cannot time launches, and Model::tune takes longer",
        ),
        feature(
            "matrix units",
            info.cooperative_matrix.is_some(),
            &matrix,
            "none that wgrad can use, or not switched on (DeviceOptions::cooperative_matrices)",
        ),
        feature(
            "pipeline-cache",
            has(wgpu::Features::PIPELINE_CACHE),
            "compiled pipelines are kept on disk",
            "off unless DeviceOptions::pipeline_cache asks for it: most drivers have a cache of their own",
        ),
    ]
}

/// The part of the examination: limits and features as checks, and the tutorial's plan.
pub(super) fn look(notes: &Notes, driver: &Arc<dyn Driver>) {
    let device = driver.device();
    let found = of(device);
    notes.begin("limits and features");
    let lacking = found.limits.iter().filter(|limit| !limit.costs.is_empty());
    let lacking =
        lacking.map(|limit| format!("{} is {} (wanted: {}): {}", limit.name, limit.found, limit.wanted, limit.costs));
    let lacking: Vec<_> = lacking.collect();
    let check = Check::new("limits");
    notes.note(match (found.limits.is_empty(), lacking.is_empty()) {
        (true, _) => check.skipped("the CPU device has none"),
        (false, true) => check.passed("all that wgrad makes use of"),
        (false, false) => check.noted(lacking.join("; ")),
    });
    notes.begin("devices of this machine");
    notes.others(all());
    notes.begin("the tutorial's plan");
    let check = Check::new("the tutorial's plan");
    match tutorial(device) {
        Ok((launches, dispatches)) => {
            notes.note(check.passed(format!("{} launches in {dispatches} dispatches", launches.len())));
            notes.tutorial(launches);
        }
        Err(error) => notes.wrong(check, &error),
    }
}

/// The tutorial's training step here, and how many dispatches it is.
fn tutorial(device: &Device) -> Result<(Vec<TutorialLaunch>, usize)> {
    let model = driver::tutorial(device)?;
    let data = synthetic::digits(driver::BATCH, 0, 7)?.train;
    let key = model.plan_key(Mode::Train, &data, false, driver::BATCH)?;
    let plan = model.recipe().plan(key);
    let launches = plan.launches.iter().enumerate().map(|(index, launch)| described(device, &plan, index, launch));
    Ok((launches.collect(), plan.dispatches.len()))
}

fn described(device: &Device, plan: &Plan, index: usize, launch: &Launch) -> TutorialLaunch {
    let product = launch.kernel.product(plan.key.capacity, plan.key.precision);
    let chosen = launch.kernel.tiling().filter(|_| device.wgpu().is_some()).zip(product);
    TutorialLaunch {
        label: launch.label.clone(),
        operation: launch.kernel.definition().name.into(),
        joins: !plan.dispatches.iter().any(|dispatch| dispatch.start == index),
        tiling: chosen.map(|(tiling, _)| tiling.to_string()),
        why: chosen.map(|(tiling, product)| why(device, product, tiling)),
    }
}

/// Why a product has this tiling here.
fn why(device: &Device, product: Product, tiling: Tiling) -> String {
    if device.choices().0.get(&product) == Some(&tiling) {
        return "measured by Model::tune".into();
    }
    if tiling != Tiling::choose(product, device.traits()) {
        return "workgroups as large as those of the update whose dispatch it shares".into();
    }
    let tiles = tiling.workgroups(product.size);
    match (device.traits().family, tiling) {
        (_, Tiling::Cooperative(_)) => "matrix units multiply halves".into(),
        (Family::Hardware, Tiling::Direct { .. }) => "its sum is too short to be shared".into(),
        (Family::Hardware, Tiling::Split { splits, .. }) => {
            format!("too few tiles for a large GPU, so {splits} invocations share each sum")
        }
        (Family::Hardware, _) => format!("the largest tile of which a large GPU has enough to do: {tiles} workgroups"),
        (_, Tiling::Subgroup { .. }) => "a software driver whose subgroups of 8 hand numbers round".into(),
        (_, _) => "a software driver: registers alone, a workgroup is the lanes of a vector".into(),
    }
}
