// gradient_scales: the factor by which clipping shrinks each tensor's gradient, from the chunks' sums of squares
//   clipnorm         CLIP / max(‖g of the tensor‖, CLIP)
//   global_clipnorm  CLIP / max(‖g of all tensors‖, CLIP), with GLOBAL
//
// Shapes: sums [CHUNKS]; ranges [TENSORS] of (first chunk, end); tensors [TENSORS], see parts/tensors.wgsl.
// Grid: one workgroup. Reference: src/kernels/gradient_scales.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> ranges: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> tensors: array<Tensor>;

// Not max(), which may make a number of a NaN: a NaN among the gradients stays one.
fn factor(squares: f32) -> f32 {
    let norm = sqrt(squares);
    return select(CLIP / norm, 1.0, norm < CLIP);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
    var all = 0.0;
    for (var t = 0u; t < TENSORS; t++) {
        var squares = 0.0;
        for (var i = ranges[t].x + local; i < ranges[t].y; i += WORKGROUP) {
            squares += sums[i];
        }
        let sum = lanes_sum(local, squares);
        all += sum;
        if !GLOBAL && local == 0u {
            tensors[t].factor = factor(sum);
        }
    }
    if GLOBAL {
        for (var t = local; t < TENSORS; t += WORKGROUP) {
            tensors[t].factor = factor(all);
        }
    }
}
