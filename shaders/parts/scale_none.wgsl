// Gradients of activations in single precision: there is no loss scale. Its other forms are scale_*.wgsl.

fn gradient_scale() -> f32 {
    return 1.0;
}

fn stored_gradient(gradient: vec4<f32>) -> vec4<f32> {
    return gradient;
}

fn true_gradient(gradient: vec4<f32>) -> vec4<f32> {
    return gradient;
}

fn adapt_scale() {}
