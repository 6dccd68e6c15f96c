// advance_step: adds up what the step found, keeps it, and makes the step block of the next batch
//   statistics[slot mod SLOTS][0] = (Σ loss, Σ correct, penalty, rows)
//   next = step moved on, as src/step.rs has it: iteration and the powers of β₁ and β₂ by an update, the rest by a batch
//
// The block of this step stays as it is: launches beside this one read it.
// Shapes: rows [B] of (loss, correct); penalties [PENALTIES]; statistics [SLOTS] of SLOT_BLOCKS blocks of
// four. One sum over the batch: each invocation
// takes every WORKGROUP-th row, then a tree.
// Grid: one workgroup. Reference: src/kernels/advance_step.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> penalties: array<f32>;
@group(0) @binding(3) var<storage, read_write> next: Step;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
    var loss = 0.0;
    var correct = 0.0;
    for (var r = local; r < step.rows; r += WORKGROUP) {
        loss += rows[r].x;
        correct += rows[r].y;
    }
    var penalty = 0.0;
    for (var i = local; i < PENALTIES; i += WORKGROUP) {
        penalty += penalties[i];
    }
    loss = lanes_sum(local, loss);
    correct = lanes_sum(local, correct);
    penalty = lanes_sum(local, penalty);
    if local != 0u {
        return;
    }
    statistics[step.slot % SLOTS * SLOT_BLOCKS] = vec4<f32>(loss, correct, penalty, f32(step.rows));
    next = step;
    next.slot += 1u;
    next.batch += 1u;
    next.position += step.rows;
    next.rows = min(step.batch_size, step.samples - next.position);
    if step.micro + 1u >= step.accumulate {
        next.micro = 0u;
        next.iteration += 1u;
        next.beta_1_power *= BETA_1 * (1.0 - 0.5 * step.warmup);
        next.beta_2_power *= BETA_2;
        next.warmup *= WARMUP_DECAY;
    } else {
        next.micro += 1u;
    }
    adapt_scale();
}
