// The activations, f and f'. ACTIVATION is one of the constants below; ALPHA is the slope of leaky_relu and relu_with below
// zero and the α of elu and celu; ACTIVATION_THRESHOLD and ACTIVATION_LIMIT are relu_with's. derivative() takes what the
// forward pass kept: y = f(z), or z where f' cannot be had from y (silu, gelu, gelu_exact, softplus, hard_silu, mish, some of relu_with).
// src/kernels/parts/activation.rs has the same formulas in plain loops.
const LINEAR = 0u;
const RELU = 1u;
const LEAKY_RELU = 2u;
const ELU = 3u;
const SIGMOID = 4u;
const TANH = 5u;
const SILU = 6u;
const GELU = 7u;      // the tanh form
const SOFTPLUS = 8u;
const GELU_EXACT = 9u;
const RELU_WITH = 10u;
const SELU = 11u;
const CELU = 12u;
const SOFTSIGN = 13u;
const HARD_SIGMOID = 14u;
const HARD_TANH = 15u;
const HARD_SILU = 16u;
const MISH = 17u;
const EXPONENTIAL = 18u;

const GELU_SCALE = 0.7978845608028654;  // √(2/π)
const GELU_CUBIC = 0.044715;
const ROOT_HALF = 0.7071067811865476;
const NORMAL_PEAK = 0.3989422804014327;  // 1/√(2π)
const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

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

// 1 − erf, which WGSL does not have: exp(−x²) times a polynomial in t, to 4·10⁻⁷ (src/kernels/parts/activation/erf.rs).
fn erfc(x: vec4<f32>) -> vec4<f32> {
    let size = abs(x);
    let t = 1.0 / (1.0 + 0.41 * size);
    let upper = t * (-0.0027741604 + t * (0.3798202 + t * (-0.28587863 + t * 0.060406275)));
    let tail = t * (0.2334107 + t * (0.21456346 + t * (0.2593519 + t * (0.14110026 + upper)))) * exp(-size * size);
    return select(tail, 2.0 - tail, x < vec4<f32>(0.0));
}

// z/6 + 1/2 where that is above zero, else zero.
fn hard_line(z: vec4<f32>) -> vec4<f32> {
    return select(z * 0.16666667 + 0.5, vec4<f32>(0.0), z <= vec4<f32>(-3.0));
}

// tanh(softplus(z)): with e = exp(z) it is (e² + 2e) / (e² + 2e + 2), here by exp(−|z|), which never overflows.
fn tanh_of_softplus(z: vec4<f32>) -> vec4<f32> {
    let u = exp(-abs(z));
    let is_negative = z < vec4<f32>(0.0);
    let above = select(1.0 + 2.0 * u, u * (u + 2.0), is_negative);
    return above / (above + select(2.0 * u * u, vec4<f32>(2.0), is_negative));
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
        case GELU_EXACT: { return 0.5 * z * erfc(-z * ROOT_HALF); }
        case RELU_WITH: {
            let limited = select(z, vec4<f32>(ACTIVATION_LIMIT), z >= vec4<f32>(ACTIVATION_LIMIT));
            // Not 0·(−∞), which is a NaN.
            let below = select(ALPHA * (z - ACTIVATION_THRESHOLD), vec4<f32>(0.0), ALPHA == 0.0);
            return select(limited, below, z < vec4<f32>(ACTIVATION_THRESHOLD));
        }
        case SELU: {
            let negative = SELU_ALPHA * (exp(min(z, vec4<f32>(0.0))) - 1.0);
            return SELU_SCALE * select(z, negative, z < vec4<f32>(0.0));
        }
        case CELU: { return select(z, ALPHA * (exp(min(z, vec4<f32>(0.0)) / ALPHA) - 1.0), z < vec4<f32>(0.0)); }
        case SOFTSIGN: { return z / (1.0 + abs(z)); }
        case HARD_SIGMOID: { return select(hard_line(z), vec4<f32>(1.0), z >= vec4<f32>(3.0)); }
        case HARD_TANH: {
            return select(select(z, vec4<f32>(1.0), z >= vec4<f32>(1.0)), vec4<f32>(-1.0), z <= vec4<f32>(-1.0));
        }
        case HARD_SILU: { return select(z * hard_line(z), z, z >= vec4<f32>(3.0)); }
        case MISH: { return z * tanh_of_softplus(z); }
        case EXPONENTIAL: { return exp(z); }
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
        case GELU_EXACT: {
            return 0.5 * erfc(-kept * ROOT_HALF) + kept * (NORMAL_PEAK * exp(-0.5 * kept * kept));
        }
        case RELU_WITH: {
            let below = select(vec4<f32>(ALPHA), one, kept > vec4<f32>(ACTIVATION_THRESHOLD));
            return select(below, zero, kept >= vec4<f32>(ACTIVATION_LIMIT));
        }
        case SELU: { return select(kept + SELU_SCALE * SELU_ALPHA, vec4<f32>(SELU_SCALE), kept > zero); }
        case CELU: { return select(one + kept / ALPHA, one, kept > zero); }
        case SOFTSIGN: { return (one - abs(kept)) * (one - abs(kept)); }
        case HARD_SIGMOID: { return select(zero, vec4<f32>(0.16666667), (kept > zero) & (kept < one)); }
        case HARD_TANH: { return select(zero, one, abs(kept) < one); }
        case HARD_SILU: {
            let above = select(kept / 3.0 + 0.5, one, kept >= vec4<f32>(3.0));
            return select(above, zero, kept <= vec4<f32>(-3.0));
        }
        case MISH: {
            let t = tanh_of_softplus(kept);
            return t + kept * (one - t * t) * logistic(kept);
        }
        case EXPONENTIAL: { return kept; }
        default: { return one; }
    }
}

// 1 for the columns of block `column` that exist, 0 for the padding behind the last one.
fn column_mask(column: u32, columns: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<u32>(0u, 1u, 2u, 3u) + 4u * column < vec4<u32>(columns));
}
