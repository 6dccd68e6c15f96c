// The labels of a batch: LABEL_WORDS words a row, targets and, last, the sample's weight. Targets are a class id (TARGET_IDS)
// or COLUMNS numbers, with label smoothing as Keras has it: y·(1 − SMOOTHING) + SMOOTHING_SHARE, the share being
// SMOOTHING / classes, or SMOOTHING / 2 for binary cross-entropy. src/kernels/parts/targets.rs has the same in Rust.
fn raw_target(row: u32, column: u32) -> f32 {
    if !TARGET_IDS {
        return bitcast<f32>(labels[row * LABEL_WORDS + column]);
    }
    let id = labels[row * LABEL_WORDS];
    if COLUMNS == 1u {
        return f32(id);
    }
    return select(0.0, 1.0, id == column);
}

fn target_at(row: u32, column: u32) -> f32 {
    return raw_target(row, column) * (1.0 - SMOOTHING) + SMOOTHING_SHARE;
}

fn sample_weight(row: u32) -> f32 {
    return bitcast<f32>(labels[row * LABEL_WORDS + LABEL_WORDS - 1u]);
}

// The class that a row is answered with, and the one that is wanted: where its first largest output stands, and its first
// largest target; COLUMNS where with a NaN no output is the largest. With one output and HAS_THRESHOLD: whether the output is
// above THRESHOLD, and the target above one half.
struct Answer {
    predicted: u32,
    wanted: u32,
}

// The operation gives output_at(row, column). All invocations of a workgroup call it together; `columns` is 0 for a row that
// does not exist.
fn answer_of(local: u32, lane: u32, row: u32, columns: u32) -> Answer {
    var largest = -3.4e38;
    var largest_target = -3.4e38;
    for (var c = lane; c < columns; c += LANES) {
        largest = max(largest, output_at(row, c));
        largest_target = max(largest_target, raw_target(row, c));
    }
    largest = lanes_max(local, largest);
    largest_target = lanes_max(local, largest_target);
    if COLUMNS == 1u && HAS_THRESHOLD {
        return Answer(u32(largest > THRESHOLD), u32(largest_target > 0.5));
    }
    var predicted = COLUMNS;
    var wanted = COLUMNS;
    for (var c = lane; c < columns; c += LANES) {
        predicted = min(predicted, select(COLUMNS, c, output_at(row, c) == largest));
        wanted = min(wanted, select(COLUMNS, c, raw_target(row, c) == largest_target));
    }
    return Answer(lanes_min_index(local, predicted), lanes_min_index(local, wanted));
}

// Whether a row is answered rightly; called as `answer_of` is.
fn right_answer(local: u32, lane: u32, row: u32, columns: u32) -> bool {
    let answer = answer_of(local, lane, row, columns);
    return answer.predicted == answer.wanted && answer.predicted < max(COLUMNS, 2u);
}
