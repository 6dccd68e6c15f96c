// softmax_backward: dz[r, c] = y[r, c]·(dy[r, c] − Σ_j dy[r, j]·y[r, j])
//
// Shapes: dy, y, dz [B, C], rows padded to 4·COLUMN_BLOCKS numbers with zeros.
// Grid: LANES invocations a row. Reference: src/kernels/softmax_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dz: array<f32>;

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
        sum += dy[start + c] * y[start + c];
    }
    sum = lanes_sum(local, sum);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        if c < columns {
            dz[start + c] = y[start + c] * (dy[start + c] - sum);
        } else {
            dz[start + c] = 0.0;
        }
    }
}
