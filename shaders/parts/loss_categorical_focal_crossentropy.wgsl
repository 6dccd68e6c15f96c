// Softmax and categorical focal cross-entropy of one row, from the logits z, with p = softmax(z), t the targets, w the weight,
// q = max(1 − p, 10⁻⁷) and log p = z − m − log Σ_j exp(z[j] − m), m = max z:
//   loss = −w·α·Σ_c t[c]·q[c]^γ·log p[c]
//   ∂/∂z[c] of the mean over B rows = w/B·(g[c] − p[c]·Σ_j g[j])
//   g[c] = p[c]·∂loss/∂p[c] = −α·t[c]·q[c]^γ·(1 − γ·p[c]/q[c]·log p[c])
// Finite for logits of any finite size. The operation gives output_at(row, column). src/kernels/parts/loss.rs has the same in
// plain loops.

struct RowLoss {
    loss: f32,
    largest: f32,
    exponentials: f32,
    pulls: f32,
}

// One class's loss, and g.
fn class_loss(shifted: f32, exponentials: f32, t: f32) -> vec2<f32> {
    let p = exp(shifted) / exponentials;
    let log_p = shifted - log(exponentials);
    let q = max(1.0 - p, 1e-7);
    let factor = LOSS_ALPHA * t * pow(q, LOSS_GAMMA);
    let found = vec2<f32>(-factor * log_p, -factor * (1.0 - LOSS_GAMMA * p / q * log_p));
    // A target of zero asks nothing, not even of a logit of −∞.
    return select(found, vec2<f32>(0.0), t == 0.0);
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var largest = -3.4e38;
    for (var c = lane; c < columns; c += LANES) {
        largest = max(largest, output_at(row, c));
    }
    largest = lanes_max(local, largest);
    var exponentials = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        exponentials += exp(output_at(row, c) - largest);
    }
    exponentials = lanes_sum(local, exponentials);
    var sums = vec2<f32>(0.0);
    for (var c = lane; c < columns; c += LANES) {
        sums += class_loss(output_at(row, c) - largest, exponentials, target_at(row, c));
    }
    let loss = sample_weight(row) * lanes_sum(local, sums.x);
    return RowLoss(loss, largest, exponentials, lanes_sum(local, sums.y));
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    let shifted = output_at(row, column) - found.largest;
    let p = exp(shifted) / found.exponentials;
    let pull = class_loss(shifted, found.exponentials, target_at(row, column)).y;
    return sample_weight(row) / f32(step.rows) * (pull - p * found.pulls);
}
