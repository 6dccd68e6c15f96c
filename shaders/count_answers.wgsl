// count_answers: counts what a batch's outputs and targets say, in tables that a pass over the data fills
//   r, for r < RANKS:         samples of which r outputs are larger than that of the right class
//   CLASSES_AT + 3·c:         right answers, answers, and samples of class c
//   MATRIX_AT + CLASSES·c+a:  samples of class c whose answer is a
//   THRESHOLDS_AT + 3·(i·COLUMNS + c):  outputs c above threshold i with targets above ½, outputs above it, targets above ½
//   CURVE_AT + 2·b:           outputs in bucket b of BUCKETS with targets up to ½, and above it
//
// Counts are whole numbers, so the order in which they are added makes no difference.
// Shapes: outputs [B, C], rows padded to 4·COLUMN_BLOCKS numbers; labels as in parts/targets.wgsl; counts as above.
// Grid: LANES invocations a row. Reference: src/kernels/count_answers.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>>;

fn output_at(row: u32, column: u32) -> f32 {
    return outputs[row * 4u * COLUMN_BLOCKS + column];
}

fn count(at: u32, counted: bool) {
    if counted {
        atomicAdd(&counts[at], 1u);
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (linear_group(group, groups) * WORKGROUP + local) / LANES;
    let lane = local % LANES;
    // No early return: all invocations of a workgroup meet at the barriers. A row that does not exist has no columns.
    let columns = select(0u, COLUMNS, row < step.rows);
    let answer = answer_of(local, lane, row, columns);
    if RANKS > 0u {
        var right = 0.0;
        if columns > 0u {
            right = output_at(row, min(answer.wanted, COLUMNS - 1u));
        }
        var larger = 0.0;
        for (var c = lane; c < columns; c += LANES) {
            larger += select(0.0, 1.0, output_at(row, c) > right);
        }
        let rank = u32(lanes_sum(local, larger));
        count(rank, lane == 0u && columns > 0u && rank < RANKS && abs(right) <= 3.4028234e38);
    }
    var thresholds = THRESHOLD_LIST;
    for (var c = lane; c < columns; c += LANES) {
        let y = output_at(row, c);
        let positive = raw_target(row, c) > 0.5;
        for (var i = 0u; i < THRESHOLDS; i++) {
            let at = THRESHOLDS_AT + 3u * (i * COLUMNS + c);
            let above = y > thresholds[i];
            count(at, above && positive);
            count(at + 1u, above);
            count(at + 2u, positive);
        }
        if HAS_CURVE {
            let bucket = u32(max(ceil(y * f32(BUCKETS)) - 1.0, 0.0));
            count(CURVE_AT + 2u * min(bucket, BUCKETS - 1u) + select(0u, 1u, positive), true);
        }
    }
    let first = lane == 0u && columns > 0u;
    let answered = first && answer.predicted < CLASSES;
    if HAS_CLASSES {
        count(CLASSES_AT + 3u * answer.wanted, answered && answer.predicted == answer.wanted);
        count(CLASSES_AT + 3u * answer.predicted + 1u, answered);
        count(CLASSES_AT + 3u * answer.wanted + 2u, first);
    }
    if HAS_MATRIX {
        count(MATRIX_AT + CLASSES * answer.wanted + answer.predicted, answered);
    }
}
