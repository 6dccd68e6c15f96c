// rescale_forward: y = SCALE·x + OFFSET
//
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/rescale_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read_write> y: array<y_vec4>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * WORKGROUP + local;
    let row = index / COLUMN_BLOCKS;
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    // The padding of x is zero, that of y would become OFFSET.
    let keep = own_columns(index % COLUMN_BLOCKS, COLUMNS) & vec4<bool>(row < step.rows);
    let value = SCALE * vec4<f32>(x[index]) + OFFSET;
    y[index] = y_vec4(within(select(vec4<f32>(0.0), value, keep), Y_HALF));
}
