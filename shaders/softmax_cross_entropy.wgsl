// softmax_cross_entropy: from the logits z, with p = softmax(z) and t the target row
//   loss[r] = w[r]·(Σ_c t[r, c]·log Σ_j exp(z[r, j] − m) − Σ_c t[r, c]·(z[r, c] − m)),  m = max z[r]
//   dz[r, c] = w[r]/B·(p[r, c]·Σ_j t[r, j] − t[r, c])
//   correct[r] = 1 if the first largest logit stands where the first largest target does
//
// Shapes: z, dz [B, C], rows padded to 4·COLUMN_BLOCKS numbers with zeros; targets [B] ids or [B, C] rows; weights [B];
// rows [B] of (loss, correct). Nothing overflows for logits of any finite size: m is taken off before exp.
// Grid: LANES invocations a row. Reference: src/kernels/softmax_cross_entropy.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<dz_number>;
@group(0) @binding(5) var<storage, read_write> rows: array<vec2<f32>>;

// One class is always the right one.
const HAS_THRESHOLD = false;
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
    var largest = -3.4e38;
    for (var c = lane; c < columns; c += LANES) {
        largest = max(largest, z[start + c]);
    }
    largest = lanes_max(local, largest);
    var exponentials = 0.0;
    var targets_sum = 0.0;
    var agreement = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        let shifted = z[start + c] - largest;
        let t = target_at(row, c);
        exponentials += exp(shifted);
        targets_sum += t;
        // A target of zero asks nothing, not even of a logit of −∞.
        agreement += select(t * shifted, 0.0, t == 0.0);
    }
    exponentials = lanes_sum(local, exponentials);
    targets_sum = lanes_sum(local, targets_sum);
    agreement = lanes_sum(local, agreement);
    let correct = right_answer(local, lane, row, columns);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    if row < step.rows && lane == 0u {
        let loss = weights[row] * (targets_sum * log(exponentials) - agreement);
        rows[row] = vec2<f32>(loss, select(0.0, 1.0, correct));
    }
    if !GRADIENT {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        var gradient = 0.0;
        if c < columns {
            let p = exp(z[start + c] - largest) / exponentials;
            gradient = weights[row] / f32(step.rows) * (p * targets_sum - target_at(row, c));
        }
        dz[start + c] = dz_number(stored_gradient(vec4<f32>(gradient_scale() * gradient)).x);
    }
}
