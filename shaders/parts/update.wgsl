// What the optimizers' updates share: the way from an element of the parameter buffer to its tensor's settings, and the
// gradient as the optimizer sees it. `tensors` has one vec4 a tensor: (L2 coefficient, weight decay, 1 if it is trained,
// the factor that clipping by norm found). `tensor_of` names the tensor of each run of 16 blocks of four (64 numbers),
// on which every tensor starts.
//
// As in Keras the L2 term is part of the gradient, so it is clipped too; clipping by value comes next; weight decay is
// taken off the parameter itself, before the update.

fn gradient_of(index: u32, tensor: vec4<f32>) -> vec4<f32> {
    let gradient = (gradients[index] + 2.0 * tensor.x * parameters[index]) * tensor.w;
    if CLIP_VALUE > 0.0 {
        // Not clamp(), which may make a number of a NaN: here a NaN is not beyond the limit, and stays one.
        let limit = vec4<f32>(CLIP_VALUE);
        return select(gradient, sign(gradient) * limit, abs(gradient) > limit);
    }
    return gradient;
}

fn decayed(index: u32, tensor: vec4<f32>) -> vec4<f32> {
    return parameters[index] - parameters[index] * tensor.y * step.learning_rate;
}
