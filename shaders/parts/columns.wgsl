// Sums over the rows of a batch, column by column. A workgroup has TILE neighbouring blocks of four columns, and PARTS
// invocations share the rows of each: the first has rows 0, PARTS, 2·PARTS …, the next those behind them. Their sums are
// added in a tree. So the order of a sum depends on the number of columns alone, of which TILE is made, and it is the same
// every time. Invocation `local` has block local % TILE of the tile and part local / TILE of the rows.
// Every invocation of the workgroup must call this together: it holds barriers.

const PARTS = WORKGROUP / TILE;

var<workgroup> column_values: array<vec4<f32>, WORKGROUP>;

fn columns_sum(local: u32, value: vec4<f32>) -> vec4<f32> {
    column_values[local] = value;
    workgroupBarrier(); // all values stand before the first pair is added
    for (var half = PARTS / 2u; half > 0u; half /= 2u) {
        if local < half * TILE {
            column_values[local] += column_values[local + half * TILE];
        }
        workgroupBarrier(); // a level is done before the next reads it
    }
    let total = column_values[local % TILE];
    workgroupBarrier(); // all have read the total before the array is used again
    return total;
}
