//! Several shaders as one: launches that depend on nothing of each other then are a single dispatch, whose workgroups are
//! shared out among them. What a shader declares gets its number behind its name (`_side0`, which no name of its own ends
//! in), its bindings follow those before, and its `main` becomes a function that the whole's calls. The step block, which is
//! each shader's first binding, is bound once for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One of the shaders, as [`Header::compose`](super::Header::compose) makes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub text: &'a str,
    /// How many bindings it has, the step block among them.
    pub bindings: usize,
    /// How many workgroups its launch has.
    pub workgroups: usize,
    /// The side that declares its workgroup memory: itself, or an earlier one whose memory has the same names and sizes. A
    /// workgroup is one side's, so both can have it.
    pub memory: usize,
}

/// The step block and its type: the first side's, for all. One uniform buffer a side would count against a limit, and Mesa
/// 22.3.6's software device writes past its own memory while it compiles a shader with eight of them.
const STEP: [&str; 2] = ["step", "Step"];

/// What a shader's `main` may ask for: a built-in value, what it is called here, its type. `linear_group()` makes the number
/// of a workgroup of the first two; a side sees its own count of them.
const BUILTINS: [[&str; 3]; 3] = [
    ["workgroup_id", "group", "vec3<u32>"],
    ["num_workgroups", "groups", "vec3<u32>"],
    ["local_invocation_index", "local", "u32"],
];

/// The shader of all sides, whose workgroups are of one size. Those of the first come first.
pub(crate) fn side_by_side(sides: &[Side<'_>]) -> String {
    let mut enabled = BTreeSet::new();
    let (mut body, mut main) = (String::new(), String::new());
    let (mut bindings, mut end) = (0, 0);
    for (index, side) in sides.iter().enumerate() {
        let tokens = tokens(side.text);
        let shared = usize::from(index > 0);
        let first_binding = bindings - shared;
        let source =
            Renamed { owners: &owners(&tokens, index, side.memory), index, memory: side.memory, first_binding };
        let arguments = source.write(&tokens, &mut body, &mut enabled);
        let (start, count) = (end, side.workgroups);
        (bindings, end) = (bindings + side.bindings - shared, end + count);
        let arguments = arguments.iter().map(|name| match *name {
            "workgroup_id" => format!("vec3<u32>(at - {start}u, 0u, 0u)"),
            "num_workgroups" => format!("vec3<u32>({count}u, 1u, 1u)"),
            "local_invocation_index" => "local".to_string(),
            // Nothing else is had from a workgroup of several launches; naga says so of what is not declared.
            other => other.to_string(),
        });
        let call = format!("main_side{index}({});", arguments.collect::<Vec<_>>().join(", "));
        let otherwise = if index > 0 { " else " } else { "    " };
        // Writing to a String cannot fail.
        let _ = write!(main, "{otherwise}if at < {end}u {{\n        {call}\n    }}");
    }
    let enabled: String = enabled.iter().map(|extension| format!("enable {extension};\n")).collect();
    let parameters: String =
        BUILTINS.iter().map(|[of, name, kind]| format!("    @builtin({of}) {name}: {kind},\n")).collect();
    format!(
        "{enabled}{body}\n@compute @workgroup_size(WORKGROUP_side0)\nfn main(\n{parameters}) {{\n    \
         let at = group.y * groups.x + group.x;\n{main}\n}}\n"
    )
}

/// The text in pieces: names, numbers, and single characters. Comments are left out.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || (first.is_ascii_digit() && c == '.');
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if in_word(first) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        if !token.starts_with("//") {
            tokens.push(token);
        }
        rest = behind;
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn is_space(token: &str) -> bool {
    token.trim().is_empty()
}

/// What a side declares at module scope, each with the side whose declaration serves it.
fn owners<'a>(tokens: &[&'a str], side: usize, memory: usize) -> BTreeMap<&'a str, usize> {
    let mut owners = BTreeMap::new();
    let mut depth = 0;
    let mut declares = false;
    let mut in_angles = false;
    let mut is_memory = false;
    for &token in tokens {
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            // var<storage, read>
            "<" if declares => in_angles = true,
            ">" if declares => in_angles = false,
            "const" | "fn" | "alias" | "struct" | "var" if depth == 0 => (declares, is_memory) = (true, false),
            "workgroup" if in_angles => is_memory = true,
            name if declares && !in_angles && is_name(name) => {
                let owner = match is_memory {
                    true => memory,
                    false if STEP.contains(&name) => 0,
                    false => side,
                };
                owners.insert(name, owner);
                declares = false;
            }
            _ => {}
        }
    }
    owners
}

struct Renamed<'a> {
    owners: &'a BTreeMap<&'a str, usize>,
    index: usize,
    /// The side that declares its workgroup memory.
    memory: usize,
    first_binding: usize,
}

impl Renamed<'_> {
    /// Writes the text with its names changed; returns what its `main` takes, in order.
    fn write<'t>(&self, tokens: &[&'t str], body: &mut String, enabled: &mut BTreeSet<&'t str>) -> Vec<&'t str> {
        let mut arguments = Vec::new();
        let mut in_struct = false;
        let mut before = "";
        let mut rest = tokens;
        while let [token, behind @ ..] = rest {
            rest = behind;
            let next = behind.iter().find(|token| !is_space(token)).copied().unwrap_or("");
            match *token {
                "enable" => {
                    enabled.insert(next);
                    rest = after(behind, ";");
                }
                "@" if next == "group" && self.index > 0 && is_uniform(behind) => rest = after(behind, ";"),
                "struct" if self.index > 0 && STEP.contains(&next) => rest = after(behind, "}"),
                // The whole's main() is the entry point.
                "@" if next == "compute" => rest = after(behind, "compute"),
                "@" if next == "workgroup_size" => rest = after(behind, ")"),
                "@" if next == "builtin" => {
                    let inside = after(behind, "(");
                    arguments.extend(inside.first());
                    rest = after(inside, ")");
                }
                "binding" if before == "@" => {
                    let (inside, behind) = split_at_end(after(behind, "("));
                    let number: String = inside.iter().map(|token| self.renamed(token)).collect();
                    let _ = write!(body, "binding({number} + {}u)", self.first_binding);
                    rest = behind;
                }
                "var" if self.memory != self.index && is_memory(behind) => rest = after(behind, ";"),
                name if is_name(name) && before != "." && !(in_struct && next == ":") => {
                    in_struct |= name == "struct";
                    body.push_str(&self.renamed(name));
                }
                other => {
                    in_struct &= other != "}";
                    body.push_str(other);
                }
            }
            if !is_space(token) {
                before = token;
            }
        }
        arguments
    }

    fn renamed(&self, token: &str) -> String {
        match self.owners.get(token) {
            Some(owner) => format!("{token}_side{owner}"),
            None => token.to_string(),
        }
    }
}

/// Whether what stands behind `var` is workgroup memory.
fn is_memory(behind: &[&str]) -> bool {
    behind.starts_with(&["<", "workgroup", ">"])
}

/// Whether the declaration that begins here is a uniform buffer's.
fn is_uniform(behind: &[&str]) -> bool {
    behind.iter().take_while(|token| **token != ";").any(|token| *token == "uniform")
}

/// What stands behind the next token of this kind.
fn after<'a, 't>(tokens: &'a [&'t str], token: &str) -> &'a [&'t str] {
    let place = tokens.iter().position(|found| *found == token).map_or(tokens.len(), |place| place + 1);
    &tokens[place..]
}

/// What stands before the next closing bracket, and behind it.
fn split_at_end<'a, 't>(tokens: &'a [&'t str]) -> (&'a [&'t str], &'a [&'t str]) {
    let behind = after(tokens, ")");
    (&tokens[..(tokens.len() - behind.len()).saturating_sub(1)], behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: &str = "enable f16;
const SIZE = 4u; // SIZE is a number
const SLOT = 1.5e-3;
struct Step {
    rows: u32,
}
struct Pair {
    x: f32,
    step: u32,
}
var<workgroup> memory: array<u32, SIZE>;
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(SLOT + 1u) var<storage, read_write> x: array<Pair, SIZE>;
fn twice(x: u32) -> u32 {
    return 2u * x;
}
@compute @workgroup_size(SIZE)
fn main(@builtin(local_invocation_index) at: u32, @builtin(workgroup_id) group: vec3<u32>) {
    memory[at] = twice(step.rows + group.x);
    x[at].x = f32(memory[at]);
}
";

    #[test]
    fn names_bindings_and_workgroups_are_told_apart() {
        let side = |workgroups, memory| Side { text: SIDE, bindings: 2, workgroups, memory };
        let found = side_by_side(&[side(3, 0), side(5, 1)]);
        let expected = "const SIZE_side1 = 4u; 
const SLOT_side1 = 1.5e-3;

struct Pair_side1 {
    x: f32,
    step: u32,
}
var<workgroup> memory_side1: array<u32, SIZE_side1>;

@group(0) @binding(SLOT_side1 + 1u + 1u) var<storage, read_write> x_side1: array<Pair_side1, SIZE_side1>;
fn twice_side1(x_side1: u32) -> u32 {
    return 2u * x_side1;
}
 
fn main_side1( at: u32,  group: vec3<u32>) {
    memory_side1[at] = twice_side1(step_side0.rows + group.x);
    x_side1[at].x = f32(memory_side1[at]);
}
";
        assert!(found.starts_with("enable f16;\n\nconst SIZE_side0 = 4u;"), "{found}");
        assert!(found.contains(expected), "{found}");
        assert!(found.contains("@group(0) @binding(0 + 0u) var<uniform> step_side0: Step_side0;"), "{found}");
        let main = "@compute @workgroup_size(WORKGROUP_side0)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.y * groups.x + group.x;
    if at < 3u {
        main_side0(local, vec3<u32>(at - 0u, 0u, 0u));
    } else if at < 8u {
        main_side1(local, vec3<u32>(at - 3u, 0u, 0u));
    }
}
";
        assert!(found.ends_with(main), "{found}");
        let shared = side_by_side(&[side(3, 0), side(5, 0)]);
        let expected = found
            .replace("var<workgroup> memory_side1: array<u32, SIZE_side1>;", "")
            .replace("memory_side1", "memory_side0");
        assert_eq!(shared, expected);
    }
}
