// The hinge loss of one output y, with s the target's sign, −1 or 1, a target of 0 counting as −1:
//   l = max(1 − s·y, 0),  l' = −s where that is above 0

fn margin(y: f32, t: f32) -> f32 {
    return 1.0 - select(t, -1.0, t == 0.0) * y;
}

fn element_loss(y: f32, t: f32) -> f32 {
    // Written so that a NaN stays one.
    return select(margin(y, t), 0.0, margin(y, t) < 0.0);
}

fn element_slope(y: f32, t: f32) -> f32 {
    return select(-select(t, -1.0, t == 0.0), 0.0, margin(y, t) <= 0.0);
}
