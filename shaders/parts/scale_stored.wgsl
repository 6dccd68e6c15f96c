// Gradients of activations in half precision, for the operations that make them: scaled by the loss, and marked if they
// are out of range. Those that make gradients of parameters too take the scale off these. The block's words are scale, 1 / scale, steps since it changed, 1 if this step is saturated.
// src/kernels/parts/scale.rs has the same in Rust.

@group(0) @binding(LOSS_SCALE) var<storage, read_write> loss_scale: array<atomic<u32>, 4>;

fn gradient_scale() -> f32 {
    return bitcast<f32>(atomicLoad(&loss_scale[0]));
}

fn stored_gradient(gradient: vec4<f32>) -> vec4<f32> {
    if any(abs(gradient) > vec4<f32>(LARGEST_HALF)) {
        atomicStore(&loss_scale[3], 1u);
    }
    return within(gradient, true);
}

fn true_gradient(gradient: vec4<f32>) -> vec4<f32> {
    return gradient * bitcast<f32>(atomicLoad(&loss_scale[1]));
}
