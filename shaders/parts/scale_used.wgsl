// Gradients of activations in half precision, for the operations that make gradients of parameters from them: the scale is
// taken off again. It is a power of two, so nothing is rounded. The block's words: scale_stored.wgsl.

@group(0) @binding(LOSS_SCALE) var<storage, read> loss_scale: array<u32, 4>;

fn true_gradient(gradient: vec4<f32>) -> vec4<f32> {
    return gradient * bitcast<f32>(loss_scale[1]);
}
