// adam_update (and AdamW, whose weight decay stands in the tensor table), as Keras 3 has it:
//   m ← m + (1 − β₁)·(g − m);  v ← v + (1 − β₂)·(g² − v);  w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε)
//
// Shapes: parameters, gradients and slots are flat, BLOCKS blocks of four; tensors and tensor_of: parts/update.wgsl.
// Grid: one invocation a block of four. Reference: src/kernels/adam_update.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tensors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> means: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> velocities: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * WORKGROUP + local;
    if index >= BLOCKS {
        return;
    }
    let tensor = tensors[tensor_of[index / 16u]];
    if tensor.z == 0.0 {
        return;
    }
    let g = gradient_of(index, tensor);
    let w = decayed(index, tensor);
    let m = means[index] + (1.0 - BETA_1) * (g - means[index]);
    means[index] = m;
    let v = velocities[index] + (1.0 - BETA_2) * (g * g - velocities[index]);
    velocities[index] = v;
    let rate = step.learning_rate * sqrt(1.0 - step.beta_2_power) / (1.0 - step.beta_1_power);
    parameters[index] = w - rate * m / (sqrt(v) + EPSILON);
}
