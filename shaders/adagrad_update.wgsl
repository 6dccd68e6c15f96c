// adagrad_update, as Keras 3 has it: s ← s + g²;  w ← w − η·g/√(s + ε)
//
// Shapes: parameters, gradients and slots are flat, BLOCKS blocks of four; tensors and tensor_of: parts/update.wgsl.
// Grid: one invocation a block of four. Reference: src/kernels/adagrad_update.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tensors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> accumulators: array<vec4<f32>>;

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
    let s = accumulators[index] + g * g;
    accumulators[index] = s;
    parameters[index] = w - step.learning_rate * g / sqrt(s + EPSILON);
}
