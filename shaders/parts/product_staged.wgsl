// The product's tiling for devices with fast workgroup memory (NVIDIA, AMD). A workgroup makes a tile of
// GROUP_ROWS·TILE_ROWS × GROUP_COLUMNS·TILE_COLUMNS blocks; slices of A and B that are DEPTH blocks deep are staged in
// workgroup memory, A transposed, so that the inner loop reads one line of each a block. SPLITS groups of invocations
// share a tile where there are few: group s takes the lines s, s + SPLITS, … of every slice, and in the end the
// groups' sums are added in pairs, always the same ones.
//
// While a slice is multiplied the next one is on its way from storage to registers. With BUFFERS = 2 it has a place of
// its own in workgroup memory too, and one barrier a slice suffices. Loops over a slice count from zero to a constant:
// a compiler then unrolls them, asks for all of an invocation's lines at once, and has addresses that differ by
// constants. Those registers are filled and emptied in one turn of the loop: compilers may wait for what is carried
// into the next.
// Grid: one workgroup a tile, tiles row after row; SPLITS × GROUP_ROWS × GROUP_COLUMNS invocations.
// BUFFERS × 16 bytes × 4·DEPTH × (blocks down + blocks across) of workgroup memory: 8 KiB for one of 64 × 64 numbers,
// DEPTH 4. Half of the groups' sums take the same memory afterwards.

const DOWN = GROUP_ROWS * TILE_ROWS;
const ACROSS = GROUP_COLUMNS * TILE_COLUMNS;
const GROUP = GROUP_ROWS * GROUP_COLUMNS;

// Vectors of the slices: A's, then B's.
const STAGE_B = 4u * DEPTH * DOWN;
const STAGED = STAGE_B + 4u * DEPTH * ACROSS;

// Lines of A's and B's slices that an invocation brings, whole blocks where these are turned on the way, since a vector
// in workgroup memory is written as a whole. The last ones may not exist.
const TURN_A = !A_TRANSPOSED;
const TURN_B = B_TRANSPOSED;
const UNIT_A = select(1u, 4u, TURN_A);
const UNIT_B = select(1u, 4u, TURN_B);
const SHARE_A = (4u * DEPTH * DOWN / UNIT_A + WORKGROUP - 1u) / WORKGROUP * UNIT_A;
const SHARE_B = (4u * DEPTH * ACROSS / UNIT_B + WORKGROUP - 1u) / WORKGROUP * UNIT_B;
alias Lines = array<vec4<f32>, max(SHARE_A, SHARE_B)>;

// Lines of a slice that an invocation multiplies, and how many of them a compiler is to lay out one after the other.
const OWN_LINES = 4u * DEPTH / SPLITS;
const UNROLLED = select(1u, 4u, OWN_LINES % 4u == 0u && TILE_ROWS * TILE_COLUMNS == 1u);
const_assert OWN_LINES * SPLITS == 4u * DEPTH;

// Vectors of an invocation's sums, and of those of half the groups.
const SUMS = 4u * TILE_ROWS * TILE_COLUMNS + TILE_COLUMNS;
const HANDED = SPLITS / 2u * GROUP * SUMS;

var<workgroup> memory: array<vec4<f32>, max(BUFFERS * STAGED, HANDED)>;

// The n-th line that an invocation brings of a slice: where its block is along the tile's edge and in depth, and which
// of the block's lines it is.
struct Place {
    edge: u32,
    depth: u32,
    line: u32,
}

fn place_of(local: u32, n: u32, edge: u32, turn: bool) -> Place {
    if turn {
        let block = local + n / 4u * WORKGROUP;
        return Place(block % edge, block / edge, n % 4u);
    }
    let line = local + n * WORKGROUP;
    return Place(line % edge, line / (4u * edge), line / edge % 4u);
}

// An invocation's lines of the slices at k. Beyond an edge or the end they are read from there.
fn fetch_a(local: u32, row: u32, k: u32, lines: ptr<function, Lines>) {
    for (var n = 0u; n < SHARE_A; n++) {
        let at = place_of(local, n, DOWN, TURN_A);
        let depth = min(k + at.depth, max(depth_blocks(), 1u) - 1u);
        (*lines)[n] = vec4<f32>(a_line(min(row + at.edge, row_blocks() - 1u), depth, at.line));
    }
}

fn fetch_b(local: u32, column: u32, k: u32, lines: ptr<function, Lines>) {
    for (var n = 0u; n < SHARE_B; n++) {
        let at = place_of(local, n, ACROSS, TURN_B);
        let depth = min(k + at.depth, max(depth_blocks(), 1u) - 1u);
        (*lines)[n] = vec4<f32>(b_line(depth, min(column + at.edge, COLUMN_BLOCKS - 1u), at.line));
    }
}

// Writes lines of one factor to workgroup memory from `start` on; zeros behind the `left` blocks that are left.
fn stage(local: u32, start: u32, left: u32, edge: u32, turn: bool, share: u32, lines: ptr<function, Lines>) {
    if !turn {
        let whole = share * WORKGROUP == 4u * DEPTH * edge;
        for (var n = 0u; n < share; n++) {
            let depth = place_of(local, n, edge, false).depth;
            if whole || depth < DEPTH {
                memory[start + local + n * WORKGROUP] = select(vec4<f32>(), (*lines)[n], depth < left);
            }
        }
        return;
    }
    let whole = share / 4u * WORKGROUP == DEPTH * edge;
    for (var n = 0u; n < share; n += 4u) {
        let at = place_of(local, n, edge, true);
        let block = transpose(mat4x4<f32>((*lines)[n], (*lines)[n + 1u], (*lines)[n + 2u], (*lines)[n + 3u]));
        if whole || at.depth < DEPTH {
            for (var j = 0u; j < 4u; j++) {
                memory[start + (4u * at.depth + j) * edge + at.edge] = select(vec4<f32>(), block[j], at.depth < left);
            }
        }
    }
}

fn stage_both(local: u32, k: u32, a: ptr<function, Lines>, b: ptr<function, Lines>) {
    let start = k / DEPTH % BUFFERS * STAGED;
    let left = depth_blocks() - k;
    stage(local, start, left, DOWN, TURN_A, SHARE_A, a);
    stage(local, start + STAGE_B, left, ACROSS, TURN_B, SHARE_B, b);
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
    var first_a: Lines;
    var first_b: Lines;
    fetch_a(local, row, 0u, &first_a);
    fetch_b(local, column, 0u, &first_b);
    stage_both(local, 0u, &first_a, &first_b);
    workgroupBarrier(); // a slice is read only when all of it is staged
    for (var k = 0u; k < depth; k += DEPTH) {
        let next = k + DEPTH;
        var next_a: Lines;
        var next_b: Lines;
        if next < depth {
            fetch_a(local, row, next, &next_a);
            fetch_b(local, column, next, &next_b);
        }
        let start = k / DEPTH % BUFFERS * STAGED;
        let from_a = start + split * DOWN + r0;
        let from_b = start + STAGE_B + split * ACROSS + c0;
        for (var i = 0u; i < OWN_LINES; i += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                let line = (i + u) * SPLITS;
                var b: array<vec4<f32>, TILE_COLUMNS>;
                for (var c = 0u; c < TILE_COLUMNS; c++) {
                    b[c] = memory[from_b + line * ACROSS + c * GROUP_COLUMNS];
                }
                for (var r = 0u; r < TILE_ROWS; r++) {
                    let a = memory[from_a + line * DOWN + r * GROUP_ROWS];
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
        }
        // Few tiles are asked for these, so the others' loop above is left alone.
        if SUM_COLUMNS && row == 0u {
            for (var i = 0u; i < OWN_LINES; i++) {
                for (var c = 0u; c < TILE_COLUMNS; c++) {
                    column_sums[c] += memory[from_b + i * SPLITS * ACROSS + c * GROUP_COLUMNS];
                }
            }
        }
        if BUFFERS == 1u {
            workgroupBarrier(); // the next slice overwrites this one only when all have read it
        }
        if next < depth {
            stage_both(local, next, &next_a, &next_b);
        }
        // The next slice is read only when all of it is staged; sums overwrite the last one only when all have read it.
        workgroupBarrier();
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
