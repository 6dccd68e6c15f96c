// The product's schedule for software drivers with subgroups of 8 (lavapipe), where reading storage costs many times what
// a multiplication does, whatever the address. A subgroup makes a tile of 4 × 8 blocks, each invocation a column of four;
// the tile's slice of A is read once for all eight, two lines an invocation, and handed round by broadcasts, which cost
// next to nothing. Reads for each multiplication: 24 numbers for 256, against 64 for 256 in product_direct.wgsl.
// The eight invocations of a subgroup are neighbours in the workgroup; SUBGROUP is their number.
// Grid: SUBGROUP invocations a tile, tiles row after row.

const TILE_ROWS = 4u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tile = linear_group(group, groups) * (WORKGROUP / SUBGROUP) + local / SUBGROUP;
    let lane = local % SUBGROUP;
    let tiles_across = (COLUMN_BLOCKS + SUBGROUP - 1u) / SUBGROUP;
    let row = tile / tiles_across * TILE_ROWS;
    let column = tile % tiles_across * SUBGROUP + lane;
    let rows = row_blocks();
    if row >= rows {
        return; // the same for a whole subgroup, so every broadcast has its sender
    }
    // Blocks beyond an edge are read from the edge; nothing is stored for them.
    let own_row_0 = min(row + lane / 4u, rows - 1u);
    let own_row_1 = min(row + 2u + lane / 4u, rows - 1u);
    let own_column = min(column, COLUMN_BLOCKS - 1u);
    var sum_0 = mat4x4<f32>();
    var sum_1 = mat4x4<f32>();
    var sum_2 = mat4x4<f32>();
    var sum_3 = mat4x4<f32>();
    var column_sum = vec4<f32>();
    let depth = depth_blocks();
    for (var k = 0u; k < depth; k++) {
        let line_0 = a_line(own_row_0, k, lane % 4u);
        let line_1 = a_line(own_row_1, k, lane % 4u);
        let b = load_b(k, own_column);
        if SUM_COLUMNS {
            column_sum = sum_lines(b, column_sum);
        }
        sum_0 = multiply_add(low_block(line_0), b, sum_0);
        sum_1 = multiply_add(high_block(line_0), b, sum_1);
        sum_2 = multiply_add(low_block(line_1), b, sum_2);
        sum_3 = multiply_add(high_block(line_1), b, sum_3);
    }
    if column >= COLUMN_BLOCKS {
        return;
    }
    store(row, column, sum_0);
    if row + 1u < rows {
        store(row + 1u, column, sum_1);
    }
    if row + 2u < rows {
        store(row + 2u, column, sum_2);
    }
    if row + 3u < rows {
        store(row + 3u, column, sum_3);
    }
    if SUM_COLUMNS && row == 0u {
        store_sums(column, column_sum);
    }
}

// The block whose lines the first four invocations hold.
fn low_block(line: vec4<f32>) -> mat4x4<f32> {
    return a_block(
        subgroupBroadcast(line, 0u),
        subgroupBroadcast(line, 1u),
        subgroupBroadcast(line, 2u),
        subgroupBroadcast(line, 3u),
    );
}

// The block whose lines the last four invocations hold.
fn high_block(line: vec4<f32>) -> mat4x4<f32> {
    return a_block(
        subgroupBroadcast(line, 4u),
        subgroupBroadcast(line, 5u),
        subgroupBroadcast(line, 6u),
        subgroupBroadcast(line, 7u),
    );
}
