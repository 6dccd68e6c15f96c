// softmax_backward: dz[r, c] = y[r, c]·(dy[r, c] − Σ_j dy[r, j]·y[r, j])
//
// Shapes: dy, y, dz [B, C], rows padded to 4·COLUMN_BLOCKS numbers with zeros.
// Grid: LANES invocations a row. Reference: src/kernels/softmax_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_number>;
@group(0) @binding(2) var<storage, read> y: array<y_number>;
@group(0) @binding(3) var<storage, read_write> dz: array<dz_number>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (linear_group(group, groups) * WORKGROUP + local) / LANES;
    let lane = local % LANES;
    let start = row * 4u * COLUMN_BLOCKS;
    // No early return: all invocations of a workgroup meet at the barriers. A row that does not exist has no columns.
    let columns = select(0u, COLUMNS, row < step.rows);
    var sum = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        sum += f32(dy[start + c]) * f32(y[start + c]);
    }
    sum = lanes_sum(local, sum);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        var gradient = 0.0;
        if c < columns {
            gradient = f32(y[start + c]) * (f32(dy[start + c]) - sum);
        }
        dz[start + c] = dz_number(stored_gradient(vec4<f32>(gradient)).x);
    }
}
