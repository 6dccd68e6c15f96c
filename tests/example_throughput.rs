//! The benchmark as its users meet it, for a fraction of a second: a process with flags, text and files. `cargo build
//! --examples` builds it next to this test. The samples are made up, so no file and no network is needed.

#![cfg(feature = "native")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A moment of the tutorial's net on the CPU device.
const SHORT: &[&str] = &[
    "--device",
    "cpu",
    "--workload",
    "tutorial",
    "--samples",
    "512",
    "--seconds",
    "0.01",
    "--repeats",
    "2",
    "--ceiling",
    "64",
];

/// `target/<profile>/examples/throughput`, this test being `target/<profile>/deps/…`.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = profile.join("examples").join(format!("throughput{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is missing: `cargo build --examples` makes it", program.display());
    program
}

fn run(flags: &[&str]) -> Output {
    // An empty cache, so that the samples are made up on every machine.
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(example());
    command.args(flags).env_remove("MNIST_DIR").env_remove("RUST_LOG");
    for variable in ["XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"] {
        command.env(variable, empty.path());
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path} in {value:#}"))
}

#[test]
fn the_json_holds_figures_that_fit_together() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let text = text(&run(&[SHORT, &["--profile", "--json", file.to_str().unwrap()]].concat()));
    for word in ["tutorial on CPU", "784-512-10, batch 128", "made up", "samples/s", "dense_0.update"] {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let entry = &report["results"][0];
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    assert_eq!(entry["device"].as_str().unwrap().split(' ').next(), Some("CPU"));
    assert_eq!(number(entry, "/flops_per_step"), 209_453_056.0);
    assert_eq!(entry["precision"], "f32");
    let rate = number(entry, "/samples_per_second/median");
    assert!(number(entry, "/samples_per_second/min") <= rate && rate <= number(entry, "/samples_per_second/max"));
    assert!((number(entry, "/milliseconds_per_step") * rate / 128e3 - 1.0).abs() < 1e-9, "{entry:#}");
    assert!((number(entry, "/flops_per_second") / rate * 128.0 / 209_453_056.0 - 1.0).abs() < 1e-9, "{entry:#}");
    let share = number(entry, "/flops_per_second") / number(entry, "/ceiling/flops_per_second");
    assert!((number(entry, "/share_of_ceiling") / share - 1.0).abs() < 1e-9, "{entry:#}");
    assert!(entry["ceiling"]["source"].as_str().unwrap().contains("between registers"));
    let launches = entry["profile"].as_array().unwrap();
    assert_eq!(launches.len() as f64, number(entry, "/launches_per_step"));
    assert!(launches.iter().all(|launch| number(launch, "/seconds") >= 0.0 && number(launch, "/bytes") > 0.0));
    for path in ["/first_step_seconds", "/since_start_seconds", "/evaluate_samples_per_second/median"] {
        assert!(number(entry, path) > 0.0, "{entry:#}");
    }
    if cfg!(target_os = "linux") {
        assert!((5e6..4e9).contains(&number(entry, "/peak_rss_bytes")), "{entry:#}");
    }
}

#[test]
fn any_net_and_a_plot() {
    let directory = tempfile::tempdir().unwrap();
    let (plot, json) = (directory.path().join("plot.svg"), directory.path().join("report.json"));
    let flags = ["--device", "cpu", "--layers", "16:tanh,3:softmax", "--batch-size", "32", "--samples", "96"];
    let short = ["--seconds", "0.005", "--repeats", "1", "--ceiling", "0", "--batches", "16,32", "--widths", "8,16"];
    let files = ["--plot", plot.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let text = text(&run(&[&flags[..], &short, &files, &["--tune", "--pipeline-cache"]].concat()));
    assert!(text.contains("nothing to tune: the products of this device have one tiling"), "{text}");
    assert!(text.contains("784-16-3, batch 32, 96 samples (made up)"), "{text}");
    assert!(text.contains("what the device allows is unknown"), "{text}");
    let svg = std::fs::read_to_string(plot).unwrap();
    assert_eq!(svg.matches("<circle").count(), 4, "{svg}");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["curves"].as_array().unwrap().len(), 2);
    assert_eq!(number(&report, "/curves/1/points/1/0"), 16.0);
}

#[test]
fn small_nets_on_chosen_instructions_and_threads() {
    let flags =
        ["--device", "cpu", "--workload", "small", "--samples", "600", "--instructions", "baseline", "--threads", "3"];
    let text = text(&run(&[&flags[..], &["--seconds", "0.005", "--repeats", "1", "--ceiling", "0"]].concat()));
    for net in ["2-8-1, batch 4", "4-64-64-2, batch 32", "16-128-128-4, batch 256", "784-512-10, batch 1"] {
        assert!(text.contains(&format!("{net}, 600 samples (made up)")), "no {net} in\n{text}");
    }
    assert!(text.matches(", 3 threads)").count() == 4 && !text.contains("AVX"), "{text}");
}

#[test]
fn streamed_against_resident() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let flags = ["--stream-gb", "0.002", "--json", file.to_str().unwrap()];
    let text = text(&run(&[SHORT, &flags].concat()));
    for word in ["tutorial streamed on CPU", "0.00 GB on disk, 2,551 samples", "512 samples", "share"] {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let entry = &report["streamed"][0];
    assert_eq!((number(entry, "/samples"), number(entry, "/bytes")), (2551.0, 2551.0 * 784.0 + 128.0));
    for path in ["/share/min", "/streamed_samples_per_second/median", "/resident_samples_per_second/median"] {
        assert!(number(entry, path) > 0.0, "{entry:#}");
    }
}

#[test]
fn first_steps_by_depth() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let text = text(&run(&["--device", "cpu", "--first-step", "1,3", "--json", file.to_str().unwrap()]));
    assert!(text.starts_with("1 layers of 64 on CPU") && text.contains("\n3 layers of 64 on CPU"), "{text}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(number(&report["first_steps"][1], "/first_seconds") > 0.0, "{report:#}");
}

#[test]
fn wrong_flags_are_named() {
    for (flags, message) in [
        (
            &["--workload", "huge"][..],
            "--workload: expected tutorial, wide, small-2, small-4, small-16, single, small or all, found \"huge\"",
        ),
        (&["--batch-size", "0"], "--batch-size: expected a whole number from 1, found \"0\""),
        (&["--layers", "10:relu"], "--layers: expected a last layer with softmax"),
        (&["--layers", "10:softmax", "--workload", "wide"], "expected --workload or --layers, found both"),
        (&["--seconds", "nan"], "--seconds: expected a number above 0"),
        (&["--precision", "half"], "--precision: expected f32 or f16, found \"half\""),
        (&["--instructions", "mmx"], "--instructions: instruction set: expected baseline, avx2, avx512 or neon, found"),
        (&["--stream-gb", "1", "--workload", "small-4"], "--stream-gb: expected a net on 784 inputs, found small-4"),
        (&["--stream-gb", "0"], "--stream-gb: expected a number above 0, found \"0\""),
        (&["--first-step", "0"], "--first-step: expected a whole number from 1, found \"0\""),
        (&["--fast", "1"], "found --fast"),
    ] {
        let output = run(flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(message), "no {message:?} in {errors}");
    }
}
