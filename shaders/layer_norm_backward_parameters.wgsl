// layer_norm_backward_parameters: dγ[c] = Σ over the batch of dy·x̂, dβ[c] = Σ over the batch of dy
//   with x̂[r, c] = (x[r, c] − mean x[r]) / √(variance x[r] + ε)
//
// Shapes: dy, x [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; moments [B] of (mean, 1/√(variance + ε)), from
// the forward pass; dγ and dβ [F] in `gradients`, each where the layer has it, at GAMMA_OFFSET and BETA_OFFSET in blocks (parts/gradients.wgsl).
// Grid: a workgroup TILE blocks of columns (parts/columns.wgsl). Reference: src/kernels/layer_norm_backward_parameters.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> x: array<x_vec4>;
@group(0) @binding(3) var<storage, read> moments: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> gradients: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_group(group, groups) * TILE + local % TILE;
    let part = local / TILE;
    // No early return: all invocations of a workgroup meet at the barriers. Columns that do not exist have no rows.
    let rows = select(0u, step.rows, column < COLUMN_BLOCKS);
    var sums = vec4<f32>(0.0);
    var products = vec4<f32>(0.0);
    for (var r = part; r < rows; r += PARTS) {
        let at = r * COLUMN_BLOCKS + column;
        let gradient = vec4<f32>(dy[at]);
        sums += gradient;
        // What pads a row has a distance from its mean too, but no gradient; set, as 0 · NaN would be a NaN.
        let normalized = (vec4<f32>(x[at]) - moments[r].x) * moments[r].y;
        products += gradient * select(vec4<f32>(0.0), normalized, own_columns(column, COLUMNS));
    }
    let of_gamma = columns_sum(local, products);
    let of_beta = columns_sum(local, sums);
    if part > 0u || column >= COLUMN_BLOCKS {
        return;
    }
    if HAS_GAMMA {
        keep_gradient(GAMMA_OFFSET + column, true_gradient(of_gamma));
    }
    if HAS_BETA {
        keep_gradient(BETA_OFFSET + column, true_gradient(of_beta));
    }
}
