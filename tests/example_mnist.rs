//! The MNIST example as its users meet it: a process with flags, standard output and an exit status. `cargo test`
//! builds it next to this test. The drawn digits stand in for MNIST, so no file and no network is needed.

#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use wgrad::data::idx::IdxArray;

/// One short epoch: 4 steps of the tutorial's net.
const SHORT: &[&str] =
    &["--synthetic", "--limit", "512", "--epochs", "1", "--batch-size", "128", "--json", "--device", "cpu"];

/// `target/<profile>/examples/mnist`, this test being `target/<profile>/deps/…`.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = profile.join("examples").join(format!("mnist{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is missing: `cargo build --example mnist` makes it", program.display());
    program
}

fn run(flags: &[&str]) -> Output {
    Command::new(example()).args(flags).env_remove("MNIST_DIR").env_remove("RUST_LOG").output().unwrap()
}

/// Short flags and more of them; a flag that comes twice counts as it came last.
fn run_short(more: &[&str]) -> Output {
    let output = run(&[SHORT, more].concat());
    assert!(output.status.success(), "{}", errors(&output));
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The last line of standard output.
fn json(output: &Output) -> Value {
    serde_json::from_str(text(output).lines().last().unwrap()).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path} in {value}"))
}

#[test]
fn the_last_line_is_json_with_plausible_figures() {
    let report = json(&run_short(&[]));
    let expected = ["device", "epochs", "first_step_seconds", "peak_rss_bytes", "samples_per_second", "test"];
    assert_eq!(keys(&report), expected);
    assert_eq!(report["epochs"].as_array().unwrap().len(), 1);
    assert_eq!(keys(&report["epochs"][0]), ["accuracy", "loss", "seconds"]);
    assert_eq!(keys(&report["test"]), ["accuracy", "loss"]);
    assert!(report["device"].as_str().unwrap().starts_with("CPU"), "{report}");
    // Ten classes at random have a loss of ln 10 = 2.3 and 10 % right; four steps make that better, not good.
    assert!((0.5..2.3).contains(&number(&report, "/epochs/0/loss")), "{report}");
    assert!((0.1..0.9).contains(&number(&report, "/epochs/0/accuracy")), "{report}");
    assert!((0.3..2.2).contains(&number(&report, "/test/loss")), "{report}");
    assert!((0.2..1.0).contains(&number(&report, "/test/accuracy")), "{report}");
    let (speed, seconds) = (number(&report, "/samples_per_second"), number(&report, "/epochs/0/seconds"));
    assert!((speed * seconds - 512.0).abs() < 1e-3, "{report}");
    assert!((1e-4..60.0).contains(&number(&report, "/first_step_seconds")), "{report}");
    if cfg!(target_os = "linux") {
        // The pixels of the test set alone are 7.8 MB.
        assert!((7.8e6..4e9).contains(&number(&report, "/peak_rss_bytes")), "{report}");
    }
}

#[test]
fn people_get_lines_and_are_told_that_the_digits_are_drawn() {
    let output = run_short(&["--epochs", "2"]);
    let text = text(&output);
    for start in ["Device: CPU", "Data: 512 training and 10,000 test", "Model: 784-512(relu)-10(softmax), 407,050 "] {
        assert!(text.lines().any(|line| line.starts_with(start)), "no line {start:?} in\n{text}");
    }
    for start in ["Epoch 1/2: ", "Epoch 2/2: ", "Test: loss "] {
        let line =
            text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start:?} in\n{text}"));
        assert!(line.contains("accuracy") && line.ends_with(" %"), "{line}");
    }
    assert!(errors(&output).contains("SYNTHETIC DIGITS, NOT MNIST"), "{}", errors(&output));
    assert!(!text.contains('\r') && !text.contains('\u{1b}'), "there is no terminal to draw on");
}

#[test]
fn quiet_leaves_one_line() {
    let output = run_short(&["--quiet"]);
    assert_eq!(text(&output).lines().count(), 1);
    assert_eq!(keys(&json(&output)).len(), 6);
    let short = &["--synthetic", "--limit", "256", "--epochs", "1", "--device", "cpu", "--quiet"];
    assert!(text(&run(short)).starts_with("Test: loss "));
}

#[test]
fn a_seed_gives_the_same_figures_again() {
    let figures = |seed| {
        let report = json(&run_short(&["--seed", seed]));
        [number(&report, "/epochs/0/loss"), number(&report, "/test/loss"), number(&report, "/test/accuracy")]
    };
    let first = figures("7");
    assert_eq!(first.map(f64::to_bits), figures("7").map(f64::to_bits));
    assert_ne!(first.map(f64::to_bits), figures("8").map(f64::to_bits));
}

#[test]
fn flags_reach_the_training() {
    let report = |more: &[&str]| json(&run_short(more));
    let usual = number(&report(&[]), "/epochs/0/loss");
    let others: &[&[&str]] = &[
        &["--optimizer", "sgd"],
        &["--learning-rate", "0.01"],
        &["--no-shuffle"],
        &["--batch-size", "100"],
        &["--layers", "64:tanh,32,10:softmax"],
        &["--limit", "500"],
    ];
    for flags in others {
        assert_ne!(number(&report(flags), "/epochs/0/loss").to_bits(), usual.to_bits(), "{flags:?} changed nothing");
    }
    assert_eq!(number(&report(&["--learning-rate", "0.001"]), "/epochs/0/loss").to_bits(), usual.to_bits());
}

#[test]
fn no_epochs_measure_only() {
    let report = json(&run_short(&["--epochs", "0"]));
    assert_eq!(report["epochs"], Value::Array(Vec::new()));
    assert_eq!((&report["samples_per_second"], &report["first_step_seconds"]), (&Value::Null, &Value::Null));
    assert!(number(&report, "/test/loss") > 1.5);
}

#[test]
fn history_is_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history.csv");
    let report = json(&run_short(&["--history", file.to_str().unwrap(), "--epochs", "2"]));
    let table = fs::read_to_string(file).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert_eq!(lines[0], "epoch,loss,accuracy,val_loss,val_accuracy,seconds,learning_rate");
    let cells: Vec<_> = lines[2].split(',').collect();
    assert_eq!(cells[0], "2");
    assert_eq!(cells[1].parse::<f64>().unwrap(), number(&report, "/epochs/1/loss"));
}

#[test]
fn a_saved_model_measures_the_same_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.safetensors");
    let file = file.to_str().unwrap();
    let trained = json(&run_short(&["--save", file]));
    let loaded = json(&run_short(&["--init", file, "--epochs", "0"]));
    assert_eq!(trained["test"], loaded["test"]);
    // Another net's weights are refused, by the layer's name.
    let other = run(&[SHORT, &["--init", file, "--layers", "64:relu,10:softmax"]].concat());
    assert_eq!(other.status.code(), Some(1));
    assert!(errors(&other).contains("dense_0"), "{}", errors(&other));
}

/// Interrupts such a training after its first epoch; returns the command that it says goes on with it.
#[cfg(unix)]
fn interrupted(directory: &std::path::Path, flags: &[&str]) -> Vec<String> {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let mut command = Command::new(example());
    command.args(flags).env_remove("MNIST_DIR").env_remove("RUST_LOG").current_dir(directory);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().starts_with("Epoch ")).expect("an epoch").unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    // Else it would wait for a reader.
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let mut said = said.lines().skip_while(|line| !line.starts_with("Interrupted after "));
    assert!(said.next().unwrap().ends_with(" batches. This goes on from there:"));
    said.next().expect("a command").split(' ').map(str::to_owned).collect()
}

/// Twice, the second time of a training that goes on already; then it comes to what it would have come to.
#[test]
#[cfg(unix)]
fn an_interrupted_training_goes_on_to_the_same_figures() {
    let directory = tempfile::tempdir().unwrap();
    let many = ["--epochs", "400", "--layers", "16:relu,10:softmax", "--optimizer", "adam", "--learning-rate", "1e-4"];
    let flags = [SHORT, &many].concat();
    let whole = json(&run(&flags));
    let first = interrupted(directory.path(), &flags);
    let saved = directory.path().join("mnist-interrupted.safetensors");
    assert_eq!(first[1..5], ["--resume", "mnist-interrupted.safetensors", "--device", "cpu"]);
    let before = fs::read(&saved).unwrap();
    let words: Vec<_> = first[1..].iter().map(String::as_str).collect();
    assert_eq!(interrupted(directory.path(), &words), first);
    assert_ne!(fs::read(&saved).unwrap(), before);
    let mut last = Command::new(&first[0]);
    let output = last.args(&first[1..]).env_remove("MNIST_DIR").current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let resumed = json(&output);
    assert_eq!(resumed["test"], whole["test"]);
    let epochs = |report: &Value| report["epochs"].as_array().unwrap().clone();
    let (found, expected) = (epochs(&resumed), epochs(&whole));
    assert!(found.len() < expected.len(), "it went on, and did not begin anew");
    let loss = |epoch: &Value| epoch["loss"].clone();
    let expected = &expected[expected.len() - found.len()..];
    assert_eq!(found.iter().map(loss).collect::<Vec<_>>(), expected.iter().map(loss).collect::<Vec<_>>());
}

#[test]
fn a_training_that_diverges_is_a_failure_and_replaces_no_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name).to_str().unwrap().to_owned();
    let (model, history) = (path("model.safetensors"), path("history.csv"));
    run_short(&["--save", &model]);
    let good = fs::read(&model).unwrap();
    let flags = ["--learning-rate", "1e30", "--save", &model, "--history", &history, "--epochs", "3"];
    let output = run(&[SHORT, &flags].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("mnist: the training diverged: loss is "), "{}", errors(&output));
    assert_eq!(fs::read(&model).unwrap(), good);
    assert_eq!(fs::read_to_string(&history).unwrap().lines().count(), 2, "a header and the first epoch");
    // One step, whose loss was that of the initial weights.
    let output = run(&[SHORT, &["--learning-rate", "1e30", "--limit", "128"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("mnist: the training diverged in its last step"), "{}", errors(&output));
}

#[test]
fn a_set_of_ones_own_trains() {
    let directory = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 40), ("t10k", 20)] {
        // Images of 4 by 4 in three shades, which are the classes.
        let shades: Vec<u8> = (0..count).map(|row| (row % 3) as u8).collect();
        let pixels = shades.iter().flat_map(|&shade| [100 * shade; 16]).collect();
        let images = IdxArray { dims: vec![count, 4, 4], values: pixels };
        let labels = IdxArray { dims: vec![count], values: shades };
        fs::write(directory.path().join(format!("{part}-images-idx3-ubyte")), images.to_bytes()).unwrap();
        fs::write(directory.path().join(format!("{part}-labels-idx1-ubyte")), labels.to_bytes()).unwrap();
    }
    let path = directory.path().to_str().unwrap();
    let flags =
        ["--data", path, "--device", "cpu", "--layers", "16:relu,3:softmax", "--epochs", "9", "--batch-size", "4"];
    let output = run(&[&flags[..], &["--learning-rate", "0.02", "--json"]].concat());
    assert!(output.status.success(), "{}", errors(&output));
    assert!(
        text(&output).contains("40 training and 20 test samples") && text(&output).contains("Model: 16-16(relu)-3(")
    );
    assert!(number(&json(&output), "/test/accuracy") > 0.9, "{}", text(&output));

    let images = directory.path().join("train-images-idx3-ubyte");
    fs::write(&images, &fs::read(&images).unwrap()[..100]).unwrap();
    let damaged = run(&flags);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(errors(&damaged).contains("train-images-idx3-ubyte: expected"), "{}", errors(&damaged));
}

#[test]
fn verifying_changes_nothing() {
    let small = ["--layers", "16:relu,10:softmax", "--batch-size", "64"];
    let verified = run_short(&[&small[..], &["--verify"]].concat());
    let line = text(&verified).lines().find(|line| line.starts_with("Verified: ")).map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains("launches of 2 steps agree")), "{}", text(&verified));
    assert_eq!(json(&verified)["test"], json(&run_short(&small))["test"]);
}

/// On a GPU it could change roundings; that the files appear there is tested with the library.
#[test]
fn the_cpu_has_nothing_to_tune() {
    let small = ["--layers", "16:relu,10:softmax", "--batch-size", "64", "--device", "cpu"];
    let tuned = run_short(&[&small[..], &["--tune"]].concat());
    assert!(text(&tuned).lines().any(|line| line.starts_with("Tuned: nothing to tune")), "{}", text(&tuned));
    assert_eq!(json(&tuned)["test"], json(&run_short(&small))["test"]);
}

#[test]
fn the_devices_are_listed() {
    let output = run(&["--list-devices"]);
    assert!(output.status.success());
    let text = text(&output);
    assert!(text.lines().any(|line| line.starts_with("CPU (")), "{text}");
    assert_eq!(text.lines().filter(|line| line.ends_with("<- best")).count(), 1, "{text}");
}

#[test]
fn help_names_every_flag() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let flags = "device list-devices data synthetic layers optimizer learning-rate epochs batch-size seed precision no-shuffle \
                 limit init save resume history tune verify quiet json help";
    for flag in flags.split_whitespace() {
        assert!(text(&output).contains(&format!("--{flag}")), "{flag}");
    }
}

#[test]
fn wrong_flags_are_refused_with_what_was_expected_and_found() {
    let cases: &[(&[&str], &str)] = &[
        (&["--frobnicate"], "expected one of the flags that --help lists, found --frobnicate"),
        (&["-x"], "expected one of the flags that --help lists, found -x"),
        (&["mnist"], "expected one of the flags that --help lists, found mnist"),
        (&["--epochs", "many"], "--epochs: expected a whole number from 0, found \"many\""),
        (&["--batch-size", "0"], "--batch-size: expected a whole number from 1 to 65536, found \"0\""),
        (&["--limit=0"], "--limit: expected a whole number from 1, found \"0\""),
        (&["--seed", "-1"], "--seed: expected a whole number from 0, found \"-1\""),
        (&["--learning-rate", "NaN"], "--learning-rate: expected a finite number that is not negative, found \"NaN\""),
        (
            &["--optimizer", "lbfgs"],
            "--optimizer: expected rmsprop, sgd, adam, adamw, adagrad, nadam, lion, adamax, adadelta or ftrl, found \"lbfgs\"",
        ),
        (&["--precision", "f64"], "--precision: expected f32 or f16, found \"f64\""),
        (&["--layers", "0:relu"], "--layers: expected UNITS:ACTIVATION with at least one unit, as in 512:relu, found"),
        (&["--layers", "10:step"], "mish or exponential, found \"step\""),
        (&["--layers", "10:relu"], "--layers: expected a last layer with softmax"),
        (&["--device", ""], "--device: expected best, cpu, gpu or a part of a name, found \"\""),
        (&["--seed"], "--seed: expected a value, found none"),
        (&["--json=yes"], "--json: expected no value, found \"yes\""),
        (&["--synthetic", "--data", "."], "expected --data or --synthetic, found both"),
        (&["--resume", "x", "--init", "y"], "--resume: expected neither --init nor --verify beside it, found --init"),
    ];
    for (flags, message) in cases {
        let output = run(flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let errors = errors(&output);
        assert!(errors.starts_with("mnist: ") && errors.contains(message), "{flags:?}: {errors}");
        assert_eq!((errors.lines().count(), output.stdout.len()), (1, 0), "{flags:?}: {errors}");
    }
}

#[test]
fn what_was_named_and_is_missing_is_a_failure_and_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let path = missing.to_str().unwrap();
    let unwritable = missing.join("file");
    let no_directory = format!("cannot find {path}: there is no such directory");
    let cases: &[(&[&str], &str)] = &[
        (&["--data", path], &no_directory),
        (&["--synthetic", "--init", path], path),
        (
            &["--synthetic", "--precision", "f16"],
            "half precision: expected a GPU with the feature shader-f16, found CPU (",
        ),
        (&["--synthetic", "--save", unwritable.to_str().unwrap()], "expected a directory"),
        (&["--synthetic", "--history", directory.path().to_str().unwrap()], "expected a file, found a directory"),
    ];
    for (flags, message) in cases {
        let output = run(&[&["--device", "cpu", "--limit", "128", "--quiet"], *flags].concat());
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        let errors = errors(&output);
        let last = errors.lines().last().unwrap();
        assert!(last.starts_with("mnist: ") && last.contains(message), "{flags:?}: {errors}");
        assert!(output.stdout.is_empty(), "{flags:?}");
    }
    let absent = Command::new(example()).args(["--device", "cpu"]).env("MNIST_DIR", &missing).output().unwrap();
    assert_eq!(absent.status.code(), Some(1), "{}", errors(&absent));
}
