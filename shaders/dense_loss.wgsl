// dense_loss: the last layer, its loss and the gradients of its outputs and inputs, row by row
//   z = x·W + b;  rows and gradient from z: parts/loss_*.wgsl;  dx = (gradient·Wᵀ) ⊙ f'(x)
//
// For few outputs: z goes nowhere, and nothing waits for other rows. Known as fused linear cross-entropy where that is the
// loss.
// Shapes: x and dx [B, I], W [I, C] and b [C] one after the other in `weights`, gradient [B, C], all padded to blocks of four
// with zeros; labels as in parts/targets.wgsl; rows [B] of (loss, correct). x is what the layer before kept for f', the
// derivative of its activation. I = 4·DEPTH_BLOCKS.
// Grid: a workgroup makes LINES·ROWS rows. Its invocations are LINES × SPLITS: those of a line have ROWS rows and share the
// sums over I, each taking every SPLITS-th block of four; the parts are added in a tree. On the way down each has the same
// blocks of W again.
// Reference: src/kernels/dense_loss.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<x_vec4>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<gradient_vec4>;
@group(0) @binding(5) var<storage, read_write> rows: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> dx: array<dx_vec4>; // only with INPUT_GRADIENT

// Blocks of a line's outputs, and rows of a workgroup.
const BLOCKS = ROWS * COLUMN_BLOCKS;
const ALL_ROWS = LINES * ROWS;

var<workgroup> partial: array<vec4<f32>, max(1u, SPLITS / 2u * LINES * BLOCKS)>;
var<workgroup> z: array<vec4<f32>, ALL_ROWS * COLUMN_BLOCKS>;
var<workgroup> slopes: array<vec4<f32>, ALL_ROWS * COLUMN_BLOCKS>;

fn output_at(row: u32, column: u32) -> f32 {
    return z[row % ALL_ROWS * COLUMN_BLOCKS + column / 4u][column % 4u];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group_first = linear_group(group, groups) * ALL_ROWS;
    let line = local % LINES;
    let part = local / LINES;
    let first = group_first + line * ROWS;
    // Rows behind the last block of the batch are another batch's.
    let end = 4u * row_blocks_of(step.rows);

    var sums: array<vec4<f32>, BLOCKS>;
    for (var k = part; k < DEPTH_BLOCKS; k += SPLITS) {
        var a: array<vec4<f32>, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            a[r] = vec4<f32>(x[(first + r) * DEPTH_BLOCKS + k]);
        }
        for (var c = 0u; c < COLUMN_BLOCKS; c++) {
            let at = 4u * k * COLUMN_BLOCKS + c;
            let w_0 = weights[at];
            let w_1 = weights[at + COLUMN_BLOCKS];
            let w_2 = weights[at + 2u * COLUMN_BLOCKS];
            let w_3 = weights[at + 3u * COLUMN_BLOCKS];
            for (var r = 0u; r < ROWS; r++) {
                let i = r * COLUMN_BLOCKS + c;
                let sum = fma(vec4<f32>(a[r].y), w_1, fma(vec4<f32>(a[r].x), w_0, sums[i]));
                sums[i] = fma(vec4<f32>(a[r].w), w_3, fma(vec4<f32>(a[r].z), w_2, sum));
            }
        }
    }
    for (var half = SPLITS / 2u; half > 0u; half /= 2u) {
        let stride = half * LINES;
        let place = part % half * LINES + line;
        if part >= half && part < 2u * half {
            for (var i = 0u; i < BLOCKS; i++) {
                partial[i * stride + place] = sums[i];
            }
        }
        workgroupBarrier(); // the upper half's sums stand before the lower half adds them
        if part < half {
            for (var i = 0u; i < BLOCKS; i++) {
                sums[i] += partial[i * stride + place];
            }
        }
        workgroupBarrier(); // they are read before the next ones take their place
    }
    if part == 0u {
        for (var i = 0u; i < BLOCKS; i++) {
            var bias = vec4<f32>(0.0);
            if HAS_BIAS {
                bias = weights[BIAS_OFFSET + i % COLUMN_BLOCKS];
            }
            z[line * BLOCKS + i] = sums[i] + bias;
        }
    }
    workgroupBarrier(); // the outputs stand before rows are looked at

    // One invocation has a row to itself. Those that share its outputs' gradients find the same of it.
    let own = local % ALL_ROWS;
    let row = group_first + own;
    let columns = select(0u, COLUMNS, row < step.rows);
    let found = row_loss(local, 0u, row, columns);
    let correct = right_answer(local, 0u, row, columns);
    if local < ALL_ROWS && row < step.rows {
        rows[row] = vec2<f32>(found.loss, select(0.0, 1.0, correct));
    }
    if !GRADIENT {
        return;
    }
    let scale = gradient_scale();
    for (var c = local / ALL_ROWS; c < COLUMN_BLOCKS; c += max(1u, SPLITS / ROWS)) {
        var slope = vec4<f32>(0.0);
        for (var i = 0u; i < 4u; i++) {
            if 4u * c + i < columns {
                slope[i] = scale * output_gradient(row, 4u * c + i, found);
            }
        }
        slopes[own * COLUMN_BLOCKS + c] = slope;
        if row < end {
            gradient[row * COLUMN_BLOCKS + c] = gradient_vec4(stored_gradient(slope));
        }
    }
    if !INPUT_GRADIENT {
        return;
    }
    workgroupBarrier(); // all slopes stand before they go down
    for (var i = 0u; i < BLOCKS; i++) {
        sums[i] = slopes[line * BLOCKS + i];
    }
    for (var k = part; k < DEPTH_BLOCKS; k += SPLITS) {
        var down: array<vec4<f32>, ROWS>;
        for (var c = 0u; c < COLUMN_BLOCKS; c++) {
            let at = 4u * k * COLUMN_BLOCKS + c;
            let lines = mat4x4<f32>(
                weights[at],
                weights[at + COLUMN_BLOCKS],
                weights[at + 2u * COLUMN_BLOCKS],
                weights[at + 3u * COLUMN_BLOCKS],
            );
            for (var r = 0u; r < ROWS; r++) {
                down[r] += sums[r * COLUMN_BLOCKS + c] * lines;
            }
        }
        let mask = column_mask(k, INPUTS) > vec4<f32>(0.0);
        for (var r = 0u; r < ROWS; r++) {
            let at = first + r;
            let index = at * DEPTH_BLOCKS + k;
            // The padding is set, not multiplied away: 0 · NaN would be a NaN.
            let keep = mask & vec4<bool>(at < step.rows);
            let value = select(vec4<f32>(0.0), down[r] * derivative(vec4<f32>(x[index])), keep);
            if at < end {
                dx[index] = dx_vec4(stored_gradient(value));
            }
        }
    }
}
