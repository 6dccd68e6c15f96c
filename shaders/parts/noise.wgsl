// Normal numbers from random words, by Box and Muller's transform: √(−2·ln u)·(cos θ, sin θ), u uniform in (0, 1] and θ in a
// whole turn. Drivers' own log, sin and cos may be far off (WGSL allows sin and cos 2⁻¹¹), so this has series of its own, each
// good to two units in the last place. src/kernels/parts/noise.rs has the same in Rust.

const LN_2 = 0.6931471805599453;
const QUARTER_TURN = 1.5707963267948966;
const ROOT_HALF_BITS = 0x3f3504f3;

// Of numbers from 2⁻²⁴ to 1: u = m·2ᵉ with m from √½ to √2, and ln m = 2·atanh s with s = (m − 1) / (m + 1).
fn natural_log(u: vec2<f32>) -> vec2<f32> {
    let bits = bitcast<vec2<i32>>(u);
    let exponent = (bits - ROOT_HALF_BITS) >> vec2<u32>(23u);
    let m = bitcast<vec2<f32>>(bits - (exponent << vec2<u32>(23u)));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (0.33333333 + z * (0.2 + z * (0.14285714 + z * 0.11111111)));
    return LN_2 * vec2<f32>(exponent) + 2.0 * s * series;
}

// Two normal numbers from each two words: of the first u is made, of the second θ, whose two upper bits say how many quarters
// of a turn are added to an angle from −π/4 to π/4.
fn normal_numbers(words: vec4<u32>) -> vec4<f32> {
    let u = vec2<f32>((words.xz >> vec2<u32>(8u)) + 1u) * 5.9604645e-8;
    let radius = sqrt(-2.0 * natural_log(u));
    let place = vec2<f32>((words.yw << vec2<u32>(2u)) >> vec2<u32>(8u)) * 5.9604645e-8;
    let angle = QUARTER_TURN * (place - 0.5);
    let a = angle * angle;
    let sine = angle * (1.0 + a * (-0.16666667 + a * (8.333334e-3 + a * (-1.984127e-4 + a * 2.7557319e-6))));
    let cosine = 1.0 + a * (-0.5 + a * (4.1666668e-2 + a * (-1.3888889e-3 + a * 2.4801587e-5)));
    let quarters = words.yw >> vec2<u32>(30u);
    let odd = (quarters & vec2<u32>(1u)) == vec2<u32>(1u);
    let back = select(radius, -radius, quarters >= vec2<u32>(2u));
    let across = back * select(cosine, -sine, odd);
    let up = back * select(sine, cosine, odd);
    return vec4<f32>(across.x, up.x, across.y, up.y);
}
