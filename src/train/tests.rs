//! That nothing blocks within asynchronous calls.

use crate::blocking::tests::run_without_blocking;
use crate::callbacks::{EarlyStopping, KeepBest, Monitor};
use crate::data::Dataset;
use crate::device::Device;
use crate::error::Result;
use crate::net::activation::Activation;
use crate::net::layers::{BatchNormalization, Dense};
use crate::net::losses::Loss;
use crate::net::optimizers::Adam;
use crate::net::sequential::Sequential;
use crate::train::Fit;

/// Trains, evaluates, predicts and copies on a thread on which nothing may block; returns how often the training was asked.
fn all_calls(device: &Device) -> Result<usize> {
    let inputs: Vec<f32> = (0..96).map(|at| ((at * 37) % 17) as f32 / 17.0).collect();
    let data = Dataset::from_classes(inputs, 3, (0..32).map(|at| at % 2).collect(), 2)?;
    let mut model = Sequential::new(3)
        .add(Dense::new(8).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dense::new(2).activation(Activation::Softmax))
        .compile(device, Adam::default().gradient_accumulation_steps(2), Loss::CategoricalCrossentropy)?;
    let mut best = KeepBest::new(Monitor::ValidationLoss);
    let stop = EarlyStopping::new().patience(9).restore_best_weights(true);
    let fit = Fit::new().epochs(3).batch_size(5).validation_data(&data).callback(&mut best).callback(stop);
    let (history, asked) = run_without_blocking(model.fit_async(&data, fit));
    assert_eq!(history?.epochs.len(), 3);
    assert!(best.best().is_some());
    let (score, _) = run_without_blocking(model.evaluate_async(&data));
    assert!(score?.loss.is_finite());
    let (outputs, _) = run_without_blocking(model.predict_async(&data));
    assert_eq!(outputs?.len(), 64);
    let (kernel, _) = run_without_blocking(model.parameter_async("dense_0.kernel"));
    assert_eq!(kernel?.len(), 24);
    let (snapshot, _) = run_without_blocking(model.snapshot_async());
    assert_eq!(snapshot?.iterations(), model.iterations());
    let (classes, _) = run_without_blocking(model.predict_classes_async(&data));
    assert_eq!(classes?.len(), 32);
    let (copy, _) = run_without_blocking(model.reopen_async(device));
    let mut copy = copy?;
    let (verification, _) = run_without_blocking(copy.verify_async(&data, 5, 3));
    assert_eq!(verification?.steps, 3);
    let (profile, _) = run_without_blocking(copy.profile_async(&data, 5, 0));
    assert!(!profile?.is_empty());
    let (trained, _) = run_without_blocking(copy.train_on_batch_async(&data));
    assert!(trained?.loss.is_finite());
    let (set, _) = run_without_blocking(copy.set_parameters_async([("dense_1.bias", &[1.0, 2.0][..])]));
    set?;
    let (bias, _) = run_without_blocking(copy.parameter_async("dense_1.bias"));
    assert_eq!(bias?, [1.0, 2.0]);
    let (bytes, _) = run_without_blocking(model.to_bytes_with_optimizer_async());
    assert!(!bytes?.is_empty());
    Ok(asked)
}

#[test]
#[cfg(feature = "native")]
fn loading_and_tuning_block_nowhere() -> Result<()> {
    let io = |source| crate::error::Error::Io { action: "make", path: "a directory".into(), source };
    let folder = tempfile::tempdir().map_err(io)?;
    let path = folder.path().join("model.safetensors");
    for device in [Device::cpu(), Device::options().cache_directory(folder.path()).gpu()?] {
        let net = |seed| Sequential::new(3).seed(seed).add(Dense::new(2));
        let model = net(1).compile(&device, Adam::default(), Loss::MeanSquaredError)?;
        let mut other = net(2).compile(&device, Adam::default(), Loss::MeanSquaredError)?;
        model.save(&path)?;
        run_without_blocking(other.load_weights_async(&path)).0?;
        assert_eq!(other.parameter("dense_0.kernel")?, model.parameter("dense_0.kernel")?);
        let tuning = run_without_blocking(other.tune_async(4)).0?;
        assert_eq!(tuning.products.is_empty(), device.wgpu().is_none());
    }
    Ok(())
}

#[test]
fn nothing_blocks_on_the_cpu() -> Result<()> {
    all_calls(&Device::cpu()).map(|_| ())
}

#[test]
fn nothing_blocks_on_a_gpu() -> Result<()> {
    assert!(all_calls(&Device::gpu()?)? > 1, "a GPU's work is awaited, so the training is asked more than once");
    Ok(())
}
