// The step block: all that changes from one training step to the next. src/step.rs holds the same struct, and
// tests/shader_contract/main.rs compares the two layouts.
struct Step {
    iteration: u32,      // updates made before this one
    position: u32,       // where this batch starts in the epoch's order
    rows: u32,           // samples in this batch
    samples: u32,        // samples in the whole order
    batch_size: u32,     // rows of every batch but the last
    slot: u32,           // where this step's statistics go
    learning_rate: f32,
    beta_1_power: f32,   // β₁ᵗ with t = iteration + 1; the product of Nadam's μ₁ to μₜ
    beta_2_power: f32,   // β₂ᵗ
    batch: u32,          // training batches before this one
    micro: u32,          // batches whose gradients wait for the update to come
    accumulate: u32,     // batches of an update; 0 counts as 1
    warmup: f32,         // what is left of β₁'s warm-up after this update: 0.96ᵗ⁺¹ for Nadam, else 0
}

// The place of a workgroup in a grid that is folded when it has more than 65,535 workgroups.
fn linear_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

// A batch's rows in blocks of four. Every tensor of a batch is zero in the rows that fill the last block.
fn row_blocks_of(rows: u32) -> u32 {
    return (rows + 3u) / 4u;
}

// Which numbers of block `column` of a row are its own; those behind them are padding.
fn own_columns(column: u32, columns: u32) -> vec4<bool> {
    return vec4<u32>(0u, 1u, 2u, 3u) + 4u * column < vec4<u32>(columns);
}
