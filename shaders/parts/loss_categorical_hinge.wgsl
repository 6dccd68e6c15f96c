// The categorical hinge loss of one row of outputs y, with t the targets, w the weight:
//   loss = w·max(m, 0),  m = n − Σ_c t[c]·y[c] + 1,  n = max_c (1 − t[c])·y[c]
//   ∂/∂y[c] of the mean over B rows, where m > 0 = w/B·((1 − t[c])/N where (1 − t[c])·y[c] = n, N of them − t[c])
// The operation gives output_at(row, column). src/kernels/parts/loss.rs has the same in plain loops.

struct RowLoss {
    loss: f32,
    margin: f32,
    rival: f32,
    rivals: f32,
}

fn against(row: u32, column: u32) -> f32 {
    return (1.0 - target_at(row, column)) * output_at(row, column);
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var rival = -3.4e38;
    var agreement = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        rival = max(rival, against(row, c));
        agreement += target_at(row, c) * output_at(row, c);
    }
    rival = lanes_max(local, rival);
    agreement = lanes_sum(local, agreement);
    var rivals = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        rivals += select(0.0, 1.0, against(row, c) == rival);
    }
    rivals = lanes_sum(local, rivals);
    let margin = rival - agreement + 1.0;
    // Written so that a NaN stays one.
    return RowLoss(sample_weight(row) * select(margin, 0.0, margin < 0.0), margin, rival, rivals);
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    let t = target_at(row, column);
    let pull = select(0.0, (1.0 - t) / found.rivals, against(row, column) == found.rival) - t;
    return sample_weight(row) / f32(step.rows) * select(0.0, pull, found.margin > 0.0);
}
