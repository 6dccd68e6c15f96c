//! Shaders that do nothing but what is measured: multiply-adds in registers, products of matrix units, reading and copying,
//! and next to nothing, for chains of dispatches.

use crate::kernels::product::cooperative::CooperativeMatrix;

/// Invocations of a workgroup here, but for matrix units and chains.
pub const WORKGROUP: u64 = 256;

/// Vectors of four that an invocation adds to side by side: enough to hide the units' latency.
pub const CHAINS: u64 = 8;

/// Invocations of a workgroup of a chain.
const CHAIN_WORKGROUP: u64 = 64;

/// Multiply-adds in registers alone. The factor is read, so that no compiler knows it.
pub fn multiply_adds(number: &str, loops: u32, chains: u64) -> String {
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

/// Four subgroups, each with so many sums in registers.
pub fn multiplications(matrix: CooperativeMatrix, loops: u32, sums: u32) -> String {
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

/// Goes through a buffer of so many vectors in turns, by so many threads: reads it alone, or copies it.
pub fn stream(vectors: u64, threads: u64, turns: u64, copies: bool) -> String {
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

/// A shader with so many bindings: the first is written, the others are read, or written too.
pub fn chain(buffers: usize, written: bool) -> String {
    // With 33 the last one is a uniform, as wgrad's step block: there are no more than 32 storage buffers.
    let uniform = buffers > 32;
    let storage = if uniform { buffers - 1 } else { buffers };
    let mut text = String::new();
    for binding in 0..storage {
        let access = if binding == 0 || written { "read_write" } else { "read" };
        text += &format!("@group(0) @binding({binding}) var<storage, {access}> b{binding}: array<f32>;\n");
    }
    if uniform {
        text += &format!("@group(0) @binding({storage}) var<uniform> step: vec4<f32>;\n");
    }
    text += &format!("@compute @workgroup_size({CHAIN_WORKGROUP})\nfn main(@builtin(workgroup_id) group: vec3<u32>, ");
    text += "@builtin(local_invocation_index) local: u32) {\n    if local != 0u { return; }\n    let i = group.x;\n";
    text += "    var sum = 0.5 * b0[i]";
    (1..storage).for_each(|binding| text += &format!(" + b{binding}[i]"));
    text += if uniform { " + step.x;\n" } else { ";\n" };
    text += "    b0[i] = sum;\n";
    if written {
        (1..storage).for_each(|binding| text += &format!("    b{binding}[i] = sum + {binding}.0;\n"));
    }
    text + "}\n"
}
