// rmsprop_update: a step of RMSprop on a range of the parameters, from gradients in memory; the formula is in parts/rmsprop.wgsl
//
// Shapes: parameters, gradients and slots are flat, BLOCKS blocks of four. `tensors` has the settings of each tensor
// (parts/update.wgsl), and `tensor_of` names the tensor of each run of 16 blocks (64 numbers) of all
// parameters, on which every tensor starts; the range starts with run FIRST_RUN.
// Grid: one invocation a block of four. Reference: src/kernels/rmsprop_update.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tensors: array<Tensor>;
@group(0) @binding(3) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4<f32>>;

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
    let tensor = tensors[tensor_of[FIRST_RUN + index / 16u]];
    if tensor.trained == 0.0 {
        return;
    }
    let w = parameters[index];
    update(index, gradient_seen(gradients[index], w, tensor), decayed(w, tensor), rate_of(tensor));
}
