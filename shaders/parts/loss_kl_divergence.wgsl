// Kullback and Leibler's divergence, what one output y adds, with t the target, both between ε = 10⁻⁷ and 1:
//   l = t·log(t/y),  l' = −t/y, 0 for y beyond these

fn within_one(y: f32) -> f32 {
    // Written so that a NaN stays one.
    return select(select(y, 1e-7, y < 1e-7), 1.0, y > 1.0);
}

fn element_loss(y: f32, t: f32) -> f32 {
    let wanted = within_one(t);
    return wanted * log(wanted / within_one(y));
}

fn element_slope(y: f32, t: f32) -> f32 {
    return select(-within_one(t) / y, 0.0, y < 1e-7 || y > 1.0);
}
