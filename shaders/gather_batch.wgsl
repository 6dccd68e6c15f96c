// gather_batch: x[r, i] = scale · samples[order[position + r], i], and the same samples' targets and weights as labels.
// It opens the step: step = next, the block that the step before has made, with the learning rate that the host has put into
// the ring for it. What runs beside advance_step reads that of its own step still.
//
// Shapes: samples [N, I] as bytes (four a word) or floats, each row padded to WORDS_PER_ROW words; order [samples of the
// epoch]; learning_rates [INPUT_SLOTS], by the step's slot; x [B, I] padded to COLUMN_BLOCKS blocks of four columns; labels [B] of TARGET_WORDS words and the weight.
// Rows that fill the last block of four, and columns behind I, become zero.
// Grid: one invocation for each block of four columns, then one a target word, then one for the weight, row after row.
// Reference: src/kernels/gather_batch.rs.

@group(0) @binding(0) var<uniform> next: Step;
@group(0) @binding(1) var<storage, read> samples: array<u32>;
@group(0) @binding(2) var<storage, read> sample_targets: array<u32>;
@group(0) @binding(3) var<storage, read> sample_weights: array<f32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read> learning_rates: array<f32>;
@group(0) @binding(6) var<storage, read_write> x: array<x_vec4>;
@group(0) @binding(7) var<storage, read_write> labels: array<u32>;
@group(0) @binding(8) var<storage, read_write> step: Step;

fn load(sample: u32, column: u32) -> vec4<f32> {
    if BYTES {
        return SCALE * vec4<f32>(unpack4xU8(samples[sample * WORDS_PER_ROW + column]));
    }
    let at = sample * WORDS_PER_ROW + 4u * column;
    return bitcast<vec4<f32>>(vec4<u32>(samples[at], samples[at + 1u], samples[at + 2u], samples[at + 3u]));
}

// A sample's targets, then its weight.
fn label_word(sample: u32, word: u32) -> u32 {
    if word < TARGET_WORDS {
        return sample_targets[sample * TARGET_WORDS + word];
    }
    if HAS_WEIGHTS {
        return bitcast<u32>(sample_weights[sample]);
    }
    return bitcast<u32>(1.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let per_row = COLUMN_BLOCKS + TARGET_WORDS + 1u;
    let item = linear_group(group, groups) * WORKGROUP + local;
    if item == 0u {
        step = next;
        step.learning_rate = learning_rates[next.slot % INPUT_SLOTS];
    }
    let row = item / per_row;
    let column = item % per_row;
    if row >= 4u * row_blocks_of(next.rows) {
        return;
    }
    let exists = row < next.rows;
    var sample = 0u;
    if exists {
        sample = order[next.position + row];
    }
    if column < COLUMN_BLOCKS {
        var value = vec4<f32>(0.0);
        if exists {
            value = load(sample, column);
        }
        x[row * COLUMN_BLOCKS + column] = x_vec4(within(value, X_HALF));
        return;
    }
    let word = column - COLUMN_BLOCKS;
    var label = 0u;
    if exists {
        label = label_word(sample, word);
    }
    labels[row * (TARGET_WORDS + 1u) + word] = label;
}
