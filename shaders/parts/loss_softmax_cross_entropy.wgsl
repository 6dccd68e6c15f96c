// Softmax and categorical cross-entropy of one row, from the logits z, with p = softmax(z), t the targets, w the weight:
//   loss = w·(Σ_c t[c]·log Σ_j exp(z[j] − m) − Σ_c t[c]·(z[c] − m)),  m = max z
//   ∂/∂z[c] of the mean over B rows = w/B·(p[c]·Σ_j t[j] − t[c])
// Nothing overflows for logits of any finite size: m is taken off before exp. The operation gives output_at(row, column).
// src/kernels/parts/loss.rs has the same in plain loops.

struct RowLoss {
    loss: f32,
    largest: f32,
    exponentials: f32,
    targets: f32,
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var largest = -3.4e38;
    for (var c = lane; c < columns; c += LANES) {
        largest = max(largest, output_at(row, c));
    }
    largest = lanes_max(local, largest);
    var exponentials = 0.0;
    var targets = 0.0;
    var agreement = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        let shifted = output_at(row, c) - largest;
        let t = target_at(row, c);
        exponentials += exp(shifted);
        targets += t;
        // A target of zero asks nothing, not even of a logit of −∞.
        agreement += select(t * shifted, 0.0, t == 0.0);
    }
    exponentials = lanes_sum(local, exponentials);
    targets = lanes_sum(local, targets);
    agreement = lanes_sum(local, agreement);
    return RowLoss(sample_weight(row) * (targets * log(exponentials) - agreement), largest, exponentials, targets);
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    let p = exp(output_at(row, column) - found.largest) / found.exponentials;
    return sample_weight(row) / f32(step.rows) * (p * found.targets - target_at(row, column));
}
