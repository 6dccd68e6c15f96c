// Random words as a hash of their place: nothing is carried along, stored, or drawn in an order, so that a backward pass has
// the words of its forward pass again, and the same come out on every device. A place is a block of four columns, a row, the
// batch, and KEY, which the seed and the layer have made. The hash is pcg4d (Jarzynski and Olano 2020), which takes 128 bits
// to 128 bits, no two places to the same. src/kernels/parts/hash.rs has the same in Rust.

// Which batch this is, as long as nothing but the updates is counted. The one place that says so.
fn batch_number() -> u32 {
    return step.batch;
}

// The words of the numbers in block `column` of row `row`.
fn random_words(row: u32, column: u32) -> vec4<u32> {
    var v = vec4<u32>(column, row, batch_number(), KEY) * 1664525u + 1013904223u;
    v = mixed(v);
    v ^= v >> vec4<u32>(16u);
    return mixed(v);
}

fn mixed(words: vec4<u32>) -> vec4<u32> {
    var v = words;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}
