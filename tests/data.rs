//! The public behaviour of data sets: what good input gives, and the exact message that bad input gets. Whether the
//! test on the real MNIST is shown as ignored is decided when it runs, by `MNIST_DIR`; hence a harness of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use wgrad::data::idx::{IdxArray, read_idx};
use wgrad::data::{Dataset, InputRows, Inputs, TargetRows, Targets, synthetic};
use wgrad::{Error, Result, mnist};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tests: &[(&str, fn())] = &[
        ("views_share_and_select", views_share_and_select),
        ("weights_follow_their_samples", weights_follow_their_samples),
        ("the_split_is_that_of_keras", the_split_is_that_of_keras),
        ("debug_is_a_summary", debug_is_a_summary),
        ("wrong_lengths_are_refused", wrong_lengths_are_refused),
        ("wrong_values_are_refused", wrong_values_are_refused),
        ("wrong_settings_are_refused", wrong_settings_are_refused),
        ("an_empty_set_can_be_made", an_empty_set_can_be_made),
        ("one_hot_rows_are_checked", one_hot_rows_are_checked),
        ("a_directory_of_plain_and_gzipped_files_loads", a_directory_of_plain_and_gzipped_files_loads),
        ("a_directory_that_does_not_fit_is_refused", a_directory_that_does_not_fit_is_refused),
        ("labels_are_counted_as_the_loader_is_told", labels_are_counted_as_the_loader_is_told),
        ("what_is_reported_is_what_was_read", what_is_reported_is_what_was_read),
        ("damaged_files_are_named", damaged_files_are_named),
        ("synthetic_digits_are_in_mnists_form", synthetic_digits_are_in_mnists_form),
        #[cfg(feature = "download")]
        ("an_empty_cache_offline_says_what_to_do", an_empty_cache_offline_says_what_to_do),
    ];
    let mut trials: Vec<Trial> = tests.iter().map(|&(name, test)| Trial::test(name, move || finish(test))).collect();
    let absent = std::env::var_os("MNIST_DIR").is_none();
    trials.push(Trial::test("the_real_mnist_is_read", || finish(the_real_mnist_is_read)).with_ignored_flag(absent));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn finish(test: fn()) -> std::result::Result<(), Failed> {
    test();
    Ok(())
}

/// Rows (0, 1), (2, 3) … of classes 0, 1, 2, 0, 1 …
fn counting(samples: usize) -> Dataset {
    let inputs = (0..2 * samples).map(|number| number as f32).collect();
    Dataset::from_classes(inputs, 2, (0..samples as u32).map(|row| row % 3).collect(), 3).unwrap()
}

#[track_caller]
fn refuses<T: std::fmt::Debug>(outcome: Result<T>, message: &str) {
    assert_eq!(outcome.unwrap_err().to_string(), message);
}

fn views_share_and_select() {
    let part = counting(10).range(2..8).unwrap().range(1..4).unwrap().take(2);
    assert!(matches!(part.inputs(), InputRows::Floats([6.0, 7.0, 8.0, 9.0])));
    assert!(matches!(part.targets(), TargetRows::Classes { ids: [0, 1], classes: 3 }));
    assert_eq!(part.class_counts(), Some(vec![1, 1, 0]));
    let rows = Dataset::from_rows(vec![1.0, 2.0, 3.0], 1, vec![1.0, 1.5, 2.0, 2.5, 3.0, 3.5], 2).unwrap();
    assert!(matches!(rows.range(1..2).unwrap().targets(), TargetRows::Rows { values: [2.0, 2.5], width: 2 }));
    assert_eq!((rows.class_counts(), rows.target_width()), (None, 2));
    let images = Dataset::from_images((0..8).collect(), 4, vec![0, 1], 2).unwrap();
    let InputRows::Bytes { values, scale } = images.inputs() else { panic!("bytes stay bytes") };
    assert_eq!((values.len(), 255.0 * scale), (8, 1.0));
}

fn weights_follow_their_samples() {
    let part = counting(10).range(4..8).unwrap().with_sample_weights(vec![4.0, 5.0, 6.0, 7.0]).unwrap();
    assert_eq!(part.sample_weights(), Some(&[4.0, 5.0, 6.0, 7.0][..]));
    assert_eq!(part.range(1..3).unwrap().sample_weights(), Some(&[5.0, 6.0][..]));
    assert_eq!(counting(3).sample_weights(), None);
}

fn the_split_is_that_of_keras() {
    // Python: int(n * (1 - fraction)) for each.
    for (samples, fraction, training) in [(60_000, 0.1, 54_000), (10, 0.3, 7), (10, 0.25, 7), (7, 0.5, 3)] {
        let (left, right) = counting(samples).split_validation(fraction).unwrap();
        assert_eq!((left.len(), right.len()), (training, samples - training), "{samples} {fraction}");
    }
    let (_, right) = counting(4).split_validation(0.25).unwrap();
    assert!(matches!(right.inputs(), InputRows::Floats([6.0, 7.0])));
}

fn debug_is_a_summary() {
    let expected = "Dataset { samples: 1000, features: 2, inputs: 2000 floats, targets: 1000 ids of 3 classes, \
                    weighted: false }";
    assert_eq!(format!("{:?}", counting(1000)), expected);
}

fn wrong_lengths_are_refused() {
    let images = |pixels, labels| Dataset::from_images(vec![0; pixels], 784, vec![0; labels], 10);
    refuses(images(1000, 1), "the inputs: expected whole rows of 784 numbers, found 1000 numbers");
    refuses(images(1568, 3), "the targets: expected 2 rows, one for each row of the inputs, found 3");
    let rows = Dataset::from_rows(vec![0.0; 2], 1, vec![0.0; 3], 2);
    refuses(rows, "the targets: expected whole rows of 2 numbers, found 3 numbers");
    refuses(counting(3).with_sample_weights(vec![1.0]), "the sample weights: expected 3, one a sample, found 1");
    refuses(counting(3).range(1..4), "the range of samples: expected a range within 0..3, found 1..4");
    #[allow(clippy::reversed_empty_ranges, reason = "it is the mistake that is tested")]
    let reversed = 2..1;
    refuses(counting(3).range(reversed), "the range of samples: expected a range within 0..3, found 2..1");
}

fn wrong_values_are_refused() {
    let labelled = Dataset::from_images(vec![0; 3], 1, vec![9, 10, 11], 10);
    refuses(labelled, "label 10 in row 1 is out of range: expected a class below 10");
    let inputs = Dataset::from_classes(vec![0.0, 1.0, 2.0, f32::NAN], 2, vec![0, 0], 1);
    refuses(inputs, "the inputs: expected finite numbers, found NaN in row 1, column 1");
    let targets = Dataset::from_rows(vec![0.0; 3], 1, vec![0.0, 0.0, f32::NEG_INFINITY], 1);
    refuses(targets, "the targets: expected finite numbers, found -inf in row 2, column 0");
    let weights = |weight| counting(2).with_sample_weights(vec![1.0, weight]);
    refuses(weights(f32::INFINITY), "the sample weights: expected finite numbers, found inf in row 1, column 0");
    refuses(weights(-0.5), "the sample weights: expected none below 0, found -0.5 in row 1");
}

fn wrong_settings_are_refused() {
    refuses(Dataset::from_images(vec![], 0, vec![0; 0], 10), "features: expected at least 1, found 0");
    refuses(Dataset::from_images(vec![], 1, vec![0; 0], 0), "classes: expected at least 1, found 0");
    refuses(
        Dataset::from_rows(vec![0.0; 0], 1, vec![0.0; 0], 0),
        "the width of the targets: expected at least 1, found 0",
    );
    let inputs = Inputs::Bytes { values: vec![1].into(), scale: f32::NAN };
    let scaled = Dataset::new(inputs, 1, Targets::Classes { ids: vec![0].into(), classes: 1 });
    refuses(scaled, "the scale of the inputs: expected a finite number, found NaN");
    let split = |fraction| counting(4).split_validation(fraction);
    refuses(split(1.0), "the validation split: expected a fraction between 0 and 1, found 1");
    refuses(split(f64::NAN), "the validation split: expected a fraction between 0 and 1, found NaN");
    refuses(split(0.9), "the validation split: expected samples on both sides, found 0 and 4 for 0.9");
}

fn an_empty_set_can_be_made() {
    let empty = Dataset::from_images(vec![], 784, vec![0; 0], 10).unwrap();
    assert!(empty.is_empty() && empty.take(5).is_empty() && empty.range(0..0).unwrap().is_empty());
    assert_eq!(empty.class_counts(), Some(vec![0; 10]));
    refuses(empty.split_validation(0.5), "the validation split: expected samples on both sides, found 0 and 0 for 0.5");
}

fn one_hot_rows_are_checked() {
    let one_hot = wgrad::data::to_categorical;
    assert_eq!(one_hot(&[1, 0], 2).unwrap(), [0.0, 1.0, 1.0, 0.0]);
    refuses(one_hot(&[1, 3], 3), "label 3 in row 1 is out of range: expected a class below 3");
    refuses(one_hot(&[1], 0), "classes: expected at least 1, found 0");
    #[cfg(target_pointer_width = "64")]
    refuses(one_hot(&[1], usize::MAX), "classes: expected at most 4294967295, found 18446744073709551615");
}

fn write(directory: &Path, name: &str, dims: &[usize], values: &[u8]) {
    let bytes = IdxArray { dims: dims.to_vec(), values: values.to_vec() }.to_bytes();
    let content = if name.ends_with(".gz") { gzip(&bytes) } else { bytes };
    fs::write(directory.join(name), content).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = Vec::new();
    let level = flate2::Compression::default();
    std::io::Read::read_to_end(&mut flate2::read::GzEncoder::new(bytes, level), &mut zipped).unwrap();
    zipped
}

/// Three training images of 2 by 3 and one for testing.
fn small_set() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "train-images-idx3-ubyte.gz", &[3, 2, 3], &[9; 18]);
    write(directory.path(), "train-labels-idx1-ubyte", &[3], &[1, 0, 9]);
    write(directory.path(), "t10k-images-idx3-ubyte", &[1, 2, 3], &[1, 2, 3, 4, 5, 6]);
    write(directory.path(), "t10k-labels-idx1-ubyte.gz", &[1], &[4]);
    directory
}

fn a_directory_of_plain_and_gzipped_files_loads() {
    let directory = small_set();
    let set = mnist::load_from(directory.path()).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.train.features()), (3, 1, 6));
    assert!(matches!(set.train.targets(), TargetRows::Classes { ids: [1, 0, 9], classes: 10 }));
    assert!(matches!(set.test.inputs(), InputRows::Bytes { values: [1, 2, 3, 4, 5, 6], .. }));
    assert_eq!(set.source.to_string(), directory.path().display().to_string());
}

/// A small set with one file replaced, and the message that it gets: `PATH` stands for the file's.
#[track_caller]
fn spoilt(name: &str, dims: &[usize], values: &[u8], message: &str) {
    let directory = small_set();
    write(directory.path(), name, dims, values);
    let path = directory.path().join(name).display().to_string();
    refuses(mnist::load_from(directory.path()), &message.replace("PATH", &path));
}

fn a_directory_that_does_not_fit_is_refused() {
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    spoilt(images, &[3], &[1; 3], "PATH: expected images: 3 dimensions, none of the last two 0, found [3]");
    spoilt(images, &[3, 0, 2], &[], "PATH: expected images: 3 dimensions, none of the last two 0, found [3, 0, 2]");
    spoilt(labels, &[2], &[1; 2], "PATH: expected 3 labels, one for each image, found dimensions [2]");
    spoilt(labels, &[3], &[1, 10, 2], "PATH: expected labels below 10, found label 10 in row 1");
    let message = "PATH: expected images of 2 by 3, as for training, found 3 by 2";
    spoilt("t10k-images-idx3-ubyte", &[1, 3, 2], &[0; 6], message);
    let directory = small_set();
    fs::remove_file(directory.path().join(labels)).unwrap();
    let message = format!("cannot find {labels}.gz: {} has neither it nor {labels}", directory.path().display());
    refuses(mnist::load_from(directory.path()), &message);
    write(directory.path(), labels, &[3], &[1, 10, 2]);
    let loader = mnist::Loader::new().directory(directory.path()).classes(11);
    assert_eq!(loader.load().unwrap().train.target_width(), 11);
}

/// Thirty images for training, with labels of these bytes; three for testing, of the first three.
fn labelled(labels: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (part, count) in [("train", labels.len()), ("t10k", 3)] {
        write(directory.path(), &format!("{part}-images-idx3-ubyte"), &[count, 2, 3], &vec![9; 6 * count]);
        write(directory.path(), &format!("{part}-labels-idx1-ubyte"), &[count], &labels[..count]);
    }
    directory
}

fn labels_are_counted_as_the_loader_is_told() {
    let letters: Vec<u8> = (0..52).map(|row| 1 + row % 26).collect();
    let directory = labelled(&letters);
    let load =
        |classes, first| mnist::Loader::new().directory(directory.path()).classes(classes).labels_from(first).load();
    let path = directory.path().join("train-labels-idx1-ubyte").display().to_string();
    let counted = "its labels are 1 to 26: Loader::labels_from and Loader::classes say how they are counted";
    let refused = |classes, first, message: &str| refuses(load(classes, first), &format!("{path}: expected {message}"));
    refused(26, 0, &format!("labels below 26, found label 26 in row 25; {counted}"));
    refused(10, 0, &format!("labels below 10, found label 10 in row 9; {counted}"));
    refused(25, 1, "labels from 1 to 25, found label 26 in row 25");
    refused(26, 2, "labels from 2 to 27, found label 1 in row 0");
    let set = load(26, 1).unwrap();
    assert_eq!(set.train.class_counts(), Some(vec![2; 26]));
    assert!(matches!(set.test.targets(), TargetRows::Classes { ids: [0, 1, 2], classes: 26 }));
    // QMNIST's: the class, then seven other numbers, as big-endian integers.
    let numbers: Vec<u8> =
        (0..52_u32).flat_map(|row| [row % 10, 900, 901, 902, 903, 904, 905, 906]).flat_map(u32::to_be_bytes).collect();
    let header = [0, 0, 0x0c, 2, 0, 0, 0, 52, 0, 0, 0, 8];
    fs::write(directory.path().join("train-labels-idx1-ubyte"), [&header[..], &numbers].concat()).unwrap();
    let set = load(10, 0).unwrap();
    assert!(matches!(set.train.targets(), TargetRows::Classes { ids: [0, 1, 2, ..], classes: 10 }));
    assert_eq!(set.train.class_counts().unwrap().iter().sum::<usize>(), 52);
}

fn what_is_reported_is_what_was_read() {
    // A folder hides nothing, and errors name the file that is wrong, whatever its name.
    let directory = small_set();
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    fs::create_dir(directory.path().join(images)).unwrap();
    mnist::load_from(directory.path()).unwrap();
    fs::remove_file(directory.path().join(labels)).unwrap();
    let dotted = directory.path().join("train-labels.idx1-ubyte.gz");
    write(directory.path(), "train-labels.idx1-ubyte.gz", &[3], &[1, 2, 99]);
    let message = format!("{}: expected labels below 10, found label 99 in row 2", dotted.display());
    refuses(mnist::load_from(directory.path()), &message);
    let zipped = directory.path().join(format!("{images}.gz"));
    write(directory.path(), "train-labels.idx1-ubyte.gz", &[3], &[1, 2, 3]);
    write(directory.path(), &format!("{images}.gz"), &[3, 6], &[0; 18]);
    let message = format!("{}: expected images: 3 dimensions, none of the last two 0, found [3, 6]", zipped.display());
    refuses(mnist::load_from(directory.path()), &message);
}

fn damaged_files_are_named() {
    let directory = small_set();
    let path = directory.path().join("train-images-idx3-ubyte.gz");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 4]).unwrap();
    let shown = path.display();
    let cut = format!("{shown}: expected a whole gzip stream, found its end after 18 elements");
    refuses(mnist::load_from(directory.path()), &cut);
    fs::write(&path, "<html>not found</html>").unwrap();
    let foreign = format!("{shown}: expected an IDX header, which starts with two zero bytes, found bytes 3c 68");
    refuses(mnist::load_from(directory.path()), &foreign);
    fs::remove_file(&path).unwrap();
    assert!(matches!(read_idx(&path), Err(Error::Io { action: "read", .. })));
}

fn synthetic_digits_are_in_mnists_form() {
    let set = synthetic::digits(100, 50, 7).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (100, 50));
    assert_eq!((set.train.features(), set.train.target_width()), (mnist::PIXELS, mnist::CLASSES));
    assert_eq!(set.source.to_string(), "synthetic digits of seed 7, not MNIST");
    let found = synthetic::digits(usize::MAX, 0, 7).unwrap_err().to_string();
    assert!(found.starts_with("synthetic digits: expected as many as fit in memory"), "{found}");
}

#[cfg(feature = "download")]
fn an_empty_cache_offline_says_what_to_do() {
    if std::env::var_os("MNIST_DIR").is_some() {
        // Then the cache is not asked, which is what this shows.
        assert!(mnist::Loader::new().cache("/nowhere").offline().load().is_ok());
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let message = format!(
        "cannot find MNIST: {} lacks train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, \
         t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz; downloading was not allowed; MNIST_DIR can name a \
         directory that has its four files",
        cache.path().display()
    );
    refuses(mnist::Loader::new().cache(cache.path()).offline().load(), &message);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is written offline");
}

fn the_real_mnist_is_read() {
    let set = mnist::load().unwrap();
    assert_eq!(set.train.class_counts().unwrap(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(set.test.class_counts().unwrap(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    let (TargetRows::Classes { ids, .. }, InputRows::Bytes { values, .. }) = (set.train.targets(), set.train.inputs())
    else {
        panic!("MNIST is bytes and classes")
    };
    assert_eq!(ids[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    let mean = values.iter().map(|&byte| f64::from(byte)).sum::<f64>() / values.len() as f64;
    assert!((mean / 255.0 - 0.1307).abs() < 5e-5, "the mean pixel is {mean}");
}
