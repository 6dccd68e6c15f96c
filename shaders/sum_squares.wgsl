// sum_squares: for each chunk of a tensor, the sum over its elements of
//   (g + 2·l2·w + l1·sign w)²  with OF_GRADIENTS: the squares behind a gradient's norm, the penalty's included
//   l2·w² + l1·|w|             without: the penalty that is part of the loss
//
// Shapes: gradients, parameters flat, in blocks of four; tensors: parts/tensors.wgsl; chunks [CHUNKS] of
// (first block, blocks, tensor, 0); sums [CHUNKS].
// Grid: one workgroup a chunk. Reference: src/kernels/sum_squares.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tensors: array<Tensor>;
@group(0) @binding(4) var<storage, read> chunks: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_group(group, groups);
    // The grid may have more workgroups than there are chunks; the last chunk is then read again and not written.
    let chunk = chunks[min(at, CHUNKS - 1u)];
    let tensor = tensors[chunk.z];
    var squares = vec4<f32>(0.0);
    for (var i = chunk.x + local; i < chunk.x + chunk.y; i += WORKGROUP) {
        if OF_GRADIENTS {
            let g = gradients[i] + penalty_slope(parameters[i], tensor);
            squares += g * g;
        } else {
            squares += tensor.l2 * parameters[i] * parameters[i] + tensor.l1 * abs(parameters[i]);
        }
    }
    let sum = lanes_sum(local, (squares.x + squares.y) + (squares.z + squares.w));
    if local == 0u && at < CHUNKS {
        sums[at] = sum;
    }
}
