//! What a device allows at most: its datasheet's peak, what a CPU's registers do, or, where neither is known, this engine's
//! own large product.

use serde::Serialize;
use wgrad::doctor::kit;
use wgrad::{Dataset, Dense, Device, DeviceInfo, InstructionSet, Loss, Result, Sequential, Sgd};

/// Peak f32 rates without matrix units (which round f32 to fewer bits), in TFLOP/s, by the adapter's whole name: variants
/// of one card differ. Only figures that more than memory vouches for; for any other device the ceiling is measured.
const DATASHEETS: &[(&str, f64, &str)] = &[
    ("NVIDIA H100 80GB HBM3", 66.9, "H100 SXM, as third parties quote the datasheet"),
    ("NVIDIA H100 PCIe", 51.2, "H100 PCIe, as third parties quote the datasheet"),
    ("NVIDIA H200", 66.9, "H200 SXM, as third parties quote the datasheet"),
];

/// How often the registers and each product are measured; the best counts, since other programs can only make it slower.
const ROUNDS: usize = 3;

/// The most that a device does, as far as is known.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    pub flops_per_second: f64,
    /// Where the figure is from.
    pub source: String,
}

/// The ceiling of a device; `None` where there is none to be had. `size` is that of products; 0 measures nothing.
pub fn find(device: &Device, size: usize) -> Result<Option<Ceiling>> {
    match datasheet(&device.info()) {
        Some(ceiling) => Ok(Some(ceiling)),
        None if size == 0 => Ok(None),
        None => match registers_of(&device.info()) {
            Some(ceiling) => Ok(Some(ceiling)),
            None => own_products(device, size),
        },
    }
}

/// What the registers of a CPU device's threads do.
fn registers_of(info: &DeviceInfo) -> Option<Ceiling> {
    let threads = info.threads?;
    let set = InstructionSet::available().into_iter().find(|set| set.to_string() == info.driver)?;
    let flops_per_second = kit::registers(set, threads, ROUNDS)?;
    let source = format!("multiply-adds between registers, {set} on {threads} threads, measured now");
    Some(Ceiling { flops_per_second, source })
}

fn datasheet(info: &DeviceInfo) -> Option<Ceiling> {
    let (_, teraflops, source) = DATASHEETS.iter().find(|(name, ..)| info.name == *name)?;
    Some(Ceiling { flops_per_second: 1e12 * teraflops, source: format!("peak, {source}") })
}

/// The best of this engine's own products of N x N x N numbers, N being `size`, its half and its quarter: where there
/// is no cache to speak of, a smaller one is faster.
fn own_products(device: &Device, size: usize) -> Result<Option<Ceiling>> {
    let mut best: Option<(f64, usize)> = None;
    for size in [size / 4, size / 2, size].into_iter().filter(|&size| size > 0) {
        let rate = own_product(device, size)?.map(|rate| (rate, size));
        best = if rate > best { rate } else { best };
    }
    Ok(best.map(|(flops_per_second, size)| Ceiling {
        flops_per_second,
        source: format!("this engine's own best product, {size} x {size} x {size}, measured now; no datasheet known"),
    }))
}

/// Floating-point operations a second in the forward product of a linear layer of `size` x `size` on as many rows, timed
/// alone; `None` where the device has no timestamps.
fn own_product(device: &Device, size: usize) -> Result<Option<f64>> {
    let rows = Dataset::from_rows(vec![0.5; size * size], size, vec![0.0; size * size], size)?;
    let optimizer = Sgd { learning_rate: 0.0, ..Sgd::default() };
    let net = Sequential::new(size).add(Dense::new(size));
    let mut model = net.compile(device, optimizer, Loss::MeanSquaredError)?;
    let mut best = None;
    for _ in 0..ROUNDS {
        let launches = model.profile(&rows, size, 1)?;
        let forward = launches.iter().find(|launch| launch.flops > 0);
        let rate = forward.and_then(|launch| launch.flops_per_second());
        // An unknown rate, `None`, is less than any.
        best = if rate > best { rate } else { best };
    }
    Ok(best)
}
