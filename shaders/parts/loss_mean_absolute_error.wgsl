// The absolute error of one output y, with t the target:
//   l = |y − t|,  l' = the sign of y − t, 0 where there is none

fn element_loss(y: f32, t: f32) -> f32 {
    return abs(y - t);
}

fn element_slope(y: f32, t: f32) -> f32 {
    let difference = y - t;
    // Zero stays zero, and a NaN one.
    return select(difference, select(-1.0, 1.0, difference > 0.0), abs(difference) > 0.0);
}
