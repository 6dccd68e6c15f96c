//! What a GPU does at most: multiply-adds in registers, matrix units, bandwidth by footprint, banks of workgroup
//! memory, and how many workgroups it takes to keep it busy.

use std::time::Instant;

use serde_json::json;
use wgrad::kernels::product::cooperative::CooperativeMatrix;
use wgrad::{Device, wgpu};

use crate::Outcome;
use crate::costs::Scale;
use crate::gpu::{Bound, Gpu};
use crate::record::{Records, short};

/// Invocations of a workgroup here, but for matrix units.
const WORKGROUP: u64 = 256;

/// Vectors of four that an invocation adds to side by side: enough to hide the units' latency.
const CHAINS: u64 = 8;

/// Passes of each kind; the least time counts.
const PASSES: usize = 5;

/// Multiply-adds in registers alone. The factor is read, so that no compiler knows it.
fn multiply_adds(number: &str, loops: u32, chains: u64) -> String {
    let enable = if number == "f16" { "enable f16;\n" } else { "" };
    let sums = |of: &dyn Fn(u64) -> String| (0..chains).map(of).collect::<String>();
    let declared = sums(&|i| format!("    var s{i} = vec4<{number}>({number}(local + {i}u));\n"));
    let added = sums(&|i| format!("        s{i} = fma(s{i}, x, y);\n"));
    let total = (0..chains).map(|i| format!("s{i}")).collect::<Vec<_>>().join(" + ");
    format!(
        "{enable}@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
@compute @workgroup_size({WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
    let x = vec4<{number}>(data[0]);
    let y = vec4<{number}>(data[1]);
{declared}    for (var i = 0u; i < {loops}u; i++) {{
{added}    }}
    let total = vec4<f32>({total});
    // Never so, but no compiler knows.
    if total.x == 0.123 {{ data[group.x % 4u] = total; }}
}}
"
    )
}

fn multiply_add_rate(gpu: &Gpu, number: &str, groups: u32, chains: u64, scale: &Scale) -> Outcome<(f64, u64)> {
    let bound = gpu.bound(&multiply_adds(number, scale.loops, chains), &[&gpu.buffer(64)])?;
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
    let gpu = Gpu::new(&device)?;
    let mut best: f64 = 0.0;
    for sums in [1, 4, 8] {
        let bound = gpu.bound(&multiplications(matrix, scale.loops / 16, sums), &[&gpu.buffer(1 << 16)])?;
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

/// Four subgroups, each with so many sums in registers.
fn multiplications(matrix: CooperativeMatrix, loops: u32, sums: u32) -> String {
    let (size, subgroup) = (matrix.size, matrix.subgroup);
    let each = |of: &dyn Fn(u32) -> String| (0..sums).map(of).collect::<String>();
    let declared = each(&|i| format!("    var s{i} = coopLoad<coop_mat{size}x{size}<f32, C>>(&sums[0], {size}u);\n"));
    let added = each(&|i| format!("        s{i} = coopMultiplyAdd(a, b, s{i});\n"));
    let stored = each(&|i| format!("    coopStore(s{i}, &sums[{}], {size}u);\n", i as usize * size * size));
    format!(
        "enable f16;
enable wgpu_cooperative_matrix;
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;
var<workgroup> factors: array<f16, {area}>;
@compute @workgroup_size({workgroup})
fn main(@builtin(local_invocation_index) local: u32) {{
    for (var i = local; i < {area}u; i += {workgroup}u) {{ factors[i] = f16(i % 3u); }}
    workgroupBarrier(); // the factors are loaded only when all are written
    let a = coopLoad<coop_mat{size}x{size}<f16, A>>(&factors[0], {size}u);
    let b = coopLoad<coop_mat{size}x{size}<f16, B>>(&factors[0], {size}u);
{declared}    for (var i = 0u; i < {loops}u; i++) {{
{added}    }}
{stored}}}
",
        area = size * size,
        workgroup = 4 * subgroup,
    )
}

/// Bytes a second by footprint, read alone and copied.
pub fn memory(gpu: &Gpu, units: u32, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let groups = units * scale.residents;
    let threads = u64::from(groups) * WORKGROUP;
    let mut text = [String::from("GB/s read, by MiB:"), String::from("GB/s copied, by MiB read and written:")];
    let mut bytes = 1u64 << 18;
    let limit = gpu.device.limits().max_storage_buffer_binding_size.min(scale.most_bytes);
    while bytes <= limit {
        let [from, to] = [gpu.buffer(bytes), gpu.buffer(bytes)];
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

fn stream(vectors: u64, threads: u64, turns: u64, copies: bool) -> String {
    let body = if copies { "copied[i] = source[i] + vec4<f32>(f32(turn));" } else { "sum += source[i];" };
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<f32>>;
@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
    var sum = vec4<f32>();
    for (var turn = 0u; turn < {turns}u; turn++) {{
        // Each turn begins elsewhere, so that no compiler takes a turn for the last one's repetition.
        let shift = turn * 64u;
        for (var at = id.x; at < {vectors}u; at += {threads}u) {{
            let i = (at + shift) % {vectors}u;
            {body}
        }}
    }}
    if sum.x == 0.123 {{ copied[0] = sum; }}
}}
"
    )
}

/// How long reads of workgroup memory take whose invocations are so many words apart.
pub fn banks(gpu: &Gpu, units: u32, scale: &Scale, records: &mut Records) -> Outcome<Vec<String>> {
    let mut text = String::from("reads of workgroup memory, time against stride 1:");
    let mut first = None;
    for stride in [1u32, 2, 3, 4, 5, 8, 16, 17, 32, 33] {
        let bound = gpu.bound(&strided(stride, scale.loops), &[&gpu.buffer(64)])?;
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
    let bound: Bound = gpu.bound(&multiply_adds("f32", scale.loops, 1), &[&gpu.buffer(64)])?;
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
