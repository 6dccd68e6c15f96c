//! The floors: a module uses those below it and none above, and no files use each other in a circle. Every `crate::` and
//! `super::` path outside of tests is an arrow from the file that it stands in to the file that defines what it names;
//! `mod` lines and re-exports are none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The floors, lowest first; of a file the longest prefix counts. A new file needs a place here.
const FLOORS: &[&[&str]] = &[
    &["error", "blocking", "clock", "digest", "random", "step", "shader"],
    &["files", "cache", "memory", "net"],
    &["data", "cpu"],
    &["kernels"],
    &["records"],
    &["device"],
    &["layout"],
    &["plan"],
    &["executor"],
    &["launch", "model"],
    &["snapshot", "checkpoint"],
    &["callbacks"],
    &["train"],
    &["embed", "inspect", "fuzzing", "guide"],
];

/// A file's path under `src` without its ending: `plan/lower/dense`.
type File = String;

struct Source {
    /// Its text without comments, string contents and tests.
    text: String,
    /// Names that it hands on, with where they come from.
    handed_on: BTreeMap<String, Vec<String>>,
}

fn sources() -> BTreeMap<File, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
            let is_test = name.ends_with("tests") || path.extension().is_none_or(|ending| ending != "rs");
            if !is_test && name != "lib" {
                let text = plain(&std::fs::read_to_string(&path).unwrap());
                let module = name.trim_end_matches("/mod").to_string();
                let handed_on = handed_on(&text, &module);
                found.insert(module, Source { text, handed_on });
            }
        }
    }
    found
}

/// Rust without comments, and without what follows `#[cfg(test)]`.
fn plain(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every path that starts with `crate` or `super`, groups taken apart: `crate::a::{b, c::d}` is two.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | ':' | '$')) {
                expand(&text[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads one path from the start of `text` on; returns what follows it.
fn expand<'t>(text: &'t str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut group) = text.strip_prefix('{') {
        loop {
            group = group.trim_start();
            if let Some(rest) = group.strip_prefix('}') {
                return rest;
            }
            let depth = prefix.len();
            group = expand(group, prefix, found);
            prefix.truncate(depth);
            group = group.trim_start().strip_prefix(',').unwrap_or(group);
        }
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        let skip = text.chars().next().map_or(0, char::len_utf8); // A glob's star.
        found.push(prefix.clone());
        return &text[skip..];
    }
    prefix.push(name.to_string());
    match rest.strip_prefix("::") {
        Some(rest) => expand(rest, prefix, found),
        None => {
            found.push(prefix.clone());
            match rest.trim_start().strip_prefix("as ") {
                Some(rest) => &rest[rest.find([',', '}', ';']).unwrap_or(0)..],
                None => rest,
            }
        }
    }
}

/// A path's module names from the crate's root on.
fn absolute(path: &[String], module: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    if path[0] != "crate" {
        names = module.split('/').map(String::from).collect();
    }
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => drop(names.pop()),
            name => names.push(name.to_string()),
        }
    }
    names
}

/// The re-exports of a file: `use` with a visibility, or with none in a module whose children look there.
fn handed_on(text: &str, module: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (at, _) in text.match_indices("use ") {
        let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        if !text[line_start..at].trim_start().starts_with("pub") {
            continue;
        }
        let mut all = Vec::new();
        expand(&text[at + 4..], &mut Vec::new(), &mut all);
        for path in all {
            let mut path = path;
            if !matches!(path[0].as_str(), "crate" | "super" | "self") {
                path.insert(0, "self".into());
            }
            let target = absolute(&path, module);
            if let Some(name) = target.last() {
                found.insert(name.clone(), target.clone());
            }
        }
    }
    found
}

/// The file that defines what a path names.
fn definition(names: &[String], sources: &BTreeMap<File, Source>) -> Option<File> {
    let mut names = names.to_vec();
    for _ in 0..8 {
        let depth = (1..=names.len()).rev().find(|&depth| sources.contains_key(&names[..depth].join("/")))?;
        let file = names[..depth].join("/");
        let Some(item) = names.get(depth) else { return Some(file) };
        match sources[&file].handed_on.get(item) {
            Some(target) => names = [target.as_slice(), &names[depth + 1..]].concat(),
            None => return Some(file),
        }
    }
    None
}

/// Who uses whom, with one path that says so.
fn arrows(sources: &BTreeMap<File, Source>) -> BTreeMap<(File, File), String> {
    let mut arrows = BTreeMap::new();
    for (file, source) in sources {
        let text = without_handed_on(&source.text);
        for path in paths(&text) {
            let target = definition(&absolute(&path, file), sources);
            if let Some(target) = target.filter(|target| target != file) {
                arrows.insert((file.clone(), target), path.join("::"));
            }
        }
    }
    arrows
}

/// The text without its re-exports.
fn without_handed_on(text: &str) -> String {
    let mut kept = String::new();
    let mut within = false;
    for line in text.lines() {
        let starts = line.trim_start().starts_with("pub") && line.contains(" use ") || line.starts_with("pub use ");
        within |= starts;
        if !within {
            kept.push_str(line);
            kept.push('\n');
        }
        within &= !line.contains(';');
    }
    kept
}

fn floor(file: &str) -> Option<usize> {
    let place = |prefix: &str| file == prefix || file.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    let places = FLOORS.iter().enumerate();
    let named = places.flat_map(|(floor, prefixes)| prefixes.iter().map(move |prefix| (floor, *prefix)));
    named.filter(|(_, prefix)| place(prefix)).max_by_key(|(_, prefix)| prefix.len()).map(|(floor, _)| floor)
}

#[test]
fn every_file_has_a_floor() {
    let without: Vec<_> = sources().into_keys().filter(|file| floor(file).is_none()).collect();
    assert!(without.is_empty(), "no floor in tests/floors.rs for {without:?}");
}

#[test]
fn no_arrow_runs_up() {
    let arrows = arrows(&sources());
    assert!(arrows.len() > 300, "the arrows are not found any more: {}", arrows.len());
    let up = arrows.iter().filter(|((from, to), _)| floor(from) < floor(to));
    let up: Vec<_> = up.map(|((from, to), path)| format!("src/{from}.rs uses src/{to}.rs: {path}")).collect();
    assert!(up.is_empty(), "{} arrows run up:\n{}", up.len(), up.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources();
    let mut left: BTreeMap<&File, BTreeSet<&File>> = sources.keys().map(|file| (file, BTreeSet::new())).collect();
    let arrows = arrows(&sources);
    for (from, to) in arrows.keys() {
        left.get_mut(from).unwrap().insert(to);
    }
    // Whoever uses nobody that is left goes; then those that nobody left uses.
    loop {
        let before = left.len();
        let still: BTreeSet<_> = left.keys().copied().collect();
        left.retain(|_, uses| uses.iter().any(|used| still.contains(used)));
        let used: BTreeSet<_> = left.values().flatten().copied().collect();
        left.retain(|file, _| used.contains(file));
        if left.len() == before {
            break;
        }
    }
    let inside = arrows.iter().filter(|((from, to), _)| left.contains_key(from) && left.contains_key(to));
    let inside: Vec<_> = inside.map(|((from, to), path)| format!("src/{from}.rs uses src/{to}.rs: {path}")).collect();
    assert!(left.is_empty(), "circles:\n{}", inside.join("\n"));
}

/// Paths are taken apart as the compiler does it.
#[test]
fn paths_are_read() {
    let text = "use crate::a::{B, c::{D, E as F}, self};\nuse super::g::*; let x = crate::h::i(1);";
    let found: Vec<_> = paths(text).iter().map(|path| path.join("::")).collect();
    let expected = ["crate::a::B", "crate::a::c::D", "crate::a::c::E", "crate::a::self", "crate::h::i", "super::g"];
    assert_eq!(found, expected);
    let super_path = ["super", "g"].map(String::from);
    assert_eq!(absolute(&super_path, "plan/lower/dense"), ["plan", "lower", "g"]);
}
