// The product's schedule for devices with fast workgroup memory (NVIDIA, AMD). A workgroup makes a tile of
// GROUP_ROWS·TILE_ROWS × GROUP_COLUMNS·TILE_COLUMNS blocks; slices of A and B that are DEPTH blocks deep are staged in
// workgroup memory, A transposed, so that the inner loop reads one line of each a block. SPLITS groups of invocations
// share a tile where there are few: group s takes the lines s, s + SPLITS, … of every slice, and in the end the groups' sums
// are added in pairs, always the same ones.
// Grid: one workgroup a tile, tiles row after row; SPLITS × GROUP_ROWS × GROUP_COLUMNS invocations.
// 16 bytes × 4·DEPTH × (blocks down + blocks across) of workgroup memory: 8 KiB for 64 × 64 numbers, DEPTH 4. Half of the
// groups' sums take the same memory afterwards.

const DOWN = GROUP_ROWS * TILE_ROWS;
const ACROSS = GROUP_COLUMNS * TILE_COLUMNS;
const GROUP = GROUP_ROWS * GROUP_COLUMNS;

// Vectors of the slices: A's, then B's.
const STAGE_B = 4u * DEPTH * DOWN;
const STAGED = STAGE_B + 4u * DEPTH * ACROSS;

// Vectors of an invocation's sums, and of those of half the groups.
const SUMS = 4u * TILE_ROWS * TILE_COLUMNS + TILE_COLUMNS;
const HANDED = SPLITS / 2u * GROUP * SUMS;

var<workgroup> memory: array<vec4<f32>, max(STAGED, HANDED)>;

fn stage(local: u32, row: u32, column: u32, k: u32, rows: u32, depth: u32) {
    for (var i = local; i < DEPTH * DOWN; i += WORKGROUP) {
        let at = k + i / DOWN;
        let r = i % DOWN;
        var block = mat4x4<f32>();
        if at < depth {
            block = transpose(load_a(min(row + r, rows - 1u), at));
        }
        for (var j = 0u; j < 4u; j++) {
            memory[(i / DOWN * 4u + j) * DOWN + r] = block[j];
        }
    }
    // B's blocks go on where A's end, so that a short slice keeps all invocations busy.
    for (var i = (local + WORKGROUP - DEPTH * DOWN % WORKGROUP) % WORKGROUP; i < DEPTH * ACROSS; i += WORKGROUP) {
        let at = k + i / ACROSS;
        let c = i % ACROSS;
        var block = mat4x4<f32>();
        if at < depth {
            block = load_b(at, min(column + c, COLUMN_BLOCKS - 1u));
        }
        for (var j = 0u; j < 4u; j++) {
            memory[STAGE_B + (i / ACROSS * 4u + j) * ACROSS + c] = block[j];
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tile = linear_group(group, groups);
    let tiles_across = (COLUMN_BLOCKS + ACROSS - 1u) / ACROSS;
    let row = tile / tiles_across * DOWN;
    let column = tile % tiles_across * ACROSS;
    let rows = row_blocks();
    let depth = depth_blocks();
    if row >= rows {
        return; // the same for the whole workgroup, so no barrier is skipped by some
    }
    let split = local / GROUP;
    let own = local % GROUP;
    let r0 = own / GROUP_COLUMNS;
    let c0 = own % GROUP_COLUMNS;
    var sums: array<mat4x4<f32>, TILE_ROWS * TILE_COLUMNS>;
    var column_sums: array<vec4<f32>, TILE_COLUMNS>;
    for (var k = 0u; k < depth; k += DEPTH) {
        stage(local, row, column, k, rows, depth);
        workgroupBarrier(); // a slice is read only when all of it is staged
        for (var i = split; i < 4u * DEPTH; i += SPLITS) {
            var b: array<vec4<f32>, TILE_COLUMNS>;
            for (var c = 0u; c < TILE_COLUMNS; c++) {
                b[c] = memory[STAGE_B + i * ACROSS + c * GROUP_COLUMNS + c0];
                if SUM_COLUMNS {
                    column_sums[c] += b[c];
                }
            }
            for (var r = 0u; r < TILE_ROWS; r++) {
                let a = memory[i * DOWN + r * GROUP_ROWS + r0];
                for (var c = 0u; c < TILE_COLUMNS; c++) {
                    let s = r * TILE_COLUMNS + c;
                    sums[s] = mat4x4<f32>(
                        fma(vec4<f32>(a.x), b[c], sums[s][0]),
                        fma(vec4<f32>(a.y), b[c], sums[s][1]),
                        fma(vec4<f32>(a.z), b[c], sums[s][2]),
                        fma(vec4<f32>(a.w), b[c], sums[s][3]),
                    );
                }
            }
        }
        workgroupBarrier(); // the next slice, or the sums, overwrite this one only when all have read it
    }
    for (var half = SPLITS / 2u; half > 0u; half /= 2u) {
        // The upper half of the groups that are left hand their sums to the lower half.
        let stride = half * GROUP;
        let place = split % half * GROUP + own;
        if split >= half && split < 2u * half {
            for (var s = 0u; s < TILE_ROWS * TILE_COLUMNS; s++) {
                for (var j = 0u; j < 4u; j++) {
                    memory[(4u * s + j) * stride + place] = sums[s][j];
                }
            }
            for (var c = 0u; SUM_COLUMNS && c < TILE_COLUMNS; c++) {
                memory[(SUMS - TILE_COLUMNS + c) * stride + place] = column_sums[c];
            }
        }
        workgroupBarrier(); // sums are taken only when all of them are handed over
        if split < half {
            for (var s = 0u; s < TILE_ROWS * TILE_COLUMNS; s++) {
                for (var j = 0u; j < 4u; j++) {
                    sums[s][j] += memory[(4u * s + j) * stride + place];
                }
            }
            for (var c = 0u; SUM_COLUMNS && c < TILE_COLUMNS; c++) {
                column_sums[c] += memory[(SUMS - TILE_COLUMNS + c) * stride + place];
            }
        }
        workgroupBarrier(); // the next ones overwrite them only when all are taken
    }
    if split > 0u {
        return;
    }
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var c = 0u; c < TILE_COLUMNS; c++) {
            let block_row = row + r * GROUP_ROWS + r0;
            let block_column = column + c * GROUP_COLUMNS + c0;
            if block_row < rows && block_column < COLUMN_BLOCKS {
                store(block_row, block_column, sums[r * TILE_COLUMNS + c]);
            }
        }
    }
    if SUM_COLUMNS && row == 0u && r0 == 0u {
        for (var c = 0u; c < TILE_COLUMNS; c++) {
            let block_column = column + c * GROUP_COLUMNS + c0;
            if block_column < COLUMN_BLOCKS {
                store_sums(block_column, column_sums[c]);
            }
        }
    }
}
