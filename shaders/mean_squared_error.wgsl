// mean_squared_error: with t the target row and C outputs
//   loss[r] = w[r]/C·Σ_c (y[r, c] − t[r, c])²
//   dy[r, c] = 2·w[r]/(B·C)·(y[r, c] − t[r, c])
//   correct[r] = 1 if the first largest output stands where the first largest target does; with one output, if both lie
//   on the same side of one half
//
// Shapes: y, dy [B, C], rows padded to 4·COLUMN_BLOCKS numbers with zeros; targets [B] ids or [B, C] rows; weights [B];
// rows [B] of (loss, correct).
// Grid: LANES invocations a row. Reference: src/kernels/mean_squared_error.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<dy_number>;
@group(0) @binding(5) var<storage, read_write> rows: array<vec2<f32>>;

const HAS_THRESHOLD = true;
const THRESHOLD = 0.5;

fn output_at(row: u32, column: u32) -> f32 {
    return y[row * 4u * COLUMN_BLOCKS + column];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (linear_group(group, groups) * WORKGROUP + local) / LANES;
    let lane = local % LANES;
    let start = row * 4u * COLUMN_BLOCKS;
    // No early return: all invocations of a workgroup meet at the barriers. A row that does not exist has no columns.
    let columns = select(0u, COLUMNS, row < step.rows);
    var squares = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        let difference = y[start + c] - target_at(row, c);
        squares += difference * difference;
    }
    squares = lanes_sum(local, squares);
    let correct = right_answer(local, lane, row, columns);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    if row < step.rows && lane == 0u {
        rows[row] = vec2<f32>(weights[row] * squares / f32(COLUMNS), select(0.0, 1.0, correct));
    }
    if !GRADIENT {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        var gradient = 0.0;
        if c < columns {
            gradient = 2.0 * weights[row] / f32(COLUMNS * step.rows) * (y[start + c] - target_at(row, c));
        }
        dy[start + c] = dy_number(stored_gradient(vec4<f32>(gradient_scale() * gradient)).x);
    }
}
