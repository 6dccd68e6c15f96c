// The mean squared error of one row of outputs y, with t the targets, w the weight:
//   loss = w/C·Σ_c (y[c] − t[c])²
//   ∂/∂y[c] of the mean over B rows = 2·w/(B·C)·(y[c] − t[c])
// The operation gives output_at(row, column). src/kernels/parts/loss.rs has the same in plain loops.

const HAS_THRESHOLD = true;
const THRESHOLD = 0.5;

struct RowLoss {
    loss: f32,
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var squares = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        let difference = output_at(row, c) - target_at(row, c);
        squares += difference * difference;
    }
    return RowLoss(sample_weight(row) * lanes_sum(local, squares) / f32(COLUMNS));
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    return 2.0 * sample_weight(row) / f32(COLUMNS * step.rows) * (output_at(row, column) - target_at(row, column));
}
