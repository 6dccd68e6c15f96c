//! The benchmark's nets in candle, on the CPU: its products run on all cores by themselves.

#[path = "../../burn/src/data.rs"]
mod data;
mod measure;
mod peer;
mod rmsprop;

use measure::Arguments;

fn main() -> candle_core::Result<()> {
    let arguments = Arguments::read();
    assert_eq!(arguments.device, "cpu", "--device: this peer is built for the CPU");
    let samples = data::load(arguments.samples);
    let peer = peer::CandlePeer::new(&samples, &arguments)?;
    let device = format!("CPU, {} threads", candle_core::utils::get_num_threads());
    arguments.measure(peer, ["candle", "0.11.1", &device], samples.source);
    Ok(())
}
