//! The benchmark's nets in meganeura, on whatever Vulkan or Metal device it takes.

#[path = "../../burn/src/data.rs"]
mod data;
#[path = "../../candle/src/measure.rs"]
mod measure;
mod peer;

use measure::Arguments;

fn main() {
    let arguments = Arguments::read();
    assert_eq!(arguments.device, "gpu", "--device: meganeura runs on GPUs alone");
    let samples = data::load(arguments.samples);
    let peer = peer::MeganeuraPeer::new(&samples, &arguments);
    let device = peer.device();
    arguments.measure(peer, ["meganeura", "0.3.0", &device], samples.source);
}
