// Adadelta's rule, as Keras 3 has it (with a learning rate, ε inside the roots); src/kernels/parts/adadelta.rs has the same
// in plain loops.
//   s ← ρ·s + (1 − ρ)·g²;  δ = √(d + ε)·g/√(s + ε);  d ← ρ·d + (1 − ρ)·δ²;  w ← w − η·δ
// REST is 1 − ρ, of the number as it is written.

@group(0) @binding(FIRST_SLOT) var<storage, read_write> squares: array<vec4<f32>>; // s
@group(0) @binding(FIRST_SLOT + 1u) var<storage, read_write> changes: array<vec4<f32>>; // d

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let s = RHO * squares[index] + REST * g * g;
    squares[index] = s;
    let old = changes[index];
    let change = sqrt(old + EPSILON) * g / sqrt(s + EPSILON);
    changes[index] = RHO * old + REST * change * change;
    parameters[index] = w - rate * change;
}
