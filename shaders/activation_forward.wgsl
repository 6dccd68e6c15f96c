// activation_forward: y = f(z), f being ACTIVATION
//
// Shapes: z, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/activation_forward.rs.

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
    let row = index / COLUMN_BLOCKS;
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    // f(0) is not always 0: the padding is set to zero.
    let keep = (column_mask(index % COLUMN_BLOCKS, COLUMNS) > vec4<f32>(0.0)) & vec4<bool>(row < step.rows);
    y[index] = y_vec4(within(select(vec4<f32>(0.0), activate(vec4<f32>(z[index])), keep), Y_HALF));
}
