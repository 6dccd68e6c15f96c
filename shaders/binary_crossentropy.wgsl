// binary_crossentropy: from the logits z, with p = 1/(1 + exp(−z)), t the target row and C outputs
//   loss[r] = w[r]/C·Σ_c (max(z, 0) − z·t + log(1 + exp(−|z|)))
//   dz[r, c] = w[r]/(B·C)·(p[r, c] − t[r, c])
//   correct[r] = 1 if the first largest logit stands where the first largest target does; with one output, if p and t lie
//   on the same side of one half
//
// Shapes: z, dz [B, C], rows padded to 4·COLUMN_BLOCKS numbers with zeros; targets [B] ids or [B, C] rows; weights [B];
// rows [B] of (loss, correct). exp is never taken of a positive number, so nothing overflows.
// Grid: LANES invocations a row. Reference: src/kernels/binary_crossentropy.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<dz_number>;
@group(0) @binding(5) var<storage, read_write> rows: array<vec2<f32>>;

const HAS_THRESHOLD = true;
const THRESHOLD = 0.0;

fn output_at(row: u32, column: u32) -> f32 {
    return z[row * 4u * COLUMN_BLOCKS + column];
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
    var loss = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        let logit = z[start + c];
        loss += max(logit, 0.0) - logit * target_at(row, c) + log(1.0 + exp(-abs(logit)));
    }
    loss = lanes_sum(local, loss);
    let correct = right_answer(local, lane, row, columns);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    if row < step.rows && lane == 0u {
        rows[row] = vec2<f32>(weights[row] * loss / f32(COLUMNS), select(0.0, 1.0, correct));
    }
    if !GRADIENT {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        var gradient = 0.0;
        if c < columns {
            let p = 1.0 / (1.0 + exp(-z[start + c]));
            gradient = weights[row] / f32(COLUMNS * step.rows) * (p - target_at(row, c));
        }
        dz[start + c] = dz_number(stored_gradient(vec4<f32>(gradient_scale() * gradient)).x);
    }
}
