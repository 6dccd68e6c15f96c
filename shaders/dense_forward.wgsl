// dense_forward: y = f(x·W + b)
//
// Shapes: x [B, I], W [I, O] and b [O] one after the other in `weights`, y [B, O]; all rows padded to blocks of four
// with zeros. B is at run time, I = 4·DEPTH_BLOCKS and O = OUTPUTS are constants.
// Grid and loops: the schedule, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_forward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

fn row_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

fn depth_blocks() -> u32 {
    return DEPTH_BLOCKS;
}

fn load_a(row: u32, depth: u32) -> mat4x4<f32> {
    let at = 4u * row * DEPTH_BLOCKS + depth;
    return mat4x4<f32>(x[at], x[at + DEPTH_BLOCKS], x[at + 2u * DEPTH_BLOCKS], x[at + 3u * DEPTH_BLOCKS]);
}

fn load_b(depth: u32, column: u32) -> mat4x4<f32> {
    let at = 4u * depth * COLUMN_BLOCKS + column;
    return mat4x4<f32>(
        weights[at],
        weights[at + COLUMN_BLOCKS],
        weights[at + 2u * COLUMN_BLOCKS],
        weights[at + 3u * COLUMN_BLOCKS],
    );
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
        y[at * COLUMN_BLOCKS + column] = select(vec4<f32>(0.0), activate(block[i] + bias), keep);
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {}
