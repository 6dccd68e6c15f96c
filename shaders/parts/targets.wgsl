// The targets of a batch: class ids (TARGET_IDS) or rows of TARGET_WIDTH numbers, with label smoothing as Keras has it:
// y·(1 − SMOOTHING) + SMOOTHING_SHARE, the share being SMOOTHING / classes, or SMOOTHING / 2 for binary cross-entropy.
fn raw_target(row: u32, column: u32) -> f32 {
    if !TARGET_IDS {
        return bitcast<f32>(targets[row * TARGET_WIDTH + column]);
    }
    let id = targets[row];
    if COLUMNS == 1u {
        return f32(id);
    }
    return select(0.0, 1.0, id == column);
}

fn target_at(row: u32, column: u32) -> f32 {
    return raw_target(row, column) * (1.0 - SMOOTHING) + SMOOTHING_SHARE;
}
