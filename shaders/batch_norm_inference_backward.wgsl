// batch_norm_inference_backward: dx[r, c] = dy[r, c]·γ[c] / √(variance[c] + ε), the variance being the moving one: the layer
// is frozen, and its mean and variance do not depend on x
//
// Shapes: dy, dx [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; γ [F] in `weights`, where the layer has it
// (parts/norm.wgsl); moving: the means [F], and from VARIANCE_OFFSET blocks on the variances [F].
// Grid: one invocation a block of four. Reference: src/kernels/batch_norm_inference_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> moving: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<dx_vec4>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * WORKGROUP + local;
    let row = index / COLUMN_BLOCKS;
    let column = index % COLUMN_BLOCKS;
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    let factor = inverseSqrt(moving[VARIANCE_OFFSET + column] + EPSILON) * gamma_of(column);
    let gradient = vec4<f32>(dy[index]) * factor;
    let keep = own_columns(column, COLUMNS) & vec4<bool>(row < step.rows);
    dx[index] = dx_vec4(stored_gradient(select(vec4<f32>(0.0), gradient, keep)));
}
