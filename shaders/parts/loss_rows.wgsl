// A loss of outputs that lie in memory: main() of the losses' operations, which bind
//   outputs [B, C]   what the loss is computed from, rows padded to 4·COLUMN_BLOCKS numbers
//   labels           targets and weights: targets.wgsl
//   gradient [B, C]  of the outputs, padded with zeros; only with GRADIENT
//   rows [B]         (loss, correct)
// The formula is one of loss_*.wgsl.
// Grid: LANES invocations a row.

fn output_at(row: u32, column: u32) -> f32 {
    return outputs[row * 4u * COLUMN_BLOCKS + column];
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
    let found = row_loss(local, lane, row, columns);
    let correct = right_answer(local, lane, row, columns);
    if row >= 4u * row_blocks_of(step.rows) {
        return;
    }
    if row < step.rows && lane == 0u {
        rows[row] = vec2<f32>(found.loss, select(0.0, 1.0, correct));
    }
    if !GRADIENT {
        return;
    }
    for (var c = lane; c < 4u * COLUMN_BLOCKS; c += LANES) {
        var slope = 0.0;
        if c < columns {
            slope = output_gradient(row, c, found);
        }
        let stored = stored_gradient(vec4<f32>(gradient_scale() * slope)).x;
        gradient[row * 4u * COLUMN_BLOCKS + c] = gradient_number(stored);
    }
}
