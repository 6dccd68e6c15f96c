// The activations, f and f'. ACTIVATION is one of the constants below; ALPHA is the slope of leaky_relu below zero and
// the α of elu. derivative() takes what the forward pass kept: y = f(z), or z where f' cannot be had from y
// (silu, gelu, softplus). src/kernels/parts/activation.rs has the same formulas in plain loops.
const LINEAR = 0u;
const RELU = 1u;
const LEAKY_RELU = 2u;
const ELU = 3u;
const SIGMOID = 4u;
const TANH = 5u;
const SILU = 6u;
const GELU = 7u;      // the tanh form: WGSL has no erf
const SOFTPLUS = 8u;

const GELU_SCALE = 0.7978845608028654;  // √(2/π)
const GELU_CUBIC = 0.044715;

fn logistic(z: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp(-z));
}

// tanh through the exponential of −2|z|, which never overflows: a driver's own tanh may (NaN beyond z ≈ 44 on some).
fn safe_tanh(z: vec4<f32>) -> vec4<f32> {
    let e = exp(-2.0 * abs(z));
    // Near zero 1 − e cancels; the series z − z³/3 + 2z⁵/15 is exact to f32 below 0.1.
    let square = z * z;
    let series = z * (1.0 + square * (-0.33333333 + square * (0.13333333 - square * 0.053968254)));
    return select(sign(z) * (1.0 - e) / (1.0 + e), series, abs(z) < vec4<f32>(0.1));
}

fn activate(z: vec4<f32>) -> vec4<f32> {
    switch ACTIVATION {
        // Written so that a NaN stays one: it is not below zero.
        case RELU: { return select(z, vec4<f32>(0.0), z < vec4<f32>(0.0)); }
        case LEAKY_RELU: { return select(z, ALPHA * z, z < vec4<f32>(0.0)); }
        case ELU: { return select(z, ALPHA * (exp(min(z, vec4<f32>(0.0))) - 1.0), z < vec4<f32>(0.0)); }
        case SIGMOID: { return logistic(z); }
        case TANH: { return safe_tanh(z); }
        case SILU: { return z * logistic(z); }
        case GELU: { return 0.5 * z * (1.0 + safe_tanh(GELU_SCALE * (z + GELU_CUBIC * z * z * z))); }
        case SOFTPLUS: { return max(z, vec4<f32>(0.0)) + log(1.0 + exp(-abs(z))); }
        default: { return z; }
    }
}

fn derivative(kept: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    switch ACTIVATION {
        case RELU: { return select(zero, one, kept > zero); }
        case LEAKY_RELU: { return select(vec4<f32>(ALPHA), one, kept > zero); }
        case ELU: { return select(kept + ALPHA, one, kept > zero); }
        case SIGMOID: { return kept * (one - kept); }
        case TANH: { return one - kept * kept; }
        case SILU: {
            let s = logistic(kept);
            return s * (one + kept * (one - s));
        }
        case GELU: {
            let t = safe_tanh(GELU_SCALE * (kept + GELU_CUBIC * kept * kept * kept));
            return 0.5 * (one + t) + 0.5 * kept * (one - t * t) * GELU_SCALE * (one + 3.0 * GELU_CUBIC * kept * kept);
        }
        case SOFTPLUS: { return logistic(kept); }
        default: { return one; }
    }
}

// 1 for the columns of block `column` that exist, 0 for the padding behind the last one.
fn column_mask(column: u32, columns: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<u32>(0u, 1u, 2u, 3u) + 4u * column < vec4<u32>(columns));
}
