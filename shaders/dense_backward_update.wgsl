// dense_backward_update: dW = xᵀ·dz, db = Σ over the batch of dz, and the optimizer's update of W and b with them
//
// The gradients stay in registers and are written nowhere.
// Shapes: x [B, I], dz [B, O], W [I, O] and b [O] one after the other in `parameters`, the slots like these; rows padded to
// blocks of four with zeros. The factors as blocks: parts/product_weights.wgsl. The rule: parts/update.wgsl.
// Grid and loops: the tiling, shaders/parts/product_*.wgsl. Reference: src/kernels/dense_backward_update.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> dz: array<dz_vec4>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4<f32>>;

const KERNEL_SETTINGS = Tensor(KERNEL_L2, KERNEL_DECAY, 1.0, 1.0, KERNEL_L1, KERNEL_RATE, 0.0, 0.0);
const BIAS_SETTINGS = Tensor(BIAS_L2, BIAS_DECAY, 1.0, 1.0, BIAS_L1, BIAS_RATE, 0.0, 0.0);

fn store(row: u32, column: u32, block: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        let at = 4u * row + i;
        change(at * COLUMN_BLOCKS + column, gradient_line(at, column, block[i]), KERNEL_SETTINGS);
    }
}

fn store_sums(column: u32, sums: vec4<f32>) {
    change(BIAS_OFFSET + column, true_gradient(sums), BIAS_SETTINGS);
}

fn change(index: u32, gradient: vec4<f32>, tensor: Tensor) {
    let w = parameters[index];
    update(index, gradient_seen(gradient, w, tensor), decayed(w, tensor), rate_of(tensor));
}
