// The squared error of one output y, with t the target:
//   l = (y − t)²,  l' = 2·(y − t)

fn element_loss(y: f32, t: f32) -> f32 {
    let difference = y - t;
    return difference * difference;
}

fn element_slope(y: f32, t: f32) -> f32 {
    return 2.0 * (y - t);
}
