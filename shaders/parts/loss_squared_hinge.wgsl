// The squared hinge loss of one output y, with s the target's sign, −1 or 1, a target of 0 counting as −1:
//   l = m²,  l' = −2·s·m,  m = max(1 − s·y, 0)

fn margin(y: f32, t: f32) -> f32 {
    let m = 1.0 - select(t, -1.0, t == 0.0) * y;
    // Written so that a NaN stays one.
    return select(m, 0.0, m < 0.0);
}

fn element_loss(y: f32, t: f32) -> f32 {
    return margin(y, t) * margin(y, t);
}

fn element_slope(y: f32, t: f32) -> f32 {
    return -2.0 * select(t, -1.0, t == 0.0) * margin(y, t);
}
