// Gradient descent's rule, as Keras 3 has it; src/kernels/parts/sgd.rs has the same in plain loops.
//   without MOMENTUM w ← w − η·g
//   with it m ← momentum·m − η·g, and w ← w + m, or with NESTEROV w ← w + momentum·m − η·g

@group(0) @binding(FIRST_SLOT) var<storage, read_write> momentums: array<vec4<f32>>; // m, only with MOMENTUM

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let plain = rate * g;
    if MOMENTUM == 0.0 {
        parameters[index] = w - plain;
        return;
    }
    let m = MOMENTUM * momentums[index] - plain;
    momentums[index] = m;
    if NESTEROV {
        parameters[index] = w + MOMENTUM * m - plain;
    } else {
        parameters[index] = w + m;
    }
}
