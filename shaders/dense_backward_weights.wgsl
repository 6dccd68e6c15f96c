// dense_backward_weights: dW = xᵀ·dz, db = Σ over the batch of dz
//
// Shapes: x [B, I], dz [B, O], dW [I, O] and db [O] one after the other in `gradients`; rows padded to blocks of four
// with zeros. The sum runs over the batch in its order; the rows that fill its last block are zero in x and dz.
// Grid and loops: the schedule, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_backward_weights.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dz: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4<f32>>;

fn row_blocks() -> u32 {
    return ROW_BLOCKS;
}

fn depth_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

// Block (row, depth) of xᵀ is block (depth, row) of x, transposed.
fn load_a(row: u32, depth: u32) -> mat4x4<f32> {
    let at = 4u * depth * ROW_BLOCKS + row;
    return transpose(mat4x4<f32>(x[at], x[at + ROW_BLOCKS], x[at + 2u * ROW_BLOCKS], x[at + 3u * ROW_BLOCKS]));
}

fn load_b(depth: u32, column: u32) -> mat4x4<f32> {
    let at = 4u * depth * COLUMN_BLOCKS + column;
    return mat4x4<f32>(dz[at], dz[at + COLUMN_BLOCKS], dz[at + 2u * COLUMN_BLOCKS], dz[at + 3u * COLUMN_BLOCKS]);
}

// The padding is set, though x and dz are zero there: 0 · NaN would be a NaN, and padding that once is a NaN stays one.
fn store(row: u32, column: u32, block: mat4x4<f32>) {
    let mask = column_mask(column, OUTPUTS) > vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        let at = 4u * row + i;
        gradients[at * COLUMN_BLOCKS + column] = select(vec4<f32>(0.0), block[i], mask & vec4<bool>(at < INPUTS));
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {
    gradients[BIAS_OFFSET + column] = sums;
}
