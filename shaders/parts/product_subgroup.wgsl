// The product's tiling for software drivers with subgroups of 8 (lavapipe), where reading storage costs many times what
// a multiplication does, whatever the address: a read becomes a loop over the lanes. A subgroup makes a tile of TILE_ROWS
// × 8 blocks, 4 or 8 down, each invocation a column of them; the tile's slice of A is read once for all eight, two or
// four lines an invocation, and handed round by broadcasts, which cost next to nothing. Numbers read for each
// multiplication: 24 for 256 with 4 rows of blocks, 32 for 512 with 8, against 64 for 256 in product_direct.wgsl.
// The eight invocations of a subgroup are neighbours in the workgroup; SUBGROUP is their number.
// Grid: SUBGROUP invocations a tile, tiles row after row.

// At the end of a loop's body the driver puts every variable back under the mask of active lanes, so two slices in one body
// are faster. Not so where A is transposed, measurements say: there the sum is over the batch, whose length is no constant.
const PAIRS = TILE_ROWS == 8u && !A_TRANSPOSED;

// An invocation's column of blocks: the loop's body is a function, and arrays would be kept in memory.
var<private> sum_0: mat4x4<f32>;
var<private> sum_1: mat4x4<f32>;
var<private> sum_2: mat4x4<f32>;
var<private> sum_3: mat4x4<f32>;
var<private> sum_4: mat4x4<f32>;
var<private> sum_5: mat4x4<f32>;
var<private> sum_6: mat4x4<f32>;
var<private> sum_7: mat4x4<f32>;
var<private> column_sum: vec4<f32>;

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
    let own_column = min(column, COLUMN_BLOCKS - 1u);
    let depth = depth_blocks();
    var k = 0u;
    for (; PAIRS && k + 1u < depth; k += 2u) {
        add_slice(k, row, rows - 1u, own_column, lane);
        add_slice(k + 1u, row, rows - 1u, own_column, lane);
    }
    for (; k < depth; k++) {
        add_slice(k, row, rows - 1u, own_column, lane);
    }
    if column >= COLUMN_BLOCKS {
        return;
    }
    let left = rows - row;
    store(row, column, sum_0);
    if left > 1u {
        store(row + 1u, column, sum_1);
    }
    if left > 2u {
        store(row + 2u, column, sum_2);
    }
    if left > 3u {
        store(row + 3u, column, sum_3);
    }
    if TILE_ROWS == 8u && left > 4u {
        store(row + 4u, column, sum_4);
    }
    if TILE_ROWS == 8u && left > 5u {
        store(row + 5u, column, sum_5);
    }
    if TILE_ROWS == 8u && left > 6u {
        store(row + 6u, column, sum_6);
    }
    if TILE_ROWS == 8u && left > 7u {
        store(row + 7u, column, sum_7);
    }
    if SUM_COLUMNS && row == 0u {
        store_sums(column, column_sum);
    }
}

// Adds the products of the tile's blocks at depth k.
fn add_slice(k: u32, row: u32, last_row: u32, column: u32, lane: u32) {
    let own_row = row + lane / 4u;
    let line_0 = wide_a(min(own_row, last_row), k, lane % 4u);
    let line_1 = wide_a(min(own_row + 2u, last_row), k, lane % 4u);
    let b = load_b(k, column);
    if SUM_COLUMNS {
        column_sum = sum_lines(b, column_sum);
    }
    sum_0 = multiply_add(low_block(line_0), b, sum_0);
    sum_1 = multiply_add(high_block(line_0), b, sum_1);
    sum_2 = multiply_add(low_block(line_1), b, sum_2);
    sum_3 = multiply_add(high_block(line_1), b, sum_3);
    if TILE_ROWS == 8u {
        let line_2 = wide_a(min(own_row + 4u, last_row), k, lane % 4u);
        let line_3 = wide_a(min(own_row + 6u, last_row), k, lane % 4u);
        sum_4 = multiply_add(low_block(line_2), b, sum_4);
        sum_5 = multiply_add(high_block(line_2), b, sum_5);
        sum_6 = multiply_add(low_block(line_3), b, sum_6);
        sum_7 = multiply_add(high_block(line_3), b, sum_7);
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
