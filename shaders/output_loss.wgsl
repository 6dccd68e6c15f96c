// output_loss: a loss of outputs in memory, with its gradient, and whether the first largest output stands where the first largest
//   target does; with one output, whether both lie on the same side, of THRESHOLD and of one half
//
// Formulas: parts/loss_*.wgsl. Shapes and grid: parts/loss_rows.wgsl, which has main().
// Reference: src/kernels/output_loss.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<gradient_number>;
@group(0) @binding(4) var<storage, read_write> rows: array<vec2<f32>>;
