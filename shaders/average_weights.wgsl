// average_weights: average ← momentum·average + (1 − momentum)·w after each batch, until after the first update average ← w
//
// With OVERWRITE the weights become their average after every so many updates.
// Shapes: parameters and averages flat, BLOCKS blocks of four; tensors and tensor_of as for updates, parts/tensors.wgsl.
// Grid: one invocation a block of four. Reference: src/kernels/average_weights.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> tensors: array<Tensor>;
@group(0) @binding(2) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> averages: array<vec4<f32>>;

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
    if tensors[tensor_of[index / 16u]].trained == 0.0 {
        return;
    }
    var average = parameters[index];
    if step.iteration > 0u {
        average = MOMENTUM * averages[index] + (1.0 - MOMENTUM) * average;
    }
    averages[index] = average;
    if OVERWRITE > 0u && (step.iteration + 1u) % max(OVERWRITE, 1u) == 0u {
        parameters[index] = average;
    }
}
