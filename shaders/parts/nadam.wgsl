// Nadam's rule, as Keras 3 has it; src/kernels/parts/nadam.rs has the same in plain loops.
//   μₜ = β₁·(1 − ½·0.96ᵗ), Πₜ = μ₁·…·μₜ
//   m ← m + (1 − β₁)·(g − m);  v ← v + (1 − β₂)·(g² − v)
//   m̂ = μₜ₊₁·m/(1 − Πₜ₊₁) + (1 − μₜ)·g/(1 − Πₜ);  v̂ = v/(1 − β₂ᵗ);  w ← w − η·m̂/(√v̂ + ε)
// The step block has Πₜ as the power of β₁, and 0.96ᵗ⁺¹ as what is left of the warm-up.

@group(0) @binding(FIRST_SLOT) var<storage, read_write> means: array<vec4<f32>>;
@group(0) @binding(FIRST_SLOT + 1u) var<storage, read_write> velocities: array<vec4<f32>>;

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    let old_mean = means[index];
    let m = old_mean + (1.0 - BETA_1) * (g - old_mean);
    means[index] = m;
    let old_velocity = velocities[index];
    let v = old_velocity + (1.0 - BETA_2) * (g * g - old_velocity);
    velocities[index] = v;
    let mu = BETA_1 * (1.0 - 0.5 * (step.warmup / WARMUP_DECAY));
    let next_mu = BETA_1 * (1.0 - 0.5 * step.warmup);
    let of_mean = next_mu / (1.0 - step.beta_1_power * next_mu);
    let of_gradient = (1.0 - mu) / (1.0 - step.beta_1_power);
    let root = sqrt(v / (1.0 - step.beta_2_power));
    parameters[index] = w - rate * (of_mean * m + of_gradient * g) / (root + EPSILON);
}
