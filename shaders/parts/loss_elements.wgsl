// A loss that is a sum over a row's outputs y of a function l of output and target t, with w the weight:
//   loss = w/SHARERS·Σ_c l(y[c], t[c])
//   ∂/∂y[c] of the mean over B rows = w/(B·SHARERS)·l'(y[c], t[c])
// SHARERS is the number of outputs, for a mean, or 1. The formula gives element_loss(y, t) and element_slope(y, t), the operation
// output_at(row, column). src/kernels/parts/loss.rs has the same in plain loops.

struct RowLoss {
    loss: f32,
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var sum = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        sum += element_loss(output_at(row, c), target_at(row, c));
    }
    return RowLoss(sample_weight(row) * lanes_sum(local, sum) / f32(SHARERS));
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    let share = sample_weight(row) / f32(SHARERS * step.rows);
    return share * element_slope(output_at(row, column), target_at(row, column));
}
