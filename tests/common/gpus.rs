//! The GPU that tests run on. What is not there is left out and shown as ignored; what is there and does not open
//! fails.
//!
//! `WGRAD_TEST_PLAN=hardware` has models planned as for a hardware GPU on whatever GPU there is.

use wgrad::{Device, DeviceOptions, Error};

/// The GPU; `None` where no driver offers one.
pub fn gpu() -> Option<Device> {
    opened(options().gpu())
}

/// The GPU with its matrix units switched on; `None` where it has none.
pub fn cooperative_gpu() -> Option<Device> {
    let device = opened(options().cooperative_matrices(true).gpu());
    device.filter(|gpu| gpu.info().cooperative_matrix.is_some())
}

/// The GPU with shaders that leave checking their indexes out, as on hardware.
pub fn unchecked_gpu() -> Option<Device> {
    opened(options().index_checks(false).gpu())
}

fn options() -> DeviceOptions {
    match std::env::var("WGRAD_TEST_PLAN").as_deref() {
        Ok("hardware") => Device::options().plan_for_hardware(true),
        Ok(other) => panic!("WGRAD_TEST_PLAN: expected hardware, found {other:?}"),
        Err(_) => Device::options(),
    }
}

fn opened(device: wgrad::Result<Device>) -> Option<Device> {
    match device {
        Ok(device) => Some(device),
        Err(Error::NoAdapter { .. }) => None,
        Err(error) => panic!("the GPU cannot be opened: {error}"),
    }
}
