//! The naming law: an operation has one name, in the registry, `shaders`, `src/kernels` and `tests/kernels`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wgrad::kernels::REGISTRY;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of a directory's files that end in `.ending`, without those in `except`.
fn names(directory: &str, ending: &str, except: &[&str]) -> BTreeSet<String> {
    let directory = root().join(directory);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("a directory entry").path());
    let named = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
    let stem = |path: PathBuf| path.file_stem().expect("a file name").to_string_lossy().into_owned();
    named.map(stem).filter(|name| !except.contains(&name.as_str())).collect()
}

fn registered() -> BTreeSet<String> {
    REGISTRY.iter().map(|definition| definition.name.to_string()).collect()
}

#[test]
fn every_operation_is_registered_once() {
    assert_eq!(registered().len(), REGISTRY.len());
}

#[test]
fn shaders_are_named_after_operations() {
    assert_eq!(names("shaders", "wgsl", &[]), registered());
}

#[test]
fn kernels_are_named_after_operations() {
    // What an operation is stands beside them.
    assert_eq!(names("src/kernels", "rs", &["operation", "real"]), registered());
}

#[test]
fn tests_are_named_after_operations() {
    assert_eq!(names("tests/kernels", "rs", &["main", "harness"]), registered());
}

#[test]
fn every_test_is_run() {
    let main = std::fs::read_to_string(root().join("tests/kernels/main.rs")).unwrap();
    let (_, list) = main.split_once("operations! {").expect("the list of operations");
    let (list, _) = list.split_once('}').expect("the end of the list");
    let listed: BTreeSet<_> = list.split(',').map(|name| name.trim().to_string()).filter(|n| !n.is_empty()).collect();
    assert_eq!(listed, registered());
}

#[test]
fn a_registered_source_is_the_file_of_that_name() {
    for definition in REGISTRY {
        let path = root().join("shaders").join(definition.name).with_extension("wgsl");
        assert_eq!(definition.source, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}

/// A header opens with the operation's name and says where its reference is.
#[test]
fn shaders_name_their_operation_and_reference() {
    for definition in REGISTRY {
        let header: Vec<_> = definition.source.lines().take_while(|line| line.starts_with("//")).collect();
        let opening = format!("// {}", definition.name);
        assert!(header.first().is_some_and(|line| line.starts_with(&opening)), "{}: {header:?}", definition.name);
        let reference = format!("Reference: src/kernels/{}.rs", definition.name);
        assert!(header.iter().any(|line| line.contains(&reference)), "{}: {header:?}", definition.name);
        assert!(Path::new(&root()).join("src/kernels").join(definition.name).with_extension("rs").exists());
    }
}

#[test]
fn rust_files_open_with_their_operation() {
    for definition in REGISTRY {
        for directory in ["src/kernels", "tests/kernels"] {
            let path = root().join(directory).join(definition.name).with_extension("rs");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&format!("//! {}", definition.name)), "{}", path.display());
        }
    }
}

#[test]
fn parts_have_their_mirrors() {
    // product.rs mirrors the tilings product_*.wgsl; the step block's mirror is src/step.rs, and that of the layout of the
    // tensor table, tensors.wgsl, is TENSOR_ENTRY in update.rs.
    let mirrored: BTreeSet<_> = [
        "activation",
        "adadelta",
        "adagrad",
        "adam",
        "adamax",
        "gradients",
        "columns",
        "ftrl",
        "hash",
        "lanes",
        "lion",
        "loss",
        "nadam",
        "noise",
        "norm",
        "product",
        "rmsprop",
        "scale",
        "sgd",
        "storage",
        "targets",
        "update",
    ]
    .map(String::from)
    .into();
    assert_eq!(names("src/kernels/parts", "rs", &["mod"]), mirrored);
    let shaders = names("shaders/parts", "wgsl", &["step", "tensors"]);
    let kinds = shaders.iter().map(|name| name.split('_').next().unwrap().to_string());
    assert_eq!(kinds.collect::<BTreeSet<_>>(), mirrored);
}
