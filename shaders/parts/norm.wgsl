// γ and β of a normalization, from the layer's `weights`, which the operation declares: a block of four of each a block of
// columns, GAMMA_OFFSET and BETA_OFFSET being where they start, in blocks. A layer may have only one of them, or none.
// src/kernels/parts/norm.rs has the same in Rust.

fn gamma_of(column: u32) -> vec4<f32> {
    if HAS_GAMMA {
        return weights[GAMMA_OFFSET + column];
    }
    return vec4<f32>(1.0);
}

fn beta_of(column: u32) -> vec4<f32> {
    if HAS_BETA {
        return weights[BETA_OFFSET + column];
    }
    return vec4<f32>(0.0);
}
