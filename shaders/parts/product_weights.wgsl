// The factors of a weight gradient dW = xᵀ·dz, and the gradient's own padding. The operation declares x [B, I] and
// dz [B, O], whose rows are padded to ROW_BLOCKS and COLUMN_BLOCKS blocks of four with zeros. The sum runs over the batch
// in its order; the rows that fill its last block are zero in x and dz.

alias a_vec4 = x_vec4;
alias b_vec4 = dz_vec4;

const A_TRANSPOSED = true;
const B_TRANSPOSED = false;

fn row_blocks() -> u32 {
    return ROW_BLOCKS;
}

fn depth_blocks() -> u32 {
    return row_blocks_of(step.rows);
}

// Block (row, depth) of xᵀ is block (depth, row) of x, transposed.
fn a_line(row: u32, depth: u32, i: u32) -> a_vec4 {
    return x[(4u * depth + i) * ROW_BLOCKS + row];
}

fn b_line(depth: u32, column: u32, i: u32) -> b_vec4 {
    return dz[(4u * depth + i) * COLUMN_BLOCKS + column];
}

// Line `at` of dW in block `column`, its padding set, though x and dz are zero there: 0 · NaN would be a NaN, and padding
// that once is a NaN stays one.
fn gradient_line(at: u32, column: u32, line: vec4<f32>) -> vec4<f32> {
    let mask = column_mask(column, OUTPUTS) > vec4<f32>(0.0);
    return select(vec4<f32>(0.0), true_gradient(line), mask & vec4<bool>(at < INPUTS));
}
