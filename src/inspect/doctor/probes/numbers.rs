//! Numbers that are none, and those that are nearly nothing.

use super::super::driver::{Driver, Probe, Words};
use super::super::report::Check;
use super::last;
use crate::error::Result;

/// A name, a formula, and whether what came of it is right.
type Case = (&'static str, &'static str, fn(f32) -> bool);

/// What is done with each, and what must come of it. Operands are read, so that no compiler knows them. Whether a NaN differs
/// from itself is not asked: lavapipe says no, and wgrad's shaders look at the bits.
const SPECIAL: [Case; 8] = [
    ("NaN, passed on", "1.0 * x[0] + 0.0", f32::is_nan),
    ("0 times NaN", "x[4] * x[0]", f32::is_nan),
    ("whether NaN is above 0", "select(0.0, 1.0, x[0] > x[4])", |y| y == 0.0),
    ("infinity plus 1", "x[1] + 1.0", |y| y == f32::INFINITY),
    ("infinity minus infinity", "x[1] + x[2]", f32::is_nan),
    ("0 times infinity", "x[4] * x[1]", f32::is_nan),
    ("3e38 times 10", "x[3] * x[5]", |y| y == f32::INFINITY),
    ("minus infinity, passed on", "1.0 * x[2]", |y| y == f32::NEG_INFINITY),
];

const OPERANDS: [f32; 8] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, 0.0, 10.0, 0.0, 0.0];

fn shader(formulas: &[&str]) -> String {
    let lines = formulas.iter().enumerate().map(|(at, formula)| format!("    y[{at}] = {formula};\n"));
    format!(
        "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn main() {{
{}}}
",
        lines.collect::<String>()
    )
}

fn found(driver: &dyn Driver, name: &'static str, operands: &[f32], formulas: &[&str]) -> Result<Vec<f32>> {
    let operands = operands.iter().map(|operand| operand.to_bits()).collect();
    let buffers = vec![Words::whole(operands), Words::whole(vec![0; formulas.len().max(4)])];
    let words = last(driver, &Probe { name, text: shader(formulas), buffers, groups: 1 })?;
    Ok(words.into_iter().map(f32::from_bits).collect())
}

/// A training that diverges must be seen to: its loss is NaN, and must stay one on its way to the host.
pub(super) fn special(check: Check, driver: &dyn Driver) -> Result<Check> {
    let formulas = SPECIAL.map(|(_, formula, _)| formula);
    let found = found(driver, "NaN and infinity", &OPERANDS, &formulas)?;
    let wrong = |(&(name, _, holds), &found): (&Case, &f32)| (!holds(found)).then(|| format!("{name} is {found}"));
    let wrong: Vec<_> = SPECIAL.iter().zip(&found).filter_map(wrong).collect();
    Ok(match wrong.as_slice() {
        [] => check.passed("they are what they are, through eight operations"),
        wrong => check.failed(format!("{}: a training that diverges could look healthy", wrong.join("; "))),
    })
}

/// Numbers below 2⁻¹²⁶ may be taken for 0, says WGSL. Nothing else may become of them.
pub(super) fn denormals(check: Check, driver: &dyn Driver) -> Result<Check> {
    let (denormal, smallest) = (f32::from_bits(0x0040_0000), f32::MIN_POSITIVE);
    let operands = [denormal, smallest, 0.5, 1.0];
    let cases = [
        ("a denormal times 1", "x[0] * x[3]", denormal),
        ("the smallest normal number times 0.5", "x[1] * x[2]", smallest * 0.5),
        ("the smallest normal number times 1", "x[1] * x[3]", smallest),
        ("a denormal plus the smallest normal number", "x[0] + x[1]", denormal + smallest),
    ];
    let found = found(driver, "denormals", &operands, &cases.map(|(_, formula, _)| formula))?;
    // Of the sum the denormal alone may be taken for 0.
    let flushed = [0.0, 0.0, smallest, smallest];
    for ((name, _, exact), (&found, flushed)) in cases.into_iter().zip(found.iter().zip(flushed)) {
        if found != exact && found != flushed {
            return Ok(check.failed(format!("{name} is {found:e}, expected {exact:e} or {flushed:e}")));
        }
    }
    Ok(match found[0] == denormal && found[1] == smallest * 0.5 {
        true => check.passed("they are kept"),
        false => check.noted("numbers below 1.2e-38 are taken for 0, as WGSL allows"),
    })
}
