// prelu_backward_parameters: dα[c] = Σ over the batch of dy·x where x < 0
//
// Shapes: dy, x [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; dα [F] is the whole of `gradients`
// (parts/gradients.wgsl).
// Grid: a workgroup TILE blocks of columns (parts/columns.wgsl). Reference: src/kernels/prelu_backward_parameters.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> x: array<x_vec4>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4<f32>>;

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
    var sums = vec4<f32>(0.0);
    for (var r = part; r < rows; r += PARTS) {
        let at = r * COLUMN_BLOCKS + column;
        let value = vec4<f32>(x[at]);
        // Set, not multiplied away: a NaN of dy counts only where x is below zero.
        sums += select(vec4<f32>(0.0), vec4<f32>(dy[at]) * value, value < vec4<f32>(0.0));
    }
    let sum = columns_sum(local, sums);
    if part > 0u || column >= COLUMN_BLOCKS {
        return;
    }
    keep_gradient(column, true_gradient(sum));
}
