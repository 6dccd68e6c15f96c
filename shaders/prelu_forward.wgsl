// prelu_forward: y = x where x ≥ 0, else α·x, α being a column's own
//
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; alpha [F].
// Grid: one invocation a block of four. Reference: src/kernels/prelu_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> alpha: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<y_vec4>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * WORKGROUP + local;
    if index >= 4u * row_blocks_of(step.rows) * COLUMN_BLOCKS {
        return;
    }
    // The padding is not below zero and stays zero; a NaN stays one.
    let value = vec4<f32>(x[index]);
    let below = alpha[index % COLUMN_BLOCKS] * value;
    y[index] = y_vec4(within(select(value, below, value < vec4<f32>(0.0)), Y_HALF));
}
