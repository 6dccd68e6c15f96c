//! The driver by itself: small shaders for the known ways in which drivers fail, each a named check. `docs/doctor.md` says
//! what each is for.

mod numbers;

use std::sync::Arc;

use super::driver::{Driver, Probe, Words};
use super::matrix;
use super::parts::Notes;
use super::report::Check;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::product::Family;
use crate::kernels::storage::pack_halves;

/// The longest loop of a plan for any device, and of one for hardware: a layer's features, one at a time.
const LOOP: u32 = 65_000;
const LONG_LOOP: u32 = 260_000;

/// A check's body: the check as it begins, and as it ends.
type Body<'a> = &'a dyn Fn(Check) -> Result<Check>;

pub(super) fn check(notes: &Notes, driver: &Arc<dyn Driver>) {
    let Backend::Gpu(context) = &driver.device().backend else {
        return notes.note(Check::new("driver").skipped("the CPU device has no driver"));
    };
    let hardware = context.traits().family == Family::Hardware;
    let checked = context.checks_indexes();
    let subgroup = driver.device().info().subgroup_size;
    let all: [(&str, Body<'_>); 7] = [
        ("loops to their end", &|check| loops(check, driver.as_ref(), hardware)),
        ("subgroups of the size that is said", &|check| subgroups(check, driver.as_ref(), subgroup)),
        ("workgroup memory behind barriers", &|check| barriers(check, driver.as_ref())),
        ("NaN and infinity", &|check| numbers::special(check, driver.as_ref())),
        ("denormals", &|check| numbers::denormals(check, driver.as_ref())),
        ("fresh readbacks", &|check| readbacks(check, driver.as_ref())),
        ("indexes beyond a binding", &|check| beyond(check, driver.as_ref(), checked)),
    ];
    for (name, body) in all {
        notes.begin(name);
        if notes.is_over() {
            return notes.note(Check::new(name).skipped("no time is left, or the device is gone"));
        }
        match body(Check::new(name)) {
            Ok(check) => notes.note(check),
            Err(error) => notes.wrong(Check::new(name), &error),
        }
    }
    notes.begin("matrix units");
    patterns(notes, driver.as_ref());
}

/// The words of a probe's last buffer.
fn last(driver: &dyn Driver, probe: &Probe) -> Result<Vec<u32>> {
    Ok(driver.run(probe)?.pop().unwrap_or_default())
}

/// The first word that is not as expected, in words.
fn first_wrong(found: &[u32], expected: &[u32]) -> Option<String> {
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected);
    let at = at.or((found.len() < expected.len()).then_some(found.len()))?;
    let found = found.get(at).map_or("nothing".into(), u32::to_string);
    Some(format!("element {at} is {found}, expected {}", expected[at]))
}

/// What a turn of the loop does: a step of a generator of random numbers, of which no compiler knows the end.
fn turn(state: u32, i: u32) -> u32 {
    state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) ^ i
}

/// Some drivers end a loop early, without a word.
fn loops(check: Check, driver: &dyn Driver, hardware: bool) -> Result<Check> {
    const TEXT: &str = "@group(0) @binding(0) var<storage, read> bounds: array<u32>;
@group(0) @binding(1) var<storage, read_write> states: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var state = 0u;
    let bound = bounds[0];
    for (var i = 0u; i < bound; i++) {
        state = (1664525u * state + 1013904223u) ^ i;
    }
    states[id.x] = state;
}
";
    // What is wrong with a loop of so many turns.
    let problem = |bound: u32| -> Result<Option<String>> {
        let buffers = vec![Words::whole(vec![bound, 0, 0, 0]), Words::whole(vec![0; 64])];
        let found = last(driver, &Probe { name: "loops to their end", text: TEXT.into(), buffers, groups: 1 })?;
        let Some(wrong) = first_wrong(&found, &[(0..bound).fold(0, turn); 64]) else { return Ok(None) };
        let mut states = (0..bound).scan(0, |state, i| Some(std::mem::replace(state, turn(*state, i))));
        let ended = states.position(|state| found.contains(&state));
        let ended = ended.map(|turns| format!("it ends after {turns} turns"));
        Ok(Some(format!("a loop of {bound} turns: {}", ended.unwrap_or(wrong))))
    };
    if let Some(wrong) = problem(LOOP)? {
        return Ok(check.failed(wrong));
    }
    Ok(match problem(LONG_LOOP)? {
        None => check.passed(format!("{LOOP} and {LONG_LOOP} turns")),
        Some(wrong) if hardware => check.failed(wrong),
        Some(wrong) => check.noted(format!("{wrong}; plans for software drivers have none beyond {LOOP}")),
    })
}

fn subgroups(check: Check, driver: &dyn Driver, said: Option<usize>) -> Result<Check> {
    const TEXT: &str = "@group(0) @binding(0) var<storage, read_write> found: array<vec4<u32>>;
@compute @workgroup_size(64)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    found[local] = vec4<u32>(size, subgroupAdd(1u), lane, subgroupBroadcast(local, 0u));
}
";
    let Some(said) = said else {
        return Ok(check.skipped("its subgroups have several sizes, or none are switched on: wgrad uses none"));
    };
    let said = said as u32;
    let buffers = vec![Words::whole(vec![0; 4 * 64])];
    let found = last(driver, &Probe { name: "subgroups", text: TEXT.into(), buffers, groups: 1 })?;
    let expected: Vec<_> = (0..64).flat_map(|local| [said, said, local % said, local / said * said]).collect();
    Ok(match first_wrong(&found, &expected) {
        None => check.passed(format!("{said} invocations each, neighbours in the workgroup")),
        Some(wrong) => {
            let what = ["the size", "the number of invocations", "the place in the subgroup", "what is broadcast"];
            let at = found.iter().zip(&expected).position(|(found, expected)| found != expected).unwrap_or(0);
            check.failed(format!("subgroups of {said} are said; {} of invocation {}: {wrong}", what[at % 4], at / 4))
        }
    })
}

/// What one invocation wrote before a barrier, another reads behind it.
fn barriers(check: Check, driver: &dyn Driver) -> Result<Check> {
    const GROUPS: u32 = 64;
    const TEXT: &str = "@group(0) @binding(0) var<storage, read_write> found: array<u32>;
var<workgroup> memory: array<u32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var value = 7u * local + group.x;
    for (var turn = 0u; turn < 32u; turn++) {
        memory[local] = value;
        workgroupBarrier(); // read only when all is written
        value = 3u * value + memory[(local + 37u * turn + 1u) % 256u];
        workgroupBarrier(); // written again only when all is read
    }
    found[256u * group.x + local] = value;
}
";
    let mut expected = Vec::new();
    for group in 0..GROUPS {
        let mut values: Vec<u32> = (0..256).map(|local| 7 * local + group).collect();
        for turn in 0..32 {
            let read = |local: usize| values[(local + 37 * turn + 1) % 256];
            values = (0..256).map(|local| values[local].wrapping_mul(3).wrapping_add(read(local))).collect();
        }
        expected.extend(values);
    }
    let buffers = vec![Words::whole(vec![0; expected.len()])];
    let found = last(driver, &Probe { name: "barriers", text: TEXT.into(), buffers, groups: GROUPS })?;
    Ok(match first_wrong(&found, &expected) {
        None => check.passed("32 exchanges among 256 invocations, in 64 workgroups"),
        Some(wrong) => check.failed(format!("an invocation read what was not yet, or no longer, there: {wrong}")),
    })
}

fn readbacks(check: Check, driver: &dyn Driver) -> Result<Check> {
    const ROUNDS: u32 = 32;
    let expected: Vec<_> = (0..ROUNDS).map(|round| 2 * round + 1).collect();
    let found = driver.readbacks(ROUNDS)?;
    let stale = |at: usize| at > 0 && expected[..at].contains(&found[at]);
    let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    Ok(match (wrong, first_wrong(&found, &expected)) {
        (Some(at), Some(wrong)) if stale(at) => check.failed(format!("{wrong}: it is from an earlier submission")),
        (_, Some(wrong)) => check.failed(wrong),
        (_, None) => check.passed(format!("{ROUNDS} numbers, through one buffer")),
    })
}

/// A binding is the middle of a buffer; what stands before and behind it must stay, wherever indexes point.
fn beyond(check: Check, driver: &dyn Driver, checked: bool) -> Result<Check> {
    const GUARD: u32 = 0xabcd_1234;
    const TEXT: &str = "@group(0) @binding(0) var<storage, read> places: array<u32>;
@group(0) @binding(1) var<storage, read_write> read_back: array<u32>;
@group(0) @binding(2) var<storage, read_write> bound: array<u32>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) local: u32) {
    let place = places[local];
    read_back[local] = bound[place];
    bound[place] = 7u;
}
";
    let within = 256..512;
    let mut words = vec![GUARD; 1024];
    words[within.clone()].fill(7);
    let places = vec![0, 255, 256, 300, 767, 1 << 20, 1 << 28, u32::MAX];
    let buffers =
        vec![Words::whole(places), Words::whole(vec![0; 8]), Words { words: words.clone(), bound: within.clone() }];
    let all = driver.run(&Probe { name: "indexes beyond a binding", text: TEXT.into(), buffers, groups: 1 })?;
    let [_, read, bound] = <[Vec<u32>; 3]>::try_from(all).unwrap_or_default();
    let changed = bound.iter().zip(&words).position(|(found, before)| found != before);
    let leaked = read.iter().position(|&word| word != 0 && word != 7);
    let robust =
        "this driver keeps accesses within the buffer, not within the binding; wgrad's shaders write nothing there";
    Ok(match (changed, leaked) {
        (None, None) if bound.len() == words.len() => {
            check.passed("nothing was read or written outside of the binding")
        }
        (Some(at), _) if checked => {
            check.failed(format!("word {at} of the buffer, outside of the binding, was written"))
        }
        (_, Some(at)) if checked => check.failed(format!("read {:#x} from outside of the binding", read[at])),
        (Some(_), _) | (_, Some(_)) => check.noted(robust),
        (None, None) => check.failed("the buffer did not come back whole"),
    })
}

/// Each way of writing a product of matrices is a check of its own.
fn patterns(notes: &Notes, driver: &dyn Driver) {
    let Some(units) = driver.matrix_units() else {
        let detail = "none that wgrad can use, or not switched on (DeviceOptions::cooperative_matrices)";
        return notes.note(Check::new("matrix units").skipped(detail));
    };
    let (a, b, expected) = matrix::numbers(units.size);
    for (name, body) in matrix::PATTERNS {
        let check = Check::new(format!("matrix units: {name}"));
        let buffers = vec![
            Words::whole(pack_halves(&a)),
            Words::whole(pack_halves(&b)),
            Words::whole(vec![matrix::TERMS as u32, 0, 0, 0]),
            Words::whole(vec![0; units.size * units.size]),
        ];
        let probe = Probe { name: "matrix units", text: matrix::shader(units, body), buffers, groups: 1 };
        match last(driver, &probe) {
            Ok(found) => notes.note(match matrix::compare(bytemuck::cast_slice(&found), &expected) {
                None => check.passed("exact"),
                Some(wrong) => check.failed(wrong),
            }),
            Err(error) => notes.wrong(check, &error),
        }
    }
}
