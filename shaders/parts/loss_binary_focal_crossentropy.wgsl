// Sigmoid and binary focal cross-entropy of one output, from its logit z, with p = 1/(1 + exp(−z)), q = 1 − p, t the target,
// u = t·q + (1 − t)·p, by how much the answer is off, and h the binary cross-entropy:
//   l = a·u^γ·h,  l' = a·u^γ·(p − t + γ·(1 − 2t)·(p·q/u)·h)
//   a = t·α + (1 − t)·(1 − α) with LOSS_BALANCED, else 1
// p and q come from exp(−|z|), so neither is a difference, and nothing overflows.

struct Focus {
    p: f32,
    q: f32,
    u: f32,
    factor: f32,
    crossentropy: f32,
}

fn focus(logit: f32, t: f32) -> Focus {
    let e = exp(-abs(logit));
    let near = 1.0 / (1.0 + e);
    let far = e / (1.0 + e);
    let p = select(near, far, logit < 0.0);
    let q = select(far, near, logit < 0.0);
    // Not 0, of which pow may make anything.
    let u = max(t * q + (1.0 - t) * p, 1e-30);
    let a = select(1.0, t * LOSS_ALPHA + (1.0 - t) * (1.0 - LOSS_ALPHA), LOSS_BALANCED);
    return Focus(p, q, u, a * pow(u, LOSS_GAMMA), max(logit, 0.0) - logit * t + log(1.0 + e));
}

fn element_loss(logit: f32, t: f32) -> f32 {
    let found = focus(logit, t);
    return found.factor * found.crossentropy;
}

fn element_slope(logit: f32, t: f32) -> f32 {
    let f = focus(logit, t);
    return f.factor * (f.p - t + LOSS_GAMMA * (1.0 - 2.0 * t) * (f.p * f.q / f.u) * f.crossentropy);
}
