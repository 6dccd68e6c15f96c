// Poisson's loss of one output y, the count to be expected, with t the target and ε = 10⁻⁷:
//   l = y − t·log(y + ε),  l' = 1 − t/(y + ε)

fn element_loss(y: f32, t: f32) -> f32 {
    return y - t * log(y + 1e-7);
}

fn element_slope(y: f32, t: f32) -> f32 {
    return 1.0 - t / (y + 1e-7);
}
