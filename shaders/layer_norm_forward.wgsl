// layer_norm_forward: y[r, c] = γ[c]·(x[r, c] − mean x[r]) / √(variance x[r] + ε) + β[c], the variance being biased
//
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; γ and β [F] in `weights`, each where the layer
// has it (parts/norm.wgsl); moments [B] of (mean, 1/√(variance + ε)), which the backward pass reads.
// Grid: LANES invocations a row. Reference: src/kernels/layer_norm_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<y_vec4>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec2<f32>>;

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
    var sums = vec4<f32>(0.0);
    for (var c = lane; c < blocks; c += LANES) {
        sums += vec4<f32>(x[start + c]);
    }
    let mean = lanes_sum(local, (sums.x + sums.y) + (sums.z + sums.w)) / f32(COLUMNS);
    // Of what is left without the mean: the mean of squares less the square of the mean would cancel.
    var squares = vec4<f32>(0.0);
    for (var c = lane; c < blocks; c += LANES) {
        let distance = select(vec4<f32>(0.0), vec4<f32>(x[start + c]) - mean, own_columns(c, COLUMNS));
        squares += distance * distance;
    }
    let variance = lanes_sum(local, (squares.x + squares.y) + (squares.z + squares.w)) / f32(COLUMNS);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    let exists = row < step.rows;
    let inverse = inverseSqrt(variance + EPSILON);
    for (var c = lane; c < COLUMN_BLOCKS; c += LANES) {
        let value = (vec4<f32>(x[start + c]) - mean) * inverse * gamma_of(c) + beta_of(c);
        let kept = select(vec4<f32>(0.0), value, own_columns(c, COLUMNS) & vec4<bool>(exists));
        y[start + c] = y_vec4(within(kept, Y_HALF));
    }
    if lane == 0u {
        moments[row] = select(vec2<f32>(0.0), vec2<f32>(mean, inverse), exists);
    }
}
