// rmsprop_update, as Keras 3 has it (ε inside the root, and under the root in the centred form too):
//   v ← ρ·v + (1 − ρ)·g²;  with CENTERED a ← ρ·a + (1 − ρ)·g, and d = v − a², else d = v
//   with MOMENTUM m ← momentum·m + η·g/√(d + ε), w ← w − m, else w ← w − η·g/√(d + ε)
//
// Shapes: parameters, gradients and slots are flat, BLOCKS blocks of four; tensors and tensor_of: parts/update.wgsl.
// Grid: one invocation a block of four. Reference: src/kernels/rmsprop_update.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tensors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tensor_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> velocities: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> averages: array<vec4<f32>>;  // a, only with CENTERED
@group(0) @binding(7) var<storage, read_write> momentums: array<vec4<f32>>; // m, only with MOMENTUM

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
    let v = RHO * velocities[index] + (1.0 - RHO) * g * g;
    velocities[index] = v;
    var d = v + EPSILON;
    if CENTERED {
        let a = RHO * averages[index] + (1.0 - RHO) * g;
        averages[index] = a;
        d -= a * a;
    }
    var change = step.learning_rate * g / sqrt(d);
    if MOMENTUM > 0.0 {
        change += MOMENTUM * momentums[index];
        momentums[index] = change;
    }
    parameters[index] = w - change;
}
