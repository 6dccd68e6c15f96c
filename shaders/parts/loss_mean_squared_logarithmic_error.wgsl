// The squared difference of logarithms of one output y and its target t, both counting as ε = 10⁻⁷ at least:
//   l = d²,  l' = 2·d/(1 + y), 0 for y below ε,  d = log(1 + y) − log(1 + t)

fn at_least_epsilon(y: f32) -> f32 {
    // Written so that a NaN stays one.
    return select(y, 1e-7, y < 1e-7);
}

fn element_loss(y: f32, t: f32) -> f32 {
    let difference = log(1.0 + at_least_epsilon(y)) - log(1.0 + at_least_epsilon(t));
    return difference * difference;
}

fn element_slope(y: f32, t: f32) -> f32 {
    let difference = log(1.0 + at_least_epsilon(y)) - log(1.0 + at_least_epsilon(t));
    return select(2.0 * difference / (1.0 + y), 0.0, y < 1e-7);
}
