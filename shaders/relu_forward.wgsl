// relu_forward: y = max(z, 0), and NaN stays NaN
//
// Shapes: z, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/relu_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> z: array<z_vec4>;
@group(0) @binding(2) var<storage, read_write> y: array<y_vec4>;

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
    let value = vec4<f32>(z[index]);
    y[index] = y_vec4(within(select(value, vec4<f32>(0.0), value < vec4<f32>(0.0)), Y_HALF));
}
