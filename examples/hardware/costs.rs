//! What things cost on a GPU, apart from any net: dispatches and barriers (`chains.rs`), arithmetic and memory
//! (`ceilings.rs`), and what a pipeline takes to compile, here. This file is the order of events.

use std::time::Instant;

use serde_json::json;
use wgrad::kernels::Kernel;
use wgrad::kernels::dense_forward::DenseForward;
use wgrad::kernels::product::{CANDIDATES, Tiling};
use wgrad::kernels::shares::Shares;
use wgrad::kernels::storage::Storage;
use wgrad::{Activation, Device};

use crate::gpu::{self, Gpu};
use crate::record::{Records, short};
use crate::vulkan::{self, Kind};
use crate::{Outcome, ceilings, chains, print, spirv};

/// How much of everything.
pub struct Scale {
    /// Dispatches of a chain.
    pub lengths: &'static [usize],
    pub groups: &'static [u32],
    pub buffers: &'static [usize],
    /// Bytes of the largest footprint.
    pub most_bytes: u64,
    /// Seconds of a pass that measures a rate.
    pub pass: f64,
    /// Seconds for which the clocks are warmed.
    pub warm: f64,
    /// Multiply-adds in a row of one invocation.
    pub loops: u32,
    /// Workgroups for each multiprocessor, at most.
    pub residents: u32,
}

impl Scale {
    /// For a GPU.
    pub const WHOLE: Scale = Scale {
        lengths: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
        groups: &[1, 33, 132, 264, 528, 1056],
        buffers: &[1, 2, 4, 8, 16, 33],
        most_bytes: 1 << 30,
        pass: 2e-3,
        warm: 1.0,
        loops: 4096,
        residents: 16,
    };

    /// The same on a software driver.
    pub const REHEARSAL: Scale = Scale {
        lengths: &[1, 4, 16, 64],
        groups: &[1, 132],
        buffers: &[1, 8, 33],
        most_bytes: 4 << 20,
        pass: 2e-3,
        warm: 0.1,
        loops: 64,
        residents: 2,
    };

    /// The shortest form.
    pub const SHORTEST: Scale =
        Scale { lengths: &[1, 2, 8], groups: &[4], buffers: &[1, 33], most_bytes: 1 << 20, ..Self::REHEARSAL };

    pub fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(1)
    }
}

/// All costs, in the order of their worth.
pub fn run(device: Device, cooperative: Option<Device>, scale: &Scale, records: &mut Records) -> Outcome<()> {
    let name = device.info().name;
    let gpu = gpu::open(&device)?;
    let mut summary = ceilings::warm(&gpu, scale, records)?;
    summary.extend(chains::host(&gpu, records)?);
    let [robust, plain] = [vulkan::Gpu::open(&name, true)?, vulkan::Gpu::open(&name, false)?];
    summary.push(format!(
        "vulkan: robustness 2 {}, multiprocessors {}, registers are {}told",
        robust.about.robustness_2,
        robust.about.multiprocessors.map_or("unknown".into(), |(count, _)| count.to_string()),
        if robust.about.tells_registers { "" } else { "not " },
    ));
    // Before the rest, so that nobody has compiled these yet.
    summary.extend(compile(&gpu, &robust, records)?);
    flush(&mut summary)?;
    let multiprocessors = robust.about.multiprocessors.map_or(132, |(count, _)| count);
    summary.extend(ceilings::arithmetic(&gpu, multiprocessors, scale, records)?);
    summary.extend(ceilings::matrix_units(cooperative, multiprocessors, scale, records)?);
    flush(&mut summary)?;
    summary.extend(chains::measure(&gpu, &[&robust, &plain], scale, records, 0.65)?);
    flush(&mut summary)?;
    summary.extend(ceilings::memory(&gpu, multiprocessors, scale, records)?);
    flush(&mut summary)?;
    summary.extend(ceilings::banks(&gpu, multiprocessors, scale, records)?);
    summary.extend(ceilings::residents(&gpu, multiprocessors, scale, records)?);
    flush(&mut summary)
}

/// What is known is said at once, in case the rest is cut short.
fn flush(summary: &mut Vec<String>) -> Outcome<()> {
    summary.drain(..).try_for_each(|line| print(&line))
}

/// What a product's pipeline takes to compile: naga, and the driver, through wgpu and through Vulkan.
fn compile(gpu: &Gpu, own: &vulkan::Gpu, records: &mut Records) -> Outcome<Vec<String>> {
    let kind = |wanted: fn(&Tiling) -> bool| CANDIDATES.into_iter().find(wanted);
    let tilings = [
        kind(|tiling| matches!(tiling, Tiling::Direct { .. })),
        kind(|tiling| matches!(tiling, Tiling::Split { .. })),
        kind(|tiling| matches!(tiling, Tiling::Staged { .. })),
        // The large one.
        kind(|tiling| matches!(tiling, Tiling::Staged { rows: 2, columns: 2, .. }) && tiling.workgroup() == 256),
    ];
    let mut summary = Vec::new();
    for tiling in tilings.into_iter().flatten() {
        let wgsl = forward(tiling, 784, 516).shader(Storage::default());
        let clock = Instant::now();
        let code = spirv::compile(&wgsl, &own.about, false)?;
        let naga_seconds = clock.elapsed().as_secs_f64();
        let kinds = [Kind::Uniform, Kind::Storage, Kind::Storage, Kind::Storage];
        let pipeline = own.pipeline(&code, &kinds)?;
        // Another shape, so that the driver cannot know it.
        let other = forward(tiling, 780, 516).shader(Storage::default());
        let clock = Instant::now();
        gpu.pipeline(&other)?;
        let wgpu_seconds = clock.elapsed().as_secs_f64();
        records.write(
            "compile",
            json!({
                "tiling": tiling.to_string(), "naga_seconds": naga_seconds, "driver_seconds": pipeline.seconds,
                "wgpu_seconds": wgpu_seconds, "statistics": pipeline.statistics, "words": code.len(),
            }),
        )?;
        summary.push(format!(
            "compile {tiling}: naga {} ms, driver {} ms; through wgpu {} ms",
            short(1e3 * naga_seconds),
            short(1e3 * pipeline.seconds),
            short(1e3 * wgpu_seconds)
        ));
    }
    Ok(summary)
}

fn forward(tiling: Tiling, inputs: usize, outputs: usize) -> Kernel {
    let activation = Activation::Relu;
    DenseForward { inputs, outputs, bias_offset: None, activation, tiling, shares: Shares::default() }.into()
}
