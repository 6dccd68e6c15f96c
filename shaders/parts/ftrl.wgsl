// Ftrl's rule (follow the regularized leader), as Keras 3 has it; src/kernels/parts/ftrl.rs has the same in plain loops.
//   p = −learning_rate_power, q(n) = nᵖ/η, λ₂ = L2 + beta/(2·η)
//   n' = n + g²;  z ← z + g + 2·shrinkage·w − (q(n') − q(n))·w
//   w ← (clip(z, ±L1) − z)/(q(n') + 2·λ₂), n ← n'
// At a learning rate of zero, or where nothing is to divide by, w stays.

@group(0) @binding(FIRST_SLOT) var<storage, read_write> accumulators: array<vec4<f32>>; // n
@group(0) @binding(FIRST_SLOT + 1u) var<storage, read_write> linears: array<vec4<f32>>; // z

fn raised(n: vec4<f32>) -> vec4<f32> {
    if POWER == 0.5 {
        return sqrt(n);
    }
    return pow(n, vec4<f32>(POWER));
}

fn update(index: u32, g: vec4<f32>, w: vec4<f32>, rate: f32) {
    if rate == 0.0 {
        parameters[index] = w;
        return;
    }
    let old = accumulators[index];
    let n = old + g * g;
    accumulators[index] = n;
    let power = raised(n);
    let z = linears[index] + (g + 2.0 * L2_SHRINKAGE * w - (power - raised(old)) / rate * w);
    linears[index] = z;
    let divisor = power / rate + 2.0 * (FTRL_L2 + FTRL_BETA / (2.0 * rate));
    // Not clamp(), which may make a number of a NaN.
    let clipped = select(z, sign(z) * FTRL_L1, abs(z) > vec4<f32>(FTRL_L1));
    parameters[index] = select((clipped - z) / divisor, w, divisor == vec4<f32>(0.0));
}
