// The product's tiling for few rows or columns and a long sum: a workgroup makes BLOCKS blocks, and SPLITS invocations
// share the sum of each, invocation s taking the depths s, s + SPLITS, …; the parts are then added in the order of s.
// Grid: one workgroup for BLOCKS blocks, blocks row after row; BLOCKS × SPLITS invocations.
// 80 bytes of workgroup memory an invocation.

var<workgroup> partial: array<mat4x4<f32>, BLOCKS * SPLITS>;
var<workgroup> partial_sums: array<vec4<f32>, BLOCKS * SPLITS>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = linear_group(group, groups) * BLOCKS + local % BLOCKS;
    let part = local / BLOCKS;
    let row = block / COLUMN_BLOCKS;
    let column = block % COLUMN_BLOCKS;
    let inside = row < row_blocks();
    var sum = mat4x4<f32>();
    var column_sum = vec4<f32>();
    if inside {
        let depth = depth_blocks();
        for (var k = part; k < depth; k += SPLITS) {
            let b = load_b(k, column);
            sum = multiply_add(load_a(row, k), b, sum);
            if SUM_COLUMNS {
                column_sum = sum_lines(b, column_sum);
            }
        }
    }
    partial[local] = sum;
    partial_sums[local] = column_sum;
    workgroupBarrier(); // the parts are added only when all of them stand
    if part != 0u || !inside {
        return;
    }
    for (var s = 1u; s < SPLITS; s++) {
        let other = partial[s * BLOCKS + local];
        sum = mat4x4<f32>(sum[0] + other[0], sum[1] + other[1], sum[2] + other[2], sum[3] + other[3]);
        column_sum += partial_sums[s * BLOCKS + local];
    }
    store(row, column, sum);
    if SUM_COLUMNS && row == 0u {
        store_sums(column, column_sum);
    }
}
