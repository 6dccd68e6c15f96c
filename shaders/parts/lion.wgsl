// Lion's rule, as Keras 3 has it; src/kernels/parts/lion.rs has the same in plain loops.
//   w ← w − η·sign(β₁·m + (1 − β₁)·g);  m ← β₂·m + (1 − β₂)·g

@group(0) @binding(FIRST_SLOT) var<storage, read_write> means: array<vec4<f32>>;

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let m = means[index];
    means[index] = BETA_2 * m + (1.0 - BETA_2) * g;
    let along = BETA_1 * m + (1.0 - BETA_1) * g;
    // Not sign() alone, which may make a number of a NaN.
    parameters[index] = w - rate * select(along, sign(along), abs(along) > vec4<f32>(0.0));
}
