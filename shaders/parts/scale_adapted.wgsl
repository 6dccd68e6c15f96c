// The loss scale at the end of a step: halved if a gradient was out of range, doubled after GROWTH_STEPS steps without.
// The block's words: scale_stored.wgsl. src/kernels/parts/scale.rs has the same in Rust.

@group(0) @binding(LOSS_SCALE) var<storage, read_write> loss_scale: array<u32, 4>;

fn adapt_scale() {
    let steps = loss_scale[2] + 1u;
    var scale = bitcast<f32>(loss_scale[0]);
    if loss_scale[3] != 0u {
        scale = max(0.5 * scale, SMALLEST_SCALE);
    } else if steps >= GROWTH_STEPS {
        scale = min(2.0 * scale, LARGEST_SCALE);
    } else {
        loss_scale[2] = steps;
        return;
    }
    // A power of two has an exact reciprocal, whose exponent is the negative of its own: no division, which may be off.
    let inverse = 0x7f000000u - bitcast<u32>(scale);
    loss_scale = array<u32, 4>(bitcast<u32>(scale), inverse, 0u, 0u);
}
