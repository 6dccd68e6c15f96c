// mean_squared_error: the mean over a row's outputs of (y − t)², with its gradient, and whether the first largest output stands where
//   the first largest target does; with one output, whether both lie on the same side of one half
//
// Formulas: parts/loss_mean_squared_error.wgsl. Shapes and grid: parts/loss_rows.wgsl, which has main().
// Reference: src/kernels/mean_squared_error.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<gradient_number>;
@group(0) @binding(4) var<storage, read_write> rows: array<vec2<f32>>;
