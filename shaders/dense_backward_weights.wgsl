// dense_backward_weights: dW = xᵀ·dz, db = Σ over the batch of dz
//
// Shapes: x [B, I], dz [B, O], dW [I, O] and db [O] one after the other in `gradients`; rows padded to blocks of four
// with zeros. The sum runs over the batch in its order; the rows that fill its last block are zero in x and dz.
// Grid and loops: the schedule, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_backward_weights.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dz: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4<f32>>;

const A_TRANSPOSED = true;
const B_TRANSPOSED = false;

fn row_blocks() -> u32 {
    return ROW_BLOCKS;
}

fn depth_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

// Block (row, depth) of xᵀ is block (depth, row) of x, transposed.
fn a_line(row: u32, depth: u32, i: u32) -> vec4<f32> {
    return x[(4u * depth + i) * ROW_BLOCKS + row];
}

fn b_line(depth: u32, column: u32, i: u32) -> vec4<f32> {
    return dz[(4u * depth + i) * COLUMN_BLOCKS + column];
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
