// batch_norm_inference_forward: y[r, c] = γ[c]·(x[r, c] − mean[c]) / √(variance[c] + ε) + β[c], mean and variance being the
// moving ones: in evaluation, in prediction, and where the layer is frozen
//
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; γ and β [F] in `weights`, each where the layer
// has it (parts/norm.wgsl); moving: the means [F], and from VARIANCE_OFFSET blocks on the variances [F].
// Grid: one invocation a block of four. Reference: src/kernels/batch_norm_inference_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> moving: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<y_vec4>;

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
    let value = (vec4<f32>(x[index]) - moving[column]) * factor + beta_of(column);
    let keep = own_columns(column, COLUMNS) & vec4<bool>(row < step.rows);
    y[index] = y_vec4(within(select(vec4<f32>(0.0), value, keep), Y_HALF));
}
