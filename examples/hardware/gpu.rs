//! The GPU through wgpu, as wgrad opens it: what the library's doctor measures with.

use wgrad::{Device, wgpu};

use crate::Outcome;

pub use wgrad::doctor::kit::{Bound, Gpu, Pass};

/// A device with timestamps, ready for timed passes.
pub fn open(device: &Device) -> Outcome<Gpu> {
    // SAFETY: the loops of this program's shaders count to constants, their indexes into memory other than buffers are taken
    // modulo its length, and buffers are kept by the device.
    let gpu = unsafe { Gpu::new(device)? };
    match gpu.has(wgpu::Features::TIMESTAMP_QUERY) {
        true => Ok(gpu),
        false => Err("expected a GPU with timestamps, found one without".into()),
    }
}
