// Adagrad's rule, as Keras 3 has it; src/kernels/parts/adagrad.rs has the same in plain loops.
//   s ← s + g²;  w ← w − η·g/√(s + ε)

@group(0) @binding(FIRST_SLOT) var<storage, read_write> accumulators: array<vec4<f32>>;

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let s = accumulators[index] + g * g;
    accumulators[index] = s;
    parameters[index] = w - rate * g / sqrt(s + EPSILON);
}
