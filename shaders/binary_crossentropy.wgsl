// binary_crossentropy: sigmoid and binary cross-entropy from the logits, with their gradient, and whether the first largest logit
//   stands where the first largest target does; with one output, whether p and t lie on the same side of one half
//
// Formulas: parts/loss_binary_crossentropy.wgsl. Shapes and grid: parts/loss_rows.wgsl, which has main().
// Reference: src/kernels/binary_crossentropy.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<gradient_number>;
@group(0) @binding(4) var<storage, read_write> rows: array<vec2<f32>>;
