// dense_backward_input: dx = (dz·Wᵀ) ⊙ f'(kept)
//
// Shapes: dz [B, O], W [I, O], kept and dx [B, I]. f is the activation of the layer before, and kept what that layer's
// forward pass kept of it (its output, or its input where f' needs that); rows padded to blocks of four with zeros.
// Grid and loops: the schedule, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_backward_input.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dz: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> kept: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

fn row_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

fn depth_blocks() -> u32 {
    return DEPTH_BLOCKS;
}

fn load_a(row: u32, depth: u32) -> mat4x4<f32> {
    let at = 4u * row * DEPTH_BLOCKS + depth;
    return mat4x4<f32>(dz[at], dz[at + DEPTH_BLOCKS], dz[at + 2u * DEPTH_BLOCKS], dz[at + 3u * DEPTH_BLOCKS]);
}

// Block (depth, column) of Wᵀ is block (column, depth) of W, transposed. W has a whole block of rows for each block of
// columns here: rows behind I are zero.
fn load_b(depth: u32, column: u32) -> mat4x4<f32> {
    let at = 4u * column * DEPTH_BLOCKS + depth;
    return transpose(mat4x4<f32>(
        weights[at],
        weights[at + DEPTH_BLOCKS],
        weights[at + 2u * DEPTH_BLOCKS],
        weights[at + 3u * DEPTH_BLOCKS],
    ));
}

fn store(row: u32, column: u32, block: mat4x4<f32>) {
    let mask = column_mask(column, INPUTS) > vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        let at = 4u * row + i;
        let index = at * COLUMN_BLOCKS + column;
        let keep = mask & vec4<bool>(at < step.rows);
        dx[index] = select(vec4<f32>(0.0), block[i] * derivative(kept[index]), keep);
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {}
