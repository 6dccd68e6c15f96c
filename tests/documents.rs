//! The pages in the repository: their links lead somewhere, the files that they name exist, and two of them stay short.
//!
//! A paragraph or a row of a table with a comment `house: check` names files that are still to come, and is passed over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What marks text about files that are still to come.
const TO_COME: &str = "house: check";

/// The example that CONTRIBUTING goes through; its files do not exist.
const EXAMPLE: &str = "abs_forward";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages, by their paths from the root.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for directory in ["", "docs", "src/guide", "benches/peers", "tests/golden"] {
        let found = std::fs::read_dir(root().join(directory)).into_iter().flatten();
        let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        pages.extend(names.filter(|name| name.ends_with(".md")).map(|name| Path::new(directory).join(name)));
    }
    assert!(pages.iter().any(|page| page.ends_with("DESIGN.md")), "{pages:?}");
    pages
}

fn read(page: &Path) -> String {
    let path = root().join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A page's text without the blocks of code in it.
fn prose(page: &Path) -> String {
    let mut code = false;
    let text = read(page);
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !fence && !code
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// Where the links of a page lead: `[words](target)`, `![words](target)` and `[words]: target`.
fn targets(text: &str) -> Vec<String> {
    let end = |rest: &str, ends: &[char]| rest.split(ends).next().unwrap_or_default().trim().to_string();
    let inline = text.split("](").skip(1).map(|rest| end(rest, &[')']));
    let listed = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.chain(listed.map(|(_, target)| end(target, &[' ']))).collect()
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
    };
    headings.map(slug).collect()
}

/// What is wrong with a link of a page, if anything is.
fn wrong(page: &Path, target: &str) -> Option<String> {
    // Addresses elsewhere, and items of the crate, which rustdoc looks up.
    if ["https://", "http://", "crate::", "std::", "struct@"].iter().any(|start| target.starts_with(start)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let directory = page.parent().unwrap();
    let linked = if path.is_empty() { page.to_owned() } else { directory.join(path) };
    if !root().join(&linked).exists() {
        return Some(format!("{}: no file {target}", page.display()));
    }
    let known = anchor.is_none_or(|anchor| anchors(&linked).contains(anchor));
    (!known).then(|| format!("{}: no heading {target}", page.display()))
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    let mut found = Vec::new();
    for page in pages() {
        for target in targets(&prose(&page)) {
            count += 1;
            found.extend(wrong(&page, &target));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(count > 50, "only {count} links were found");
}

/// Paragraphs, and rows of tables by themselves.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('|') {
            blocks.push(String::new());
        }
        blocks.last_mut().unwrap().push_str(&format!("{line}\n"));
    }
    blocks
}

/// Whether this is a path from the root, and of one file or folder.
fn is_path(words: &str) -> bool {
    let folders = ["src/", "shaders/", "tests/", "docs/", "examples/", "benches/", "scripts/"];
    let pattern = |c: char| c.is_whitespace() || "*{}…()".contains(c);
    folders.iter().any(|folder| words.starts_with(folder)) && !words.contains(pattern) && !words.contains("NAME")
}

#[test]
fn files_that_pages_name_exist() {
    let mut count = 0;
    let mut missing = Vec::new();
    // The journal speaks of the past.
    for page in pages().into_iter().filter(|page| !page.ends_with("journal.md")) {
        for block in blocks(&prose(&page)).iter().filter(|block| !block.contains(TO_COME)) {
            let quoted = block.split('`').skip(1).step_by(2).filter(|words| is_path(words) && !words.contains(EXAMPLE));
            for path in quoted {
                count += 1;
                if !root().join(path).exists() {
                    missing.push(format!("{}: `{path}` does not exist", page.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(count > 50, "only {count} names were found");
}

#[test]
fn the_first_page_is_short() {
    let bytes = read(Path::new("README.md")).len();
    assert!(bytes <= 10_000, "README.md has {bytes} bytes: what users need beyond the start belongs into src/guide");
}

#[test]
fn the_design_can_be_read_at_once() {
    let words = read(Path::new("DESIGN.md")).split_whitespace().count();
    assert!(words <= 3_000, "DESIGN.md has {words} words: a topic that needs more room has a page in docs");
}

/// The guide has a chapter for each file, and none without one.
#[test]
fn every_chapter_of_the_guide_is_in_the_documentation() {
    let guide = std::fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let chapters: Vec<_> = pages().into_iter().filter(|page| page.starts_with("src/guide")).collect();
    assert!(!chapters.is_empty());
    for chapter in chapters {
        let name = chapter.file_stem().unwrap().to_str().unwrap();
        for text in
            [format!("include_str!(\"guide/{name}.md\")"), format!("pub mod {name} {{}}"), format!("[`{name}`]")]
        {
            assert!(guide.contains(&text), "src/guide.rs has no {text}");
        }
    }
}
