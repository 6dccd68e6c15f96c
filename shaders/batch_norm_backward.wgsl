// batch_norm_backward: dγ[c] = Σ over the batch of dy·x̂, dβ[c] = Σ over the batch of dy, and from both
//   dx[r, c] = γ[c]·s[c]·(dy[r, c] − dβ[c]/B − x̂[r, c]·dγ[c]/B)
//   with s = 1/√(variance + ε) and x̂ = (x − mean)·s, mean and variance being those of the batch
//
// Shapes: dy, x, dx [B, F], rows padded to COLUMN_BLOCKS blocks of four with zeros; γ [F] in `weights`, where the layer has it
// (parts/norm.wgsl); moments: the means [F], then s [F], from the forward pass; dγ and dβ [F] in `gradients`, each where the
// layer has it, at GAMMA_OFFSET and BETA_OFFSET in blocks (parts/gradients.wgsl).
// Grid: a workgroup TILE blocks of columns, whose rows it reads twice (parts/columns.wgsl).
// Reference: src/kernels/batch_norm_backward.rs.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> dy: array<dy_vec4>;
@group(0) @binding(2) var<storage, read> x: array<x_vec4>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dx: array<dx_vec4>; // only with INPUT_GRADIENT
@group(0) @binding(6) var<storage, read_write> gradients: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_group(group, groups) * TILE + local % TILE;
    let part = local / TILE;
    // No early return: all invocations of a workgroup meet at the barriers. Columns that do not exist have no rows.
    let exists = column < COLUMN_BLOCKS;
    let rows = select(0u, step.rows, exists);
    let count = f32(max(step.rows, 1u));
    let own = select(0u, column, exists);
    let mean = moments[own];
    let inverse = moments[COLUMN_BLOCKS + own];
    var sums = vec4<f32>(0.0);
    var products = vec4<f32>(0.0);
    for (var r = part; r < rows; r += PARTS) {
        let at = r * COLUMN_BLOCKS + column;
        let gradient = vec4<f32>(dy[at]);
        sums += gradient;
        products += gradient * ((vec4<f32>(x[at]) - mean) * inverse);
    }
    let of_gamma = columns_sum(local, products);
    let of_beta = columns_sum(local, sums);
    if !exists {
        return;
    }
    if INPUT_GRADIENT {
        let keep = own_columns(column, COLUMNS);
        let factor = gamma_of(column) * inverse;
        let mean_gradient = of_beta / count;
        let mean_product = of_gamma / count;
        for (var r = part; r < 4u * row_blocks_of(step.rows); r += PARTS) {
            let at = r * COLUMN_BLOCKS + column;
            let normalized = (vec4<f32>(x[at]) - mean) * inverse;
            let gradient = factor * (vec4<f32>(dy[at]) - mean_gradient - normalized * mean_product);
            let kept = select(vec4<f32>(0.0), gradient, keep & vec4<bool>(r < step.rows));
            dx[at] = dx_vec4(stored_gradient(kept));
        }
    }
    if part > 0u {
        return;
    }
    if HAS_GAMMA {
        keep_gradient(GAMMA_OFFSET + column, true_gradient(of_gamma));
    }
    if HAS_BETA {
        keep_gradient(BETA_OFFSET + column, true_gradient(of_beta));
    }
}
