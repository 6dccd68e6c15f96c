// activation_backward: dz = dy ⊙ f'(kept), f being ACTIVATION
//
// Shapes: dy, kept, dz [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros. kept is y = f(z), or z where f'
// cannot be had from y.
// Grid: one invocation a block of four. Reference: src/kernels/activation_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> kept: array<kept_vec4>;
@group(0) @binding(3) var<storage, read_write> dz: array<dz_vec4>;

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
    // The padding of dy is zero and f' is finite there, so the padding of dz is zero.
    dz[index] = dz_vec4(stored_gradient(vec4<f32>(dy[index]) * derivative(vec4<f32>(kept[index]))));
}
