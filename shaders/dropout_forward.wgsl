// dropout_forward: y = SCALE·x where the number is kept, else 0; SCALE = 1/(1 − rate)
//
// A number is kept where its random word (parts/hash.wgsl) is not below THRESHOLD = rate·2³².
// Shapes: x, y [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros.
// Grid: one invocation a block of four. Reference: src/kernels/dropout_forward.rs.

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
    // Kept or not, the padding stays zero.
    let keep = random_words(row, index % COLUMN_BLOCKS) >= vec4<u32>(THRESHOLD);
    let value = select(vec4<f32>(0.0), SCALE * vec4<f32>(x[index]), keep);
    y[index] = y_vec4(within(value, Y_HALF));
}
