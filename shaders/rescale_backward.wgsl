// rescale_backward: dx = SCALE·dy
//
// Shapes: dy, dx [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/rescale_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read_write> dx: array<dx_vec4>;

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
    // A finite SCALE leaves the padding zero.
    dx[index] = dx_vec4(stored_gradient(SCALE * vec4<f32>(dy[index])));
}
