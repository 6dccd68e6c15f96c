// softmax_cross_entropy: softmax and categorical cross-entropy from the logits, with their gradient, and whether the first largest
//   logit stands where the first largest target does
//
// Formulas: parts/loss_softmax_cross_entropy.wgsl. Shapes and grid: parts/loss_rows.wgsl, which has main().
// Reference: src/kernels/softmax_cross_entropy.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<gradient_number>;
@group(0) @binding(4) var<storage, read_write> rows: array<vec2<f32>>;
