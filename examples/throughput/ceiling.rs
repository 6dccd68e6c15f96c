//! What a device allows at most: its datasheet's peak, or, where none is known here, this engine's own large product.

use serde::Serialize;
use wgrad::{Dataset, Dense, Device, DeviceInfo, Loss, Result, Sequential, Sgd};

/// Peak f32 rates without matrix units (which round f32 to fewer bits), in TFLOP/s, by a part of the adapter's name; the
/// first that fits counts. Each is from the maker's datasheet, boost clock.
const DATASHEETS: &[(&str, f64, &str)] = &[
    ("H100 PCIe", 51.2, "NVIDIA H100 Tensor Core GPU datasheet, PCIe"),
    ("H100 NVL", 60.0, "NVIDIA H100 Tensor Core GPU datasheet, NVL"),
    ("H100", 67.0, "NVIDIA H100 Tensor Core GPU datasheet, SXM"),
    ("H200 NVL", 60.0, "NVIDIA H200 Tensor Core GPU datasheet, NVL"),
    ("H200", 67.0, "NVIDIA H200 Tensor Core GPU datasheet, SXM"),
    ("A100", 19.5, "NVIDIA A100 Tensor Core GPU datasheet"),
    ("NVIDIA L4", 30.3, "NVIDIA L4 Tensor Core GPU datasheet"),
    ("Tesla T4", 8.1, "NVIDIA T4 Tensor Core GPU datasheet"),
    ("RTX 4090", 82.6, "NVIDIA Ada GPU architecture whitepaper"),
];

/// The product is measured in rounds of so many steps; the best round's median counts, since other programs can only
/// make it slower.
const ROUNDS: usize = 4;
const STEPS: usize = 3;

/// The most that a device does, as far as is known.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    pub flops_per_second: f64,
    /// Where the figure is from.
    pub source: String,
}

/// The ceiling of a device; `None` where neither a datasheet nor a measurement is to be had. `size` 0 measures nothing.
pub fn find(device: &Device, size: usize) -> Result<Option<Ceiling>> {
    Ok(match datasheet(&device.info()) {
        Some(ceiling) => Some(ceiling),
        None if size > 0 => own_product(device, size)?,
        None => None,
    })
}

fn datasheet(info: &DeviceInfo) -> Option<Ceiling> {
    let (_, teraflops, source) = DATASHEETS.iter().find(|(part, ..)| info.name.contains(part))?;
    Some(Ceiling { flops_per_second: 1e12 * teraflops, source: format!("peak, {source}") })
}

/// A linear layer of `size` × `size` on as many rows: the forward product, timed alone.
fn own_product(device: &Device, size: usize) -> Result<Option<Ceiling>> {
    let rows = Dataset::from_rows(vec![0.5; size * size], size, vec![0.0; size * size], size)?;
    let optimizer = Sgd { learning_rate: 0.0, ..Sgd::default() };
    let net = Sequential::new(size).add(Dense::new(size));
    let mut model = net.compile(device, optimizer, Loss::MeanSquaredError)?;
    let mut best: Option<f64> = None;
    for _ in 0..ROUNDS {
        let launches = model.profile(&rows, size, STEPS)?;
        let forward = launches.iter().find(|launch| launch.flops > 0);
        let rate = forward.and_then(|launch| launch.flops_per_second());
        best = if rate > best { rate } else { best };
    }
    Ok(best.map(|flops_per_second| Ceiling {
        flops_per_second,
        source: format!("this engine's own {size} x {size} x {size} product, measured now; no datasheet known"),
    }))
}
