// How the numbers of a batch are stored. For each such binding NAME of an operation the header has the types NAME_vec4
// and NAME_number, of f32 or f16, and NAME_HALF; arithmetic is in f32 with either. src/kernels/parts/storage.rs has the
// same in Rust.

const LARGEST_HALF = 65504.0;

// Numbers as they will be stored: half precision has nothing for those beyond its range, which become its largest. A NaN
// stays one; clamp() alone may make a number of it, and a comparison with itself may be optimised away.
fn within(value: vec4<f32>, half: bool) -> vec4<f32> {
    if !half {
        return value;
    }
    let is_nan = (bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(clamp(value, vec4<f32>(-LARGEST_HALF), vec4<f32>(LARGEST_HALF)), value, is_nan);
}
