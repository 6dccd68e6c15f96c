// dense_backward_weights: dW = xᵀ·dz, db = Σ over the batch of dz
//
// Shapes: x [B, I], dz [B, O], dW [I, O] and db [O] one after the other in `gradients`; rows padded to blocks of four
// with zeros. The factors as blocks: parts/product_weights.wgsl; sums over
// several batches: parts/gradients.wgsl.
// Grid and loops: the tiling, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_backward_weights.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> dz: array<dz_vec4>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4<f32>>;

fn store(row: u32, column: u32, block: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        let at = 4u * row + i;
        keep_gradient(at * COLUMN_BLOCKS + column, gradient_line(at, column, block[i]));
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {
    keep_gradient(BIAS_OFFSET + column, true_gradient(sums));
}
