// prelu_backward: dx = dy where x > 0, else α·dy, α being a column's own
//
// Shapes: dy, x, dx [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; alpha [F], padded with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/prelu_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> x: array<x_vec4>;
@group(0) @binding(3) var<storage, read> alpha: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<dx_vec4>;

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
    // The padding of dy is zero and α is finite, so the padding of dx is zero.
    let slope = select(alpha[index % COLUMN_BLOCKS], vec4<f32>(1.0), vec4<f32>(x[index]) > vec4<f32>(0.0));
    dx[index] = dx_vec4(stored_gradient(slope * vec4<f32>(dy[index])));
}
