// A loss of the user's: Found, custom_loss(row) and custom_slope(row, column, found) come with it and know one row alone.
//   loss = w·l;  ∂/∂y[c] of the mean over B rows = w/B·∂l/∂y[c], with w the weight
// Every invocation of a row computes the same. The operation gives output_at(row, column).
// src/kernels/parts/loss/custom.rs has the same in Rust.

// Says that not every line of this shader is the engine's, so that nothing is left unchecked.
const HAS_FOREIGN_TEXT = true;

struct RowLoss {
    loss: f32,
    own: Found,
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var own: Found;
    if columns > 0u {
        own = custom_loss(row);
    }
    return RowLoss(sample_weight(row) * own.loss, own);
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    return sample_weight(row) / f32(step.rows) * custom_slope(row, column, found.own);
}
