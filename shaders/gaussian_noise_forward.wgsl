// gaussian_noise_forward: y = x + DEVIATION·n, n being a normal number for each element (parts/noise.wgsl)
//
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/gaussian_noise_forward.rs.

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
    let column = index % COLUMN_BLOCKS;
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    let value = vec4<f32>(x[index]) + DEVIATION * normal_numbers(random_words(row, column));
    let keep = own_columns(column, COLUMNS) & vec4<bool>(row < step.rows);
    y[index] = y_vec4(within(select(vec4<f32>(0.0), value, keep), Y_HALF));
}
