// Sigmoid and binary cross-entropy of one row, from the logits z, with p = 1/(1 + exp(−z)), t the targets, w the weight:
//   loss = w/C·Σ_c (max(z, 0) − z·t + log(1 + exp(−|z|)))
//   ∂/∂z[c] of the mean over B rows = w/(B·C)·(p[c] − t[c])
// exp of a large positive number is taken nowhere but under a division, so nothing overflows into a NaN. The operation gives
// output_at(row, column). src/kernels/parts/loss.rs has the same in plain loops.

const HAS_THRESHOLD = true;
const THRESHOLD = 0.0;

struct RowLoss {
    loss: f32,
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var loss = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        let logit = output_at(row, c);
        loss += max(logit, 0.0) - logit * target_at(row, c) + log(1.0 + exp(-abs(logit)));
    }
    return RowLoss(sample_weight(row) * lanes_sum(local, loss) / f32(COLUMNS));
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    let p = 1.0 / (1.0 + exp(-output_at(row, column)));
    return sample_weight(row) / f32(COLUMNS * step.rows) * (p - target_at(row, column));
}
