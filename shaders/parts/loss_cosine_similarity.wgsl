// The cosine similarity of one row of outputs y, made negative, with t the targets, w the weight, |·| the root of the sum of
// squares, and ε = 10⁻⁷:
//   loss = −w·s,  s = Σ_c ŷ[c]·t̂[c],  ŷ = y/max(|y|, ε),  t̂ = t/max(|t|, ε)
//   ∂/∂y[c] of the mean over B rows = w/B·(ŷ[c]·s − t̂[c])/|y|; where |y| < ε: −w/B·t̂[c]/ε
// Squares are of numbers divided by the largest of them, so that none overflows. The operation gives output_at(row, column).
// src/kernels/parts/loss.rs has the same in plain loops.

const LEAST_NORM = 1e-7;

struct RowLoss {
    loss: f32,
    similarity: f32,
    output_norm: f32,
    target_norm: f32,
}

// All invocations of a workgroup call it together; `columns` is 0 for a row that does not exist.
fn row_loss(local: u32, lane: u32, row: u32, columns: u32) -> RowLoss {
    var largest = vec2<f32>(0.0);
    for (var c = lane; c < columns; c += LANES) {
        largest = max(largest, abs(vec2<f32>(output_at(row, c), target_at(row, c))));
    }
    largest = vec2<f32>(lanes_max(local, largest.x), lanes_max(local, largest.y));
    let unit = select(largest, vec2<f32>(1.0), largest == vec2<f32>(0.0));
    var squares = vec2<f32>(0.0);
    for (var c = lane; c < columns; c += LANES) {
        let scaled = vec2<f32>(output_at(row, c), target_at(row, c)) / unit;
        squares += scaled * scaled;
    }
    squares = vec2<f32>(lanes_sum(local, squares.x), lanes_sum(local, squares.y));
    // Written so that a NaN stays one.
    let norms = select(unit * sqrt(squares), vec2<f32>(LEAST_NORM), unit * sqrt(squares) < vec2<f32>(LEAST_NORM));
    var similarity = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        similarity += output_at(row, c) / norms.x * (target_at(row, c) / norms.y);
    }
    similarity = lanes_sum(local, similarity);
    return RowLoss(-sample_weight(row) * similarity, similarity, norms.x, norms.y);
}

fn output_gradient(row: u32, column: u32, found: RowLoss) -> f32 {
    let along = output_at(row, column) / found.output_norm * found.similarity;
    // A norm that counts as more than it is does not change with the outputs.
    let turned = select(along, 0.0, found.output_norm <= LEAST_NORM) - target_at(row, column) / found.target_norm;
    return sample_weight(row) / f32(step.rows) * (turned / found.output_norm);
}
