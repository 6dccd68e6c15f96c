// Adamax's rule, as Keras 3 has it; src/kernels/parts/adamax.rs has the same in plain loops.
//   m ← m + (1 − β₁)·(g − m);  u ← max(β₂·u, |g|);  w ← w − η/(1 − β₁ᵗ)·m/(u + ε)
// REST_1 is 1 − β₁, of the number as it is written.

@group(0) @binding(FIRST_SLOT) var<storage, read_write> means: array<vec4<f32>>;
@group(0) @binding(FIRST_SLOT + 1u) var<storage, read_write> largest: array<vec4<f32>>; // u

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let old_mean = means[index];
    let m = old_mean + REST_1 * (g - old_mean);
    means[index] = m;
    let kept = BETA_2 * largest[index];
    // Not max(), which may make a number of a NaN.
    let u = select(abs(g), kept, kept > abs(g));
    largest[index] = u;
    parameters[index] = w - rate / (1.0 - step.beta_1_power) * m / (u + EPSILON);
}
