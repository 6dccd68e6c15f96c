// sgd_update, as Keras 3 has it:
//   without MOMENTUM w ← w − η·g
//   with it m ← momentum·m − η·g, and w ← w + m, or with NESTEROV w ← w + momentum·m − η·g
//
// Shapes: parameters, gradients and slots are flat, BLOCKS blocks of four; tensors and tensor_of: parts/update.wgsl.
// Grid: one invocation a block of four. Reference: src/kernels/sgd_update.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tensors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> momentums: array<vec4<f32>>; // m, only with MOMENTUM

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
    let plain = step.learning_rate * g;
    if MOMENTUM == 0.0 {
        parameters[index] = w - plain;
        return;
    }
    let m = MOMENTUM * momentums[index] - plain;
    momentums[index] = m;
    if NESTEROV {
        parameters[index] = w + MOMENTUM * m - plain;
    } else {
        parameters[index] = w + m;
    }
}
