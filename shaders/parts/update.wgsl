// What the optimizers' updates share: the gradient and the parameter as a rule sees them. A rule is a part of its own
// (sgd.wgsl, adam.wgsl and so on): it declares its slots, which follow the operation's other bindings from FIRST_SLOT on,
// and gives update(index, g, w, rate), which writes block `index` of `parameters` and of its slots.
//
// A tensor's settings: parts/tensors.wgsl. As in Keras the penalty is part of the gradient, so it is clipped too; clipping
// by value comes next; weight decay is taken off the parameter itself, before the update.

fn gradient_seen(gradient: vec4<f32>, w: vec4<f32>, tensor: Tensor) -> vec4<f32> {
    let seen = (gradient + penalty_slope(w, tensor)) * tensor.factor;
    if CLIP_VALUE > 0.0 {
        // Not clamp(), which may make a number of a NaN: here a NaN is not beyond the limit, and stays one.
        let limit = vec4<f32>(CLIP_VALUE);
        return select(seen, sign(seen) * limit, abs(seen) > limit);
    }
    return seen;
}

// The tensor's own learning rate.
fn rate_of(tensor: Tensor) -> f32 {
    return step.learning_rate * tensor.rate_factor;
}

fn decayed(w: vec4<f32>, tensor: Tensor) -> vec4<f32> {
    return w - w * tensor.weight_decay * rate_of(tensor);
}
