//! What a GPU does at most: multiply-adds in registers, matrix units, bandwidth by footprint, banks of workgroup
//! memory, and how many workgroups it takes to keep it busy.

use std::time::Instant;

use serde_json::json;
use wgrad::doctor::kit::{CHAINS, WORKGROUP, multiplications, multiply_adds, stream};
use wgrad::{Device, wgpu};

use crate::Outcome;
use crate::costs::Scale;
use crate::gpu::{self, Bound, Gpu};
use crate::record::{Records, short};

/// Passes of each kind; the least time counts.
const PASSES: usize = 5;

fn multiply_add_rate(gpu: &Gpu, number: &str, groups: u32, chains: u64, scale: &Scale) -> Outcome<(f64, u64)> {
    let bound = gpu.bound(&multiply_adds(number, scale.loops, chains), &[&gpu.buffer(64)?])?;
    let pass = gpu.least(&bound, groups, scale.pass, PASSES)?;
    let flops = 2.0 * 4.0 * chains as f64 * f64::from(scale.loops) * WORKGROUP as f64 * f64::from(groups);
    Ok((flops / pass.seconds, pass.ticks))
}

/// Has the GPU work for a while, so that its clocks are up; says what they are before and after.
pub fn warm(gpu: &Gpu, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let before = records.clock();
    let clock = Instant::now();
    let (mut passes, mut rate) = (0, 0.0);
    while passes == 0 || clock.elapsed().as_secs_f64() < scale.warm {
        rate = multiply_add_rate(gpu, "f32", 132, CHAINS, scale)?.0;
        passes += 1;
    }
    let after = records.clock();
    records.write("warm", json!({ "before": before, "after": after, "seconds": clock.elapsed().as_secs_f64() }))?;
    Ok(vec![format!("warmed: clocks {before} before, {after} after; {} GFLOP/s by 132 workgroups", short(1e-9 * rate))])
}

/// The most multiply-adds a second, in f32 and in f16.
pub fn arithmetic(gpu: &Gpu, units: u32, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let mut summary = Vec::new();
    for number in ["f32", "f16"] {
        if number == "f16" && !gpu.has(wgpu::Features::SHADER_F16) {
            summary.push("ceiling f16: this GPU has none".into());
            continue;
        }
        let groups = units * scale.residents.min(8);
        let mut best: f64 = 0.0;
        for chains in [4, CHAINS, 2 * CHAINS] {
            let (rate, ticks) = multiply_add_rate(gpu, number, groups, chains, scale)?;
            let result = json!({ "number": number, "vectors": chains, "workgroups": groups, "ticks": ticks,
                "loops": scale.loops, "flops_per_second": rate });
            records.write("ceiling", result)?;
            best = best.max(rate);
        }
        summary.push(format!("ceiling {number} multiply-adds: {} TFLOP/s", short(1e-12 * best)));
    }
    Ok(summary)
}

/// The most that matrix units do from registers; sums in f32.
pub fn matrix_units(
    cooperative: Option<Device>,
    units: u32,
    scale: &Scale,
    records: &mut Records,
) -> Outcome<Vec<String>> {
    let Some(device) = cooperative else { return Ok(vec!["ceiling matrix units: none that wgrad can use".into()]) };
    let Some(matrix) = device.info().cooperative_matrix else { return Ok(Vec::new()) };
    let gpu = gpu::open(&device)?;
    let mut best: f64 = 0.0;
    for sums in [1, 4, 8] {
        let bound = gpu.bound(&multiplications(matrix, scale.loops / 16, sums), &[&gpu.buffer(1 << 16)?])?;
        let groups = units * scale.residents.min(8);
        let pass = gpu.least(&bound, groups, scale.pass, PASSES)?;
        let each = 2.0 * (matrix.size as f64).powi(3) * f64::from(sums) * f64::from(scale.loops / 16);
        let rate = each * 4.0 * f64::from(groups) / pass.seconds;
        let result = json!({ "number": "matrix", "size": matrix.size, "sums": sums, "workgroups": groups,
            "ticks": pass.ticks, "flops_per_second": rate });
        records.write("ceiling", result)?;
        best = best.max(rate);
    }
    Ok(vec![format!("ceiling matrix units {0} x {0}: {1} TFLOP/s", matrix.size, short(1e-12 * best))])
}

/// Bytes a second by footprint, read alone and copied.
pub fn memory(gpu: &Gpu, units: u32, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let groups = units * scale.residents;
    let threads = u64::from(groups) * WORKGROUP;
    let mut text = [String::from("GB/s read, by MiB:"), String::from("GB/s copied, by MiB read and written:")];
    let mut bytes = 1u64 << 18;
    let limit = gpu.device.limits().max_storage_buffer_binding_size.min(scale.most_bytes);
    while bytes <= limit {
        let [from, to] = [gpu.buffer(bytes)?, gpu.buffer(bytes)?];
        let vectors = bytes / 16;
        for (index, copies) in [false, true].into_iter().enumerate() {
            // Small footprints are gone through several times in one launch.
            let turns = ((32 << 20) / bytes).clamp(1, 64).min(scale.loops.into());
            let bound = gpu.bound(&stream(vectors, threads, turns, copies), &[&from, &to])?;
            let pass = gpu.least(&bound, groups, scale.pass, PASSES)?;
            let moved = (bytes * turns * if copies { 2 } else { 1 }) as f64;
            let rate = moved / pass.seconds;
            let footprint = bytes * if copies { 2 } else { 1 };
            let result = json!({ "copies": copies, "footprint": footprint, "turns": turns, "workgroups": groups,
                "ticks": pass.ticks, "bytes_per_second": rate });
            records.write("bandwidth", result)?;
            text[index] += &format!(" {}: {},", short(footprint as f64 / f64::from(1 << 20)), short(1e-9 * rate));
        }
        bytes *= 2;
    }
    Ok(text.map(|line| line.trim_end_matches(',').to_string()).to_vec())
}

/// How long reads of workgroup memory take whose invocations are so many words apart.
pub fn banks(gpu: &Gpu, units: u32, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let mut text = String::from("reads of workgroup memory, time against stride 1:");
    let mut first = None;
    for stride in [1u32, 2, 3, 4, 5, 8, 16, 17, 32, 33] {
        let bound = gpu.bound(&strided(stride, scale.loops), &[&gpu.buffer(64)?])?;
        let pass = gpu.least(&bound, units, scale.pass, PASSES)?;
        let base = *first.get_or_insert(pass.seconds);
        let result = json!({ "stride": stride, "loops": scale.loops, "workgroups": units, "ticks": pass.ticks,
            "seconds": pass.seconds });
        records.write("banks", result)?;
        text += &format!(" {stride}: {},", short(pass.seconds / base));
    }
    Ok(vec![text.trim_end_matches(',').to_string()])
}

fn strided(stride: u32, loops: u32) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
var<workgroup> memory: array<u32, 2048>;
@compute @workgroup_size({WORKGROUP})
fn main(@builtin(local_invocation_index) local: u32) {{
    for (var i = local; i < 2048u; i += {WORKGROUP}u) {{ memory[i] = data[0]; }}
    workgroupBarrier(); // read only when all is written
    var at = local * {stride}u;
    // What is read, a zero, is added to where the next is read from, so that each read waits for the last.
    for (var i = 0u; i < {loops}u; i++) {{ at = (at + memory[at % 2048u]) % 65536u; }}
    if at == 65535u {{ data[1] = at; }}
}}
"
    )
}

/// Multiply-adds a second where each waits for the last, by how many workgroups a multiprocessor has at once: how many
/// it takes to hide latency.
pub fn residents(gpu: &Gpu, units: u32, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let mut text = String::from("TFLOP/s of dependent multiply-adds by workgroups of 256 a multiprocessor:");
    let bound: Bound = gpu.bound(&multiply_adds("f32", scale.loops, 1), &[&gpu.buffer(64)?])?;
    let mut each = 1;
    while each <= scale.residents {
        let groups = each * units;
        let pass = gpu.least(&bound, groups, scale.pass, PASSES)?;
        let flops = 2.0 * 4.0 * f64::from(scale.loops) * WORKGROUP as f64 * f64::from(groups);
        let rate = flops / pass.seconds;
        let result = json!({ "workgroups": groups, "multiprocessors": units, "ticks": pass.ticks,
            "flops_per_second": rate });
        records.write("residents", result)?;
        text += &format!(" {each}: {},", short(1e-12 * rate));
        each *= 2;
    }
    Ok(vec![text.trim_end_matches(',').to_string()])
}
