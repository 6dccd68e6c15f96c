// A tensor's entry in the tensor table: the coefficients of its penalty l1·|w| + l2·w², weight decay, 1 if it is trained,
// the factor by which clipping by norm shrinks its gradient, and that of its learning rate. The mirror is TENSOR_ENTRY in
// src/kernels/parts/update.rs.

struct Tensor {
    l2: f32,
    weight_decay: f32,
    trained: f32,
    factor: f32,
    l1: f32,
    rate_factor: f32,
    reserved_0: f32,
    reserved_1: f32,
}

// What the penalty adds to the gradient.
fn penalty_slope(w: vec4<f32>, tensor: Tensor) -> vec4<f32> {
    let slope = 2.0 * tensor.l2 * w;
    if tensor.l1 != 0.0 {
        return slope + tensor.l1 * sign(w);
    }
    return slope;
}
