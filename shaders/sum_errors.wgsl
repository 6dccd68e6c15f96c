// sum_errors: how far a batch's outputs y are from their targets t, for each group of columns
//   statistics[slot][1 + group] = (Σ |y − t|, Σ (y − t)², mean of t, Σ (t − mean)²)
//
// The last two mean something where a group is one column. The mean is taken first, so that nothing cancels.
// Shapes: outputs [B, C], rows padded to 4·COLUMN_BLOCKS numbers; labels as in parts/targets.wgsl; statistics [SLOTS] of
// SLOT_BLOCKS blocks of four, the first of which is advance_step's.
// Grid: a workgroup for each of GROUPS groups, which has columns group, group + GROUPS, … Each invocation takes every
// WORKGROUP-th row, then a tree. Reference: src/kernels/sum_errors.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<vec4<f32>>;

fn output_at(row: u32, column: u32) -> f32 {
    return outputs[row * 4u * COLUMN_BLOCKS + column];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let own = linear_group(group, groups);
    if own >= GROUPS {
        return; // all of the workgroup together
    }
    var absolute = 0.0;
    var squares = 0.0;
    var targets = 0.0;
    for (var c = own; c < COLUMNS; c += GROUPS) {
        for (var r = local; r < step.rows; r += WORKGROUP) {
            let t = raw_target(r, c);
            let error = output_at(r, c) - t;
            absolute += abs(error);
            squares += error * error;
            targets += t;
        }
    }
    absolute = lanes_sum(local, absolute);
    squares = lanes_sum(local, squares);
    let mean = lanes_sum(local, targets) / f32(max(step.rows, 1u));
    var spread = 0.0;
    for (var c = own; c < COLUMNS; c += GROUPS) {
        for (var r = local; r < step.rows; r += WORKGROUP) {
            let apart = raw_target(r, c) - mean;
            spread += apart * apart;
        }
    }
    spread = lanes_sum(local, spread);
    if local == 0u {
        statistics[step.slot % SLOTS * SLOT_BLOCKS + 1u + own] = vec4<f32>(absolute, squares, mean, spread);
    }
}
