// RMSprop's rule, as Keras 3 has it (ε inside the root, and under the root in the centred form too);
// src/kernels/parts/rmsprop.rs has the same in plain loops.
//   v ← ρ·v + (1 − ρ)·g²;  with CENTERED a ← ρ·a + (1 − ρ)·g, and d = v − a², else d = v
//   with MOMENTUM m ← momentum·m + η·g/√(d + ε), w ← w − m, else w ← w − η·g/√(d + ε)

@group(0) @binding(FIRST_SLOT) var<storage, read_write> velocities: array<vec4<f32>>;
@group(0) @binding(FIRST_SLOT + 1u) var<storage, read_write> averages: array<vec4<f32>>;  // a, only with CENTERED
@group(0) @binding(FIRST_SLOT + 2u) var<storage, read_write> momentums: array<vec4<f32>>; // m, only with MOMENTUM

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let v = RHO * velocities[index] + (1.0 - RHO) * g * g;
    velocities[index] = v;
    var d = v + EPSILON;
    if CENTERED {
        let a = RHO * averages[index] + (1.0 - RHO) * g;
        averages[index] = a;
        d -= a * a;
    }
    var change = rate * g / sqrt(d);
    if MOMENTUM > 0.0 {
        change += MOMENTUM * momentums[index];
        momentums[index] = change;
    }
    parameters[index] = w - change;
}
