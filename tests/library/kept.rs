//! What is kept on disk from one run to the next: it appears where it was asked for and nowhere else, it changes no
//! result, and whatever is wrong with it is as if it were not there.

use std::fs;
use std::path::{Path, PathBuf};

use wgrad::{
    Activation, Adam, Candidate, Dense, Device, DeviceKind, Fit, Loss, Model, Precision, Sequential, TunedProduct,
    Tuning, wgpu,
};

use crate::common::{Outcome, Suite, bits, classifier, host_device, labelled, refused, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_gpu:
        pipelines_are_kept_where_that_is_asked_for,
        damaged_pipelines_are_made_anew,
        pipelines_that_cannot_be_kept_are_no_error,
        a_callers_device_decides_by_its_features,
        tuned_tilings_are_used_and_kept,
        without_tuning_no_tiling_is_kept,
        tuned_tilings_can_be_left_out,
        damaged_tilings_are_as_if_not_there,
        a_callers_device_is_tuned_without_timestamps,
    );
    trials!(suite.in_half: each_precision_is_tuned_for_itself);
    trials!(suite.on_matrix_units: each_precision_is_tuned_for_itself);
    trials!(suite.on_cpu: the_cpu_has_nothing_to_tune);
    trials!(suite.everywhere: tuning_needs_a_batch_size);
}

const KEPT: wgpu::Features = wgpu::Features::PIPELINE_CACHE;

/// The bits after a short training.
fn trained(device: &Device) -> wgrad::Result<Vec<u32>> {
    let mut model = classifier(6, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy)?;
    model.fit(&labelled(40, 6, 3), Fit::new())?;
    bits(&model)
}

fn opened(directory: &Path) -> wgrad::Result<Device> {
    Device::options().pipeline_cache(true).cache_directory(directory).gpu()
}

/// Whether the adapter of this machine can do it at all.
fn offered(device: &Device) -> bool {
    device.info().features.is_some_and(|features| features.contains(KEPT))
}

/// The files below a directory that may not be there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a directory's entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn pipelines_are_kept_where_that_is_asked_for(shared: &Device) -> Outcome {
    assert!(!offered(shared), "without being asked a device keeps pipelines");
    let directory = tempfile::tempdir()?;
    let device = opened(directory.path())?;
    let expected = trained(&device)?;
    assert_eq!(expected, trained(shared)?);
    let kept = files(directory.path());
    assert_eq!(kept.len(), usize::from(offered(&device)), "{kept:?}");
    for path in &kept {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        assert!(name.contains(env!("CARGO_PKG_VERSION")), "{name}");
        assert_eq!(path.parent(), Some(directory.path().join("pipelines").as_path()));
    }
    assert_eq!(expected, trained(&opened(directory.path())?)?);
    assert_eq!(kept, files(directory.path()));
    Ok(())
}

fn damaged_pipelines_are_made_anew(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let expected = trained(&opened(directory.path())?)?;
    for path in files(directory.path()) {
        let whole = fs::read(&path)?;
        let mut changed = whole.clone();
        *changed.last_mut().expect("a file with a content") ^= 1;
        for damaged in [changed, whole[..whole.len() - 1].to_vec(), Vec::new(), vec![0xff; 1000]] {
            fs::write(&path, &damaged)?;
            assert_eq!(expected, trained(&opened(directory.path())?)?);
            assert_ne!(fs::read(&path)?, damaged, "a damaged file stays");
        }
    }
    Ok(())
}

fn pipelines_that_cannot_be_kept_are_no_error(shared: &Device) -> Outcome {
    let file = tempfile::NamedTempFile::new()?;
    assert_eq!(trained(&opened(&file.path().join("below a file"))?)?, trained(shared)?);
    Ok(())
}

fn a_callers_device_decides_by_its_features(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let options = Device::options().pipeline_cache(true).cache_directory(directory.path());
    let (plain, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let expected = trained(&options.wrap(plain, queue)?)?;
    assert!(files(directory.path()).is_empty());
    if offered(&opened(directory.path())?) {
        let (able, queue) = host_device(Device::required_limits(), KEPT)?;
        assert_eq!(trained(&Device::from_wgpu(able.clone(), queue.clone())?)?, expected);
        assert!(files(directory.path()).is_empty(), "kept without being asked");
        assert_eq!(trained(&options.wrap(able, queue)?)?, expected);
        assert_eq!(files(directory.path()).len(), 1);
    }
    Ok(())
}

fn tunable(device: &Device) -> wgrad::Result<Model> {
    let net = Sequential::new(37)
        .add(Dense::new(24).activation(Activation::Relu))
        .add(Dense::new(12).activation(Activation::Relu))
        .add(Dense::new(5).activation(Activation::Softmax));
    net.compile(device, Adam::default(), Loss::CategoricalCrossentropy)
}

/// With three products, not six: each takes a while to tune on a driver that compiles slowly.
fn small(device: &Device) -> wgrad::Result<Model> {
    classifier(13, 9, 5).compile(device, Adam::default(), Loss::CategoricalCrossentropy)
}

/// The bits after training for two epochs, with a smaller last batch.
fn fitted(mut model: Model) -> wgrad::Result<Vec<u32>> {
    model.fit(&labelled(150, model.features(), 5), Fit::new().epochs(2).batch_size(64))?;
    bits(&model)
}

/// Tunes, and looks at what must hold of every report.
fn tuned(model: &mut Model) -> wgrad::Result<Tuning> {
    let before = bits(model)?;
    let tuning = model.tune(64)?;
    assert_eq!(bits(model)?, before, "tuning changed the parameters");
    assert_eq!(model.iterations(), 0);
    for product in &tuning.products {
        assert!(product.candidates.len() > 5 && product.choice < product.candidates.len());
        let times: Vec<_> = product.candidates.iter().map(|candidate| candidate.seconds).collect();
        assert!(times.iter().all(|time| time.is_some_and(|time| time > 0.0 && time < 10.0)), "{tuning:#}");
        assert!(product.chosen().seconds <= times[0], "{tuning:#}");
    }
    Ok(tuning)
}

/// Where each shape comes first, and its rows, columns and terms.
fn shapes(tuning: &Tuning) -> Vec<(&str, [usize; 3])> {
    let shape = |product: &TunedProduct| [product.rows, product.columns, product.depth];
    let mut shapes: Vec<_> = tuning.products.iter().map(|product| (product.label.as_str(), shape(product))).collect();
    shapes.sort_unstable();
    shapes
}

fn tuned_tilings_are_used_and_kept(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let options = Device::options().cache_directory(directory.path());
    let device = options.gpu()?;
    let mut model = tunable(&device)?;
    // A model that is compiled before is left as it is.
    let earlier = tunable(&device)?;
    let tuning = tuned(&mut model)?;
    let expected = [
        ("dense_0.forward", [64, 24, 40]),
        ("dense_0.forward", [1024, 24, 40]),
        ("dense_0.update", [40, 24, 64]),
        ("dense_1.backward_input", [64, 24, 12]),
        ("dense_1.forward", [64, 12, 24]),
        ("dense_1.forward", [1024, 12, 24]),
    ];
    assert_eq!(shapes(&tuning), expected);
    assert_eq!(tuning.kept.as_slice(), files(directory.path()));
    let expected = fitted(model)?;
    assert_eq!(expected, fitted(tunable(&device)?)?, "another model on the same device");
    assert_eq!(expected, fitted(tunable(&options.gpu()?)?)?, "a device that is opened later");
    let untuned = Device::options().tuned_tilings(false).gpu()?;
    assert_eq!(fitted(earlier)?, fitted(tunable(&untuned)?)?, "a model that was compiled earlier");
    Ok(())
}

fn each_precision_is_tuned_for_itself(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let has_matrix_units = device.info().cooperative_matrix.is_some();
    let options = Device::options().cache_directory(directory.path()).cooperative_matrices(has_matrix_units);
    let device = options.gpu()?;
    let untuned = fitted(small(&options.clone().tuned_tilings(false).gpu()?)?)?;
    let mut model = small(&device)?;
    model.set_precision(Precision::F16)?;
    let is_cooperative = |candidate: &Candidate| candidate.tiling.starts_with("cooperative");
    for product in &tuned(&mut model)?.products {
        assert_eq!(product.candidates.iter().any(is_cooperative), has_matrix_units);
        if device.info().kind == DeviceKind::SoftwareGpu {
            assert_eq!(is_cooperative(&product.candidates[0]), has_matrix_units, "the default");
        }
    }
    let mut single = small(&device)?;
    assert_eq!(untuned, fitted(small(&device)?)?, "what was chosen for half precision is of no concern to single");
    for product in &tuned(&mut single)?.products {
        assert!(!product.candidates.iter().any(is_cooperative));
    }
    Ok(())
}

fn without_tuning_no_tiling_is_kept(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    fitted(tunable(&Device::options().cache_directory(directory.path()).gpu()?)?)?;
    assert!(files(directory.path()).is_empty());
    Ok(())
}

fn tuned_tilings_can_be_left_out(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let options = Device::options().cache_directory(directory.path()).tuned_tilings(false);
    let device = options.gpu()?;
    let mut model = small(&device)?;
    assert_eq!(tuned(&mut model)?.kept, None);
    assert!(files(directory.path()).is_empty());
    assert_eq!(fitted(model)?, fitted(small(&device)?)?);
    Ok(())
}

fn damaged_tilings_are_as_if_not_there(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let options = Device::options().cache_directory(directory.path());
    let path = tuned(&mut small(&options.gpu()?)?)?.kept.expect("a file");
    let untuned = fitted(small(&Device::options().tuned_tilings(false).gpu()?)?)?;
    let whole = fs::read(&path)?;
    for damaged in [&whole[..whole.len() / 2], b"", b"{}", &[0xff; 1000]] {
        fs::write(&path, damaged)?;
        assert_eq!(untuned, fitted(small(&options.gpu()?)?)?);
        assert_eq!(fs::read(&path)?, damaged, "reading alone writes nothing");
    }
    Ok(())
}

fn a_callers_device_is_tuned_without_timestamps(_: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let options = Device::options().cache_directory(directory.path());
    let (device, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let device = options.wrap(device, queue)?;
    let mut model = small(&device)?;
    assert!(tuned(&mut model)?.kept.is_some());
    assert_eq!(fitted(model)?, fitted(small(&device)?)?);
    Ok(())
}

fn the_cpu_has_nothing_to_tune(device: &Device) -> Outcome {
    let mut model = tunable(device)?;
    let tuning = model.tune(64)?;
    assert_eq!((tuning.products.len(), &tuning.kept), (0, &None));
    assert_eq!(tuning.to_string(), "nothing to tune: the products of this device have one tiling\n");
    assert_eq!(fitted(model)?, fitted(tunable(device)?)?);
    Ok(())
}

fn tuning_needs_a_batch_size(device: &Device) -> Outcome {
    refused(tunable(device)?.tune(0), "batch size: expected 1 to 65536, found 0");
    refused(tunable(device)?.tune(65_537), "batch size: expected 1 to 65536, found 65537");
    Ok(())
}
