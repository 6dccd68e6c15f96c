// dense_backward_input: dx = (dz·Wᵀ) ⊙ f'(kept)
//
// Shapes: dz [B, O], W [I, O], kept and dx [B, I]. f is the activation of the layer before, and kept what that layer's
// forward pass kept of it (its output, or its input where f' needs that); rows padded to blocks of four with zeros.
// Grid and loops: the tiling, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_backward_input.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dz: array<dz_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> kept: array<kept_vec4>;
@group(0) @binding(4) var<storage, read_write> dx: array<dx_vec4>;

alias a_vec4 = dz_vec4;
alias b_vec4 = vec4<f32>;

const A_TRANSPOSED = false;
const B_TRANSPOSED = true;

fn row_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

fn depth_blocks() -> u32 {
    return DEPTH_BLOCKS;
}

fn a_line(row: u32, depth: u32, i: u32) -> a_vec4 {
    return dz[(4u * row + i) * DEPTH_BLOCKS + depth];
}

// Block (depth, column) of Wᵀ is block (column, depth) of W, transposed. W has a whole block of rows for each block of
// columns here: rows behind I are zero.
fn b_line(depth: u32, column: u32, i: u32) -> b_vec4 {
    return weights[(4u * column + i) * DEPTH_BLOCKS + depth];
}

fn store(row: u32, column: u32, block: mat4x4<f32>) {
    let mask = column_mask(column, INPUTS) > vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        let at = 4u * row + i;
        let index = at * COLUMN_BLOCKS + column;
        let keep = mask & vec4<bool>(at < step.rows);
        let gradient = select(vec4<f32>(0.0), block[i] * derivative(vec4<f32>(kept[index])), keep);
        dx[index] = dx_vec4(stored_gradient(gradient));
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {}
