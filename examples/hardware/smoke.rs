//! Whether there is a GPU and it computes: what it is, and a small training on it against the same on the CPU.

use serde_json::json;
use wgrad::data::synthetic;
use wgrad::{Activation, Dense, Device, DeviceKind, Fit, Loss, Model, RmsProp, Sequential, mnist};

use crate::record::{Records, short};
use crate::{Outcome, print, vulkan};

/// How far apart two devices may be after one epoch of a small net.
const TOLERANCE: f64 = 1e-3;

pub fn run(device: &Device, cooperative: Option<&Device>, records: &mut Records) -> Outcome<()> {
    let info = device.info();
    let matrix = cooperative.and_then(|device| device.info().cooperative_matrix);
    let limits = info.limits.as_ref().ok_or("expected a GPU, found the CPU device")?;
    let own = vulkan::Gpu::open(&info.name, true)?;
    print(&format!("device: {info}"))?;
    print(&format!(
        "features: half precision {}, matrix units {}, timestamps {}, subgroups of {}; {} storage buffers, {} KiB of \
         workgroup memory; Vulkan tells registers: {}",
        info.has_half_precision(),
        matrix.map_or("none".into(), |matrix| format!("{0} x {0}", matrix.size)),
        info.features.is_some_and(|features| features.contains(wgrad::wgpu::Features::TIMESTAMP_QUERY)),
        info.subgroup_size.map_or("several sizes".into(), |size| size.to_string()),
        limits.max_storage_buffers_per_shader_stage,
        limits.max_compute_workgroup_storage_size >> 10,
        own.about.tells_registers,
    ))?;
    let (found, expected) = (trained(device)?, trained(&Device::cpu())?);
    let apart = (found - expected).abs();
    let software = info.kind == DeviceKind::SoftwareGpu;
    records.write(
        "smoke",
        json!({
            "device": info.to_string(), "software": software, "half": info.has_half_precision(),
            "matrix": matrix.map(|matrix| matrix.size), "features": format!("{:?}", info.features),
            "limits": format!("{limits:?}"), "vulkan": format!("{:?}", own.about), "loss": found, "cpu_loss": expected,
        }),
    )?;
    print(&format!("a small training: loss {}, on the CPU {} ({:.1e} apart)", short(found), short(expected), apart))?;
    // Not `>`: a NaN is no success.
    if apart < TOLERANCE { Ok(()) } else { Err(format!("losses differ by {apart:e}, at most {TOLERANCE:e}").into()) }
}

/// The loss after an epoch on drawn digits.
fn trained(device: &Device) -> Outcome<f64> {
    let digits = synthetic::digits(128, 64, 7)?;
    let mut model: Model = Sequential::new(mnist::PIXELS)
        .add(Dense::new(32).activation(Activation::Relu))
        .add(Dense::new(mnist::CLASSES).activation(Activation::Softmax))
        .compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    model.fit(&digits.train, Fit::new().batch_size(64))?;
    Ok(model.evaluate(&digits.test)?.loss)
}
