// layer_norm_backward: dx[r, c] = s[r]·(g[r, c] − mean g[r] − x̂[r, c]·mean (g·x̂)[r])
//   with g = γ·dy, s = 1/√(variance + ε), x̂ = (x − mean x)·s, all means over the row
//
// Shapes: dy, x, dx [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; γ [F] in `weights`, where the layer has it
// (parts/norm.wgsl); moments [B] of (mean, s), from the forward pass.
// Grid: LANES invocations a row. Reference: src/kernels/layer_norm_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> x: array<x_vec4>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> moments: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> dx: array<dx_vec4>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (linear_group(group, groups) * WORKGROUP + local) / LANES;
    let lane = local % LANES;
    let start = row * COLUMN_BLOCKS;
    // No early return: all invocations of a workgroup meet at the barriers. A row that does not exist has no columns.
    let blocks = select(0u, COLUMN_BLOCKS, row < step.rows);
    let mean = moments[row].x;
    let inverse = moments[row].y;
    var sums = vec4<f32>(0.0);
    var products = vec4<f32>(0.0);
    for (var c = lane; c < blocks; c += LANES) {
        // Zero behind the last column, where dy is.
        let g = vec4<f32>(dy[start + c]) * gamma_of(c);
        sums += g;
        products += g * ((vec4<f32>(x[start + c]) - mean) * inverse);
    }
    let mean_g = lanes_sum(local, (sums.x + sums.y) + (sums.z + sums.w)) / f32(COLUMNS);
    let mean_product = lanes_sum(local, (products.x + products.y) + (products.z + products.w)) / f32(COLUMNS);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    for (var c = lane; c < COLUMN_BLOCKS; c += LANES) {
        let g = vec4<f32>(dy[start + c]) * gamma_of(c);
        let normalized = (vec4<f32>(x[start + c]) - mean) * inverse;
        let gradient = inverse * (g - mean_g - normalized * mean_product);
        let keep = own_columns(c, COLUMNS) & vec4<bool>(row < step.rows);
        dx[start + c] = dx_vec4(stored_gradient(select(vec4<f32>(0.0), gradient, keep)));
    }
}
