// What the tilings of the matrix product share. All of them compute C[m, n] = Σ_k A[m, k]·B[k, n] in blocks of 4×4: a
// mat4x4 holds four lines of four numbers, line i being row i of the block. The operation around it gives
//   a_line(row, depth, i), b_line(depth, column, i)  line i of a block of A or B as it lies in memory
//   a_vec4, b_vec4                               what those lines are stored as
//   A_TRANSPOSED, B_TRANSPOSED                   whether those lines are the block's columns instead
//   store(row, column, block)                    what becomes of a finished block
//   store_sums(column, sums)                     Σ_k B[k, n] over all k, when SUM_COLUMNS is set (the bias gradient)
//   row_blocks(), depth_blocks(), COLUMN_BLOCKS  the sizes in blocks
// A whole sum runs in the order of k, or of k within each of SPLITS parts: the shape alone decides.

fn load_a(row: u32, depth: u32) -> mat4x4<f32> {
    return a_block(wide_a(row, depth, 0u), wide_a(row, depth, 1u), wide_a(row, depth, 2u), wide_a(row, depth, 3u));
}

fn wide_a(row: u32, depth: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(a_line(row, depth, i));
}

fn a_block(line_0: vec4<f32>, line_1: vec4<f32>, line_2: vec4<f32>, line_3: vec4<f32>) -> mat4x4<f32> {
    let lines = mat4x4<f32>(line_0, line_1, line_2, line_3);
    if A_TRANSPOSED {
        return transpose(lines);
    }
    return lines;
}

fn load_b(depth: u32, column: u32) -> mat4x4<f32> {
    let lines = mat4x4<f32>(
        vec4<f32>(b_line(depth, column, 0u)),
        vec4<f32>(b_line(depth, column, 1u)),
        vec4<f32>(b_line(depth, column, 2u)),
        vec4<f32>(b_line(depth, column, 3u)),
    );
    if B_TRANSPOSED {
        return transpose(lines);
    }
    return lines;
}

// The blocks' product, added to c.
fn multiply_add(a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(line(a[0], b, c[0]), line(a[1], b, c[1]), line(a[2], b, c[2]), line(a[3], b, c[3]));
}

fn line(a: vec4<f32>, b: mat4x4<f32>, c: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(a.w), b[3], fma(vec4<f32>(a.z), b[2], fma(vec4<f32>(a.y), b[1], fma(vec4<f32>(a.x), b[0], c))));
}

fn sum_lines(b: mat4x4<f32>, sums: vec4<f32>) -> vec4<f32> {
    return (((sums + b[0]) + b[1]) + b[2]) + b[3];
}
