// How gradients of parameters are kept: alone, or with ACCUMULATE as the sum over the batches of an update so far, and with
// the last of them as their mean. The operation declares `gradients`. The mirror is src/kernels/parts/gradients.rs.

fn keep_gradient(index: u32, gradient: vec4<f32>) {
    var kept = gradient;
    if ACCUMULATE {
        if step.micro > 0u {
            kept += gradients[index];
        }
        if step.micro + 1u >= step.accumulate {
            kept /= vec4<f32>(f32(max(step.accumulate, 1u)));
        }
    }
    gradients[index] = kept;
}
