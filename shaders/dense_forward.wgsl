// dense_forward: y = f(x·W + b)
//
// Shapes: x [B, I], W [I, O] and b [O] one after the other in `weights`, y [B, O]; all rows padded to blocks of four
// with zeros. B is at run time, I = 4·DEPTH_BLOCKS and O = OUTPUTS are constants.
// Grid and loops: the tiling, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<y_vec4>;

alias a_vec4 = x_vec4;
alias b_vec4 = vec4<f32>;

const A_TRANSPOSED = false;
const B_TRANSPOSED = false;

fn row_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

fn depth_blocks() -> u32 {
    return DEPTH_BLOCKS;
}

fn a_line(row: u32, depth: u32, i: u32) -> a_vec4 {
    return x[(4u * row + i) * DEPTH_BLOCKS + depth];
}

fn b_line(depth: u32, column: u32, i: u32) -> b_vec4 {
    return weights[(4u * depth + i) * COLUMN_BLOCKS + column];
}

fn store(row: u32, column: u32, block: mat4x4<f32>) {
    var bias = vec4<f32>(0.0);
    if HAS_BIAS {
        bias = weights[BIAS_OFFSET + column];
    }
    let mask = column_mask(column, OUTPUTS);
    for (var i = 0u; i < 4u; i++) {
        let at = 4u * row + i;
        // The padding is set, not multiplied away: 0 · NaN would be a NaN.
        let keep = (mask > vec4<f32>(0.0)) & vec4<bool>(at < step.rows);
        let value = select(vec4<f32>(0.0), activate(block[i] + bias), keep);
        y[at * COLUMN_BLOCKS + column] = y_vec4(within(value, Y_HALF));
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {}
