// batch_norm_forward: y[r, c] = γ[c]·(x[r, c] − mean[c]) / √(variance[c] + ε) + β[c], mean and biased variance being those
// of the batch, as in training; and moving = MOMENTUM·moving + (1 − MOMENTUM)·batch's, for mean and variance
//
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; γ and β [F] in `weights`, each where the layer
// has it (parts/norm.wgsl); moments: the means [F], then 1/√(variance + ε) [F], which the backward pass reads; moving: the
// means [F], and from VARIANCE_OFFSET blocks on the variances [F].
// Grid: a workgroup TILE blocks of columns, whose rows it reads three times (parts/columns.wgsl).
// Reference: src/kernels/batch_norm_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<y_vec4>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> moving: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_group(group, groups) * TILE + local % TILE;
    let part = local / TILE;
    // No early return: all invocations of a workgroup meet at the barriers. Columns that do not exist have no rows.
    let rows = select(0u, step.rows, column < COLUMN_BLOCKS);
    let count = f32(max(step.rows, 1u));
    var sums = vec4<f32>(0.0);
    for (var r = part; r < rows; r += PARTS) {
        sums += vec4<f32>(x[r * COLUMN_BLOCKS + column]);
    }
    let mean = columns_sum(local, sums) / count;
    // Of what is left without the mean: the mean of squares less the square of the mean would cancel.
    var squares = vec4<f32>(0.0);
    for (var r = part; r < rows; r += PARTS) {
        let distance = vec4<f32>(x[r * COLUMN_BLOCKS + column]) - mean;
        squares += distance * distance;
    }
    let variance = columns_sum(local, squares) / count;
    if column >= COLUMN_BLOCKS {
        return;
    }
    let keep = own_columns(column, COLUMNS);
    let inverse = select(vec4<f32>(0.0), inverseSqrt(variance + EPSILON), keep);
    let factor = inverse * gamma_of(column);
    let beta = beta_of(column);
    for (var r = part; r < 4u * row_blocks_of(step.rows); r += PARTS) {
        let at = r * COLUMN_BLOCKS + column;
        let value = (vec4<f32>(x[at]) - mean) * factor + beta;
        y[at] = y_vec4(within(select(vec4<f32>(0.0), value, keep & vec4<bool>(r < step.rows)), Y_HALF));
    }
    if part > 0u {
        return;
    }
    moments[column] = mean;
    moments[COLUMN_BLOCKS + column] = inverse;
    // A step without rows has nothing to say of them.
    if step.rows > 0u {
        moving[column] = MOMENTUM * moving[column] + (1.0 - MOMENTUM) * mean;
        let at = VARIANCE_OFFSET + column;
        moving[at] = MOMENTUM * moving[at] + (1.0 - MOMENTUM) * variance;
    }
}
