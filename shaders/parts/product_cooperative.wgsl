// The product's tiling for matrix units (tensor cores), which multiply halves and add in f32. A subgroup makes a tile of
// TILE_ROWS × TILE_COLUMNS matrices of UNIT × UNIT numbers and hands each multiplication to the units as a whole; a
// workgroup is GROUP_ROWS × GROUP_COLUMNS subgroups. Slices of A and B that are DEPTH such matrices deep are staged as
// halves, line by line as they lie in memory: which way they lie is for the units to know, and nothing is transposed.
// A factor in f32 is rounded to a half. Beyond a half's range it becomes infinite, and a NaN where it meets a zero.
// How a unit rounds its sums is the device's business. The order of its matrices is that of k.
// Grid: one workgroup a tile, tiles row after row; SUBGROUP invocations a subgroup.
// Workgroup memory: 2 bytes × the staged numbers, STEP of them more a line, and 4 bytes × UNIT² a subgroup.

const DOWN = GROUP_ROWS * TILE_ROWS * UNIT;
const ACROSS = GROUP_COLUMNS * TILE_COLUMNS * UNIT;
const SLICE = DEPTH * UNIT;

// Staged lines, their vectors of four, and the distance from one to the next: a line of a matrix must start at a multiple
// of 16 bytes, and lines that lie 16 bytes further apart do not all fall on the same banks.
const STEP = 2u;
const A_LINES = select(DOWN, SLICE, A_TRANSPOSED);
const A_VECTORS = select(SLICE, DOWN, A_TRANSPOSED) / 4u;
const A_STRIDE = A_VECTORS + STEP;
const B_LINES = select(SLICE, ACROSS, B_TRANSPOSED);
const B_VECTORS = select(ACROSS, SLICE, B_TRANSPOSED) / 4u;
const B_STRIDE = B_VECTORS + STEP;

// Blocks of four in a unit's matrix.
const UNIT_BLOCKS = UNIT / 4u;

var<workgroup> stage_a: array<vec4<f16>, A_LINES * A_STRIDE>;
var<workgroup> stage_b: array<vec4<f16>, B_LINES * B_STRIDE>;
var<workgroup> finished: array<vec4<f32>, GROUP_ROWS * GROUP_COLUMNS * UNIT * UNIT_BLOCKS>;

// Vectors of each slice that an invocation brings; the last ones may not exist.
const SHARE_A = (A_LINES * A_VECTORS + WORKGROUP - 1u) / WORKGROUP;
const SHARE_B = (B_LINES * B_VECTORS + WORKGROUP - 1u) / WORKGROUP;
alias Vectors = array<vec4<f16>, max(SHARE_A, SHARE_B)>;

// A vector's line in a slice, its place in that line, and the block of four steps of k that it belongs to.
struct Place {
    line: u32,
    vector: u32,
    depth: u32,
}

fn place_of(local: u32, n: u32, vectors: u32, transposed: bool) -> Place {
    let i = local + n * WORKGROUP;
    return Place(i / vectors, i % vectors, select(i % vectors, i / vectors / 4u, transposed));
}

// An invocation's vectors of the slices at k. Beyond an edge or the end they are read from there.
fn fetch_a(local: u32, row: u32, k: u32, vectors: ptr<function, Vectors>) {
    for (var n = 0u; n < SHARE_A; n++) {
        let at = place_of(local, n, A_VECTORS, A_TRANSPOSED);
        let block_row = min(row + select(at.line / 4u, at.vector, A_TRANSPOSED), max(row_blocks(), 1u) - 1u);
        let block_depth = min(k + at.depth, max(depth_blocks(), 1u) - 1u);
        (*vectors)[n] = vec4<f16>(a_line(block_row, block_depth, at.line % 4u));
    }
}

fn fetch_b(local: u32, column: u32, k: u32, vectors: ptr<function, Vectors>) {
    for (var n = 0u; n < SHARE_B; n++) {
        let at = place_of(local, n, B_VECTORS, !B_TRANSPOSED);
        let block_column = min(column + select(at.vector, at.line / 4u, B_TRANSPOSED), COLUMN_BLOCKS - 1u);
        let block_depth = min(k + at.depth, max(depth_blocks(), 1u) - 1u);
        (*vectors)[n] = vec4<f16>(b_line(block_depth, block_column, at.line % 4u));
    }
}

// Writes them to workgroup memory; zeros behind the end of the sum.
fn stage(local: u32, k: u32, a: ptr<function, Vectors>, b: ptr<function, Vectors>) {
    let left = depth_blocks() - k;
    for (var n = 0u; n < SHARE_A; n++) {
        let at = place_of(local, n, A_VECTORS, A_TRANSPOSED);
        if SHARE_A * WORKGROUP == A_LINES * A_VECTORS || at.line < A_LINES {
            stage_a[at.line * A_STRIDE + at.vector] = select(vec4<f16>(), (*a)[n], at.depth < left);
        }
    }
    for (var n = 0u; n < SHARE_B; n++) {
        let at = place_of(local, n, B_VECTORS, !B_TRANSPOSED);
        if SHARE_B * WORKGROUP == B_LINES * B_VECTORS || at.line < B_LINES {
            stage_b[at.line * B_STRIDE + at.vector] = select(vec4<f16>(), (*b)[n], at.depth < left);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = linear_group(group, groups);
    let tiles_across = (4u * COLUMN_BLOCKS + ACROSS - 1u) / ACROSS;
    let row = tile / tiles_across * (DOWN / 4u);
    let column = tile % tiles_across * (ACROSS / 4u);
    let rows = row_blocks();
    // A tile behind a smaller batch's last row has nothing to do, but may not leave early: matrix units are for uniform control
    // flow, and naga cannot see that here it would be.
    let depth = select(0u, depth_blocks(), row < rows);
    // The subgroup's tile, in numbers from the workgroup's.
    let r0 = subgroup / GROUP_COLUMNS * TILE_ROWS * UNIT;
    let c0 = subgroup % GROUP_COLUMNS * TILE_COLUMNS * UNIT;
    var sums: array<unit_sum, TILE_ROWS * TILE_COLUMNS>;
    var column_sum = vec4<f32>();
    var first_a: Vectors;
    var first_b: Vectors;
    fetch_a(local, row, 0u, &first_a);
    fetch_b(local, column, 0u, &first_b);
    stage(local, 0u, &first_a, &first_b);
    workgroupBarrier(); // a slice is read only when all of it is staged
    for (var k = 0u; k < depth; k += SLICE / 4u) {
        // The next slice is on its way from storage while the units multiply this one.
        let next = k + SLICE / 4u;
        var next_a: Vectors;
        var next_b: Vectors;
        if next < depth {
            fetch_a(local, row, next, &next_a);
            fetch_b(local, column, next, &next_b);
        }
        for (var i = 0u; i < SLICE; i += UNIT) {
            var b: array<unit_b, TILE_COLUMNS>;
            for (var c = 0u; c < TILE_COLUMNS; c++) {
                let n = c0 + c * UNIT;
                if B_TRANSPOSED {
                    b[c] = coopLoad<unit_b>(&stage_b[n * B_STRIDE + i / 4u], B_STRIDE);
                } else {
                    b[c] = coopLoadT<unit_b>(&stage_b[i * B_STRIDE + n / 4u], B_STRIDE);
                }
            }
            for (var r = 0u; r < TILE_ROWS; r++) {
                let m = r0 + r * UNIT;
                var a: unit_a;
                if A_TRANSPOSED {
                    a = coopLoad<unit_a>(&stage_a[i * A_STRIDE + m / 4u], A_STRIDE);
                } else {
                    a = coopLoadT<unit_a>(&stage_a[m * A_STRIDE + i / 4u], A_STRIDE);
                }
                for (var c = 0u; c < TILE_COLUMNS; c++) {
                    sums[r * TILE_COLUMNS + c] = coopMultiplyAdd(a, b[c], sums[r * TILE_COLUMNS + c]);
                }
            }
        }
        if SUM_COLUMNS && row == 0u && local < ACROSS / 4u {
            for (var i = 0u; i < SLICE; i++) {
                column_sum += vec4<f32>(stage_b[i * B_STRIDE + local]);
            }
        }
        workgroupBarrier(); // the next slice overwrites this one only when all have read it
        if next < depth {
            stage(local, next, &next_a, &next_b);
        }
        workgroupBarrier(); // it is read only when all of it is staged
    }
    // A unit's matrix lies across a subgroup in a way that only the device knows: its numbers go through workgroup memory.
    let own = subgroup * UNIT * UNIT_BLOCKS;
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var c = 0u; c < TILE_COLUMNS; c++) {
            coopStoreT(sums[r * TILE_COLUMNS + c], &finished[own], UNIT_BLOCKS);
            workgroupBarrier(); // its numbers are read only when all of them are stored
            for (var i = lane; i < UNIT_BLOCKS * UNIT_BLOCKS; i += SUBGROUP) {
                let at = own + i / UNIT_BLOCKS * UNIT + i % UNIT_BLOCKS;
                let block_row = row + (r0 + r * UNIT) / 4u + i / UNIT_BLOCKS;
                let block_column = column + (c0 + c * UNIT) / 4u + i % UNIT_BLOCKS;
                if block_row < rows && block_column < COLUMN_BLOCKS {
                    let block = mat4x4<f32>(
                        finished[at],
                        finished[at + UNIT_BLOCKS],
                        finished[at + 2u * UNIT_BLOCKS],
                        finished[at + 3u * UNIT_BLOCKS],
                    );
                    store(block_row, block_column, block);
                }
            }
            workgroupBarrier(); // the next matrix overwrites this one only when all of it is read
        }
    }
    if SUM_COLUMNS && row == 0u && local < ACROSS / 4u && column + local < COLUMN_BLOCKS {
        store_sums(column + local, column_sum);
    }
}
