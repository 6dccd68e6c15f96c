// Sigmoid and binary cross-entropy of one output, from its logit z, with p = 1/(1 + exp(−z)) and t the target:
//   l = max(z, 0) − z·t + log(1 + exp(−|z|)),  l' = p − t
// exp of a large positive number is taken nowhere but under a division, so nothing overflows into a NaN.

fn element_loss(logit: f32, t: f32) -> f32 {
    return max(logit, 0.0) - logit * t + log(1.0 + exp(-abs(logit)));
}

fn element_slope(logit: f32, t: f32) -> f32 {
    return 1.0 / (1.0 + exp(-logit)) - t;
}
