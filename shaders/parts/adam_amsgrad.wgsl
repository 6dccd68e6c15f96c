// AMSGrad divides by the root of the largest v so far; the mirror is src/kernels/parts/adam.rs.
//   v̂ ← max(v̂, v)

@group(0) @binding(FIRST_SLOT + 2u) var<storage, read_write> velocity_hats: array<vec4<f32>>;

fn divisor(index: u32, v: vec4<f32>) -> vec4<f32> {
    let old = velocity_hats[index];
    // Not max(), which may make a number of a NaN.
    let largest = select(v, old, old > v);
    velocity_hats[index] = largest;
    return largest;
}
