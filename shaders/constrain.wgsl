// constrain: holds a tensor within bounds, after the update
//   NOT_NEGATIVE: w ← w where w is not below zero, else 0
//   else, of the norm n of each column: w ← w·(RATE·clip(n, LOW, HIGH) + (1 − RATE)·n)/(10⁻⁷ + n)
//
// Shapes: weights [ROWS, columns], rows padded to COLUMN_BLOCKS blocks of four; with VECTOR one column, ROWS blocks of four.
// Padding is zero and stays so. A sum over the rows: each invocation takes every WORKGROUP-th, then a tree.
// Grid: one workgroup a block of four columns. Reference: src/kernels/constrain.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4<f32>>;

fn bounded(local: u32, column: u32) -> vec4<f32> {
    var squares = vec4<f32>(0.0);
    for (var row = local; row < ROWS; row += WORKGROUP) {
        let w = weights[row * COLUMN_BLOCKS + column];
        squares += w * w;
    }
    if VECTOR {
        squares = vec4<f32>(lanes_sum(local, (squares.x + squares.y) + (squares.z + squares.w)));
    } else {
        squares.x = lanes_sum(local, squares.x);
        squares.y = lanes_sum(local, squares.y);
        squares.z = lanes_sum(local, squares.z);
        squares.w = lanes_sum(local, squares.w);
    }
    let norm = sqrt(squares);
    let wanted = RATE * clamp(norm, vec4<f32>(LOW), vec4<f32>(HIGH)) + (1.0 - RATE) * norm;
    // A norm that is no number makes the quotient none.
    return wanted / (vec4<f32>(EPSILON) + norm);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_group(group, groups);
    // The grid may have more workgroups than there are columns; the last column is then read again and not written.
    let column = min(at, COLUMN_BLOCKS - 1u);
    var factor = vec4<f32>(1.0);
    if !NOT_NEGATIVE {
        factor = bounded(local, column);
    }
    // Each invocation writes the rows that it alone has read.
    for (var row = local; row < ROWS && at < COLUMN_BLOCKS; row += WORKGROUP) {
        let w = weights[row * COLUMN_BLOCKS + column];
        let is_cut = vec4<bool>(NOT_NEGATIVE) & (w < vec4<f32>(0.0));
        weights[row * COLUMN_BLOCKS + column] = select(w * factor, vec4<f32>(0.0), is_cut);
    }
}
