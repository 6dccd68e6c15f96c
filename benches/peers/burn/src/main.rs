//! The benchmark's nets in burn: samples and the epoch's order on the device, nothing read back within an epoch.

mod data;
#[path = "../../candle/src/measure.rs"]
mod measure;
mod peer;

use burn::tensor::Device;
use measure::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::read();
    let samples = data::load(arguments.samples);
    let (device, name) = device(&arguments.device);
    let peer = peer::BurnPeer::new(&samples, &arguments, &device);
    arguments.measure(peer, ["burn", "0.22.1", name], samples.source);
}

/// A device, and what the report calls it.
fn device(name: &str) -> (Device, &'static str) {
    match name {
        #[cfg(feature = "cpu")]
        "cpu" => (Device::flex(), "flex (CPU)"),
        #[cfg(feature = "gpu")]
        "gpu" => (Device::wgpu(Default::default()), "wgpu"),
        other => panic!("--device {other}: not built in; see this crate's features"),
    }
}
