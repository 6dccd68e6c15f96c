// The product's tiling for devices whose workgroup memory is no faster than their caches (software drivers, many
// integrated GPUs). One invocation makes TILE_ROWS × TILE_COLUMNS blocks in registers and reads A and B from storage.
// Grid: one invocation a tile, tiles row after row.

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tile = linear_group(group, groups) * WORKGROUP + local;
    let tiles_across = (COLUMN_BLOCKS + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = tile / tiles_across * TILE_ROWS;
    let column = tile % tiles_across * TILE_COLUMNS;
    let rows = row_blocks();
    if row >= rows {
        return;
    }
    var sums: array<mat4x4<f32>, TILE_ROWS * TILE_COLUMNS>;
    var column_sums: array<vec4<f32>, TILE_COLUMNS>;
    let depth = depth_blocks();
    for (var k = 0u; k < depth; k++) {
        var b: array<mat4x4<f32>, TILE_COLUMNS>;
        for (var c = 0u; c < TILE_COLUMNS; c++) {
            // A tile that reaches over the edge reads the last block again; store() is not called for it.
            b[c] = load_b(k, min(column + c, COLUMN_BLOCKS - 1u));
            if SUM_COLUMNS {
                column_sums[c] = sum_lines(b[c], column_sums[c]);
            }
        }
        for (var r = 0u; r < TILE_ROWS; r++) {
            let a = load_a(min(row + r, rows - 1u), k);
            for (var c = 0u; c < TILE_COLUMNS; c++) {
                sums[r * TILE_COLUMNS + c] = multiply_add(a, b[c], sums[r * TILE_COLUMNS + c]);
            }
        }
    }
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var c = 0u; c < TILE_COLUMNS; c++) {
            if row + r < rows && column + c < COLUMN_BLOCKS {
                store(row + r, column + c, sums[r * TILE_COLUMNS + c]);
            }
        }
    }
    if SUM_COLUMNS && row == 0u {
        for (var c = 0u; c < TILE_COLUMNS; c++) {
            if column + c < COLUMN_BLOCKS {
                store_sums(column + c, column_sums[c]);
            }
        }
    }
}
