// Adam's rule (and AdamW's, whose weight decay is a setting of the tensors), as Keras 3 has it;
// src/kernels/parts/adam.rs has the same in plain loops. What v is divided by: adam_velocity.wgsl, or with AMSGrad
// adam_amsgrad.wgsl.
//   m ← m + (1 − β₁)·(g − m);  v ← v + (1 − β₂)·(g² − v);  w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε)
// REST_1 and REST_2 are 1 − β₁ and 1 − β₂, of the numbers as they are written.

@group(0) @binding(FIRST_SLOT) var<storage, read_write> means: array<vec4<f32>>;
@group(0) @binding(FIRST_SLOT + 1u) var<storage, read_write> velocities: array<vec4<f32>>;

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let old_mean = means[index];
    let m = old_mean + REST_1 * (g - old_mean);
    means[index] = m;
    let old_velocity = velocities[index];
    let v = old_velocity + REST_2 * (g * g - old_velocity);
    velocities[index] = v;
    let corrected = rate * sqrt(1.0 - step.beta_2_power) / (1.0 - step.beta_1_power);
    parameters[index] = w - corrected * m / (sqrt(divisor(index, v)) + EPSILON);
}
