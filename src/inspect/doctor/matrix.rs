//! Matrix units by themselves: products of small whole numbers, which must come out exactly, written in the ways in
//! which compilers have got them wrong. One engine saw exactly twice the sums where an accumulator is carried through a
//! loop.

use crate::kernels::product::cooperative::CooperativeMatrix;

/// Matrices whose products are added up.
pub const TERMS: usize = 4;

/// A name, and the body that leaves the sum in `sum`.
pub const PATTERNS: [(&str, &str); 6] = [
    (
        "terms one after the other",
        "sum = term(0u, sum); sum = term(1u, sum); sum = term(2u, sum); sum = term(3u, sum);",
    ),
    (
        "a sum carried through a loop",
        "for (var k = 0u; k < TERMS; k++) { sum = coopMultiplyAdd(load_a(k), load_b(k), sum); }",
    ),
    (
        "a sum carried through a loop whose bound is read",
        "for (var k = 0u; k < bound[0]; k++) { sum = coopMultiplyAdd(load_a(k), load_b(k), sum); }",
    ),
    (
        "an array of sums",
        "var sums: array<Sum, 2>;
        for (var k = 0u; k < TERMS; k++) {
            for (var i = 0u; i < 2u; i++) { sums[i] = coopMultiplyAdd(load_a(k), load_b(k), sums[i]); }
        }
        sum = sums[1];",
    ),
    (
        "an array of factors",
        "for (var k = 0u; k < TERMS; k += 2u) {
            var b: array<B, 2>;
            for (var i = 0u; i < 2u; i++) { b[i] = load_b(k + i); }
            for (var i = 0u; i < 2u; i++) { sum = coopMultiplyAdd(load_a(k + i), b[i], sum); }
        }",
    ),
    (
        "two loops, one in the other",
        "for (var k = 0u; k < TERMS; k += 2u) {
            for (var i = 0u; i < 2u; i++) { sum = coopMultiplyAdd(load_a(k + i), load_b(k + i), sum); }
        }",
    ),
];

/// The factors row by row, term after term, and the sum of their products.
pub fn numbers(size: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let number = |seed: usize, i: usize| ((i * 7 + i / 5 * 3 + seed) % 5) as f32 - 2.0;
    let [a, b] = [1, 3].map(|seed| (0..TERMS * size * size).map(|i| number(seed, i)).collect::<Vec<_>>());
    let mut sum = vec![0.0; size * size];
    for term in 0..TERMS {
        let at = term * size * size;
        for (index, sum) in sum.iter_mut().enumerate() {
            let (row, column) = (index / size, index % size);
            *sum += (0..size).map(|k| a[at + row * size + k] * b[at + k * size + column]).sum::<f32>();
        }
    }
    (a, b, sum)
}

/// What is wrong, if anything.
pub fn compare(found: &[f32], expected: &[f32]) -> Option<String> {
    let apart: Vec<_> =
        found.iter().zip(expected).enumerate().filter(|(_, (found, expected))| found != expected).collect();
    let &(index, (found_one, expected_one)) = apart.first()?;
    let twice = found.iter().zip(expected).all(|(found, expected)| *found == 2.0 * expected);
    let share = if twice { ", all exactly twice".to_string() } else { format!(", {} of {}", apart.len(), found.len()) };
    Some(format!("element {index} is {found_one}, expected {expected_one}{share}"))
}

/// The shader of a pattern. It binds both factors in halves, a bound that is [`TERMS`], and the sum, as storage buffers.
pub fn shader(matrix: CooperativeMatrix, body: &str) -> String {
    let CooperativeMatrix { size, subgroup } = matrix;
    let area = size * size;
    let text = format!(
        "enable f16;
enable wgpu_cooperative_matrix;
alias A = coop_mat{size}x{size}<f16, A>;
alias B = coop_mat{size}x{size}<f16, B>;
alias Sum = coop_mat{size}x{size}<f32, C>;
const TERMS = {TERMS}u;
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;
@group(0) @binding(2) var<storage, read> bound: array<u32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@compute @workgroup_size({subgroup})
fn main() {{
    // What a matrix starts from; the bound is always read, so that all patterns have one layout.
    var sum = coopLoadT<Sum>(&c[min(bound[0], 0u)], {size}u);
    BODY
    coopStoreT(sum, &c[0], {size}u);
}}
"
    );
    let load = |name: &str, kind: &str, k: &str| format!("coopLoadT<{kind}>(&{name}[{area}u * ({k})], {size}u)");
    // WGSL has no functions that return such matrices, so these are written out.
    let mut body = body.to_string();
    for k in 0..TERMS {
        let term =
            format!("coopMultiplyAdd({}, {}, sum)", load("a", "A", &format!("{k}u")), load("b", "B", &format!("{k}u")));
        body = body.replace(&format!("term({k}u, sum)"), &term);
    }
    for k in ["k + i", "k"] {
        body = body
            .replace(&format!("load_a({k})"), &load("a", "A", k))
            .replace(&format!("load_b({k})"), &load("b", "B", k));
    }
    text.replace("BODY", &body)
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(compare(&[1.0, -2.0], &[1.0, -2.0]), None);
        assert_eq!(compare(&[2.0, -4.0], &[1.0, -2.0]), Some("element 0 is 2, expected 1, all exactly twice".into()));
        assert_eq!(compare(&[1.0, -4.0], &[1.0, -2.0]), Some("element 1 is -4, expected -2, 1 of 2".into()));
    }
}
