// dropout_backward: dx = SCALE·dy where the forward pass kept the number, else 0; SCALE = 1/(1 − rate)
//
// Which numbers were kept is hashed again (parts/hash.wgsl) and not stored: see dropout_forward.wgsl.
// Shapes: dy, dx [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/dropout_backward.rs.

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
    let row = index / COLUMN_BLOCKS;
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    let keep = random_words(row, index % COLUMN_BLOCKS) >= vec4<u32>(THRESHOLD);
    let gradient = select(vec4<f32>(0.0), SCALE * vec4<f32>(dy[index]), keep);
    dx[index] = dx_vec4(stored_gradient(gradient));
}
