// softmax_forward: y[r, c] = exp(z[r, c] − max z[r]) / Σ exp(z[r] − max z[r])
//
// Shapes: z, y [B, C], rows padded to 4·COLUMN_BLOCKS numbers with zeros.
// Grid: LANES invocations a row. Reference: src/kernels/softmax_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> z: array<z_number>;
@group(0) @binding(2) var<storage, read_write> y: array<y_number>;

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
    var largest = -3.4e38;
    for (var c = lane; c < columns; c += LANES) {
        largest = max(largest, f32(z[start + c]));
    }
    largest = lanes_max(local, largest);
    var sum = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        sum += exp(f32(z[start + c]) - largest);
    }
    sum = lanes_sum(local, sum);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        if c < columns {
            y[start + c] = y_number(exp(f32(z[start + c]) - largest) / sum);
        } else {
            y[start + c] = y_number(0.0);
        }
    }
}
