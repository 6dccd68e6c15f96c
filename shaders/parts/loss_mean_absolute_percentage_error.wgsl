// The absolute error of one output y in per cent of its target t:
//   l = 100·|y − t|/s,  l' = 100/s times the sign of y − t, 0 where there is none,  s = max(|t|, 10⁻⁷)

fn element_loss(y: f32, t: f32) -> f32 {
    return 100.0 * abs(y - t) / max(abs(t), 1e-7);
}

fn element_slope(y: f32, t: f32) -> f32 {
    let difference = y - t;
    let steepness = 100.0 / max(abs(t), 1e-7);
    // Zero stays zero, and a NaN one.
    return select(difference, select(-steepness, steepness, difference > 0.0), abs(difference) > 0.0);
}
