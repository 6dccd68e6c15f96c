// Huber's loss of one output y, with t the target and d = y − t:
//   l = d²/2 where |d| ≤ δ, else δ·(|d| − δ/2);  l' = d between −δ and δ

fn element_loss(y: f32, t: f32) -> f32 {
    let size = abs(y - t);
    return select(LOSS_DELTA * (size - 0.5 * LOSS_DELTA), 0.5 * size * size, size <= LOSS_DELTA);
}

fn element_slope(y: f32, t: f32) -> f32 {
    let difference = y - t;
    // Written so that a NaN stays one.
    return select(difference, select(-LOSS_DELTA, LOSS_DELTA, difference > 0.0), abs(difference) > LOSS_DELTA);
}
