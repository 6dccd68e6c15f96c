//! Saving and loading: nothing is lost, training goes on with the same bits, a failed save leaves the old file, and what
//! is not a whole model of this crate's is refused by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use wgrad::{
    Activation, Adadelta, Adagrad, Adam, AdamW, Adamax, Clip, Dataset, Dense, Device, Error, Fit, Ftrl,
    LayerNormalization, Lion, Loss, Model, Nadam, Optimizer, RmsProp, Sequential, Sgd,
};

use crate::common::{
    Outcome, Suite, bits, classifier, labelled, numbers, refused, refused_for, trials, with_rows, without_digests,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        round_trip,
        the_same_model_gives_the_same_bytes,
        foreign_weights,
        training_goes_on,
        what_is_written_can_be_read,
    );
    trials!(suite.on_cpu:
        one_device_loads_what_another_saved,
        a_failed_save_leaves_the_old_file,
        damaged_files_are_refused,
        every_bit_counts,
        a_description_larger_than_its_file_is_refused,
        other_files_are_refused,
        a_file_of_version_1_loads,
        another_models_weights_are_refused,
    );
}

fn compile(device: &Device) -> wgrad::Result<Model> {
    classifier(6, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy)
}

fn trained(device: &Device) -> wgrad::Result<Model> {
    let mut model = compile(device)?;
    model.fit(&labelled(40, 6, 3), Fit::new().epochs(2))?;
    Ok(model)
}

/// The names of the files in a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn round_trip(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    let description = Sequential::new([2, 3])
        .seed(9)
        .add(Dense::new(5).activation(Activation::LeakyRelu(0.3)).l2(0.01).trainable(false))
        .add(Dense::new(3).activation(Activation::Softmax).use_bias(false));
    let loss = Loss::CategoricalCrossentropy.label_smoothing(0.1);
    let optimizer = RmsProp { clip: Clip::Norm(1.5), momentum: 0.3, ..RmsProp::default() };
    let mut model = description.compile(device, optimizer, loss)?;
    let data = labelled(40, 6, 3);
    model.fit(&data, Fit::new())?;
    model.set_learning_rate(0.125)?;
    model.save(&path)?;
    let loaded = Model::load(&path, device)?;
    assert_eq!(bits(&loaded)?, bits(&model)?);
    assert_eq!(loaded.description(), model.description());
    assert_eq!((loaded.optimizer(), loaded.loss()), (model.optimizer(), model.loss()));
    assert_eq!((loaded.learning_rate(), loaded.iterations()), (0.125, 0));
    assert_eq!(loaded.predict(&data)?, model.predict(&data)?);
    assert_eq!(loaded.evaluate(&data)?, model.evaluate(&data)?);
    assert_eq!(files(directory.path()), ["model.safetensors"]);
    Ok(())
}

fn the_same_model_gives_the_same_bytes(device: &Device) -> Outcome {
    let (first, second) = (trained(device)?, trained(device)?);
    assert!(first.to_bytes()? == second.to_bytes()?);
    assert!(first.to_bytes_with_optimizer()? == second.to_bytes_with_optimizer()?);
    let bytes = first.to_bytes_with_optimizer()?;
    let loaded = Model::from_bytes(&bytes, Path::new("memory"), device)?;
    assert!(loaded.to_bytes_with_optimizer()? == bytes);
    assert!(loaded.to_bytes()? == first.to_bytes()?);
    Ok(())
}

/// A safetensors file of these tensors, as another program might write it.
fn foreign(directory: &Path, tensors: &[(&str, &[usize], &[f32])]) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let mut views = Vec::new();
    for (name, shape, values) in tensors {
        views.push((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(values))?));
    }
    let path = directory.join("foreign.safetensors");
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    std::fs::write(&path, safetensors::serialize(views, Some(metadata))?)?;
    Ok(path)
}

fn foreign_weights(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let (kernel, bias) = (numbers(6 * 5, 7), numbers(5, 8));
    let (last, ends, more) = (numbers(5 * 3, 9), numbers(3, 10), numbers(4, 11));
    let path = foreign(
        directory.path(),
        &[
            ("dense_1.bias", &[3], &ends),
            ("dense_0.kernel", &[6, 5], &kernel),
            ("something.else", &[2, 2], &more),
            ("dense_1.kernel", &[5, 3], &last),
            ("dense_0.bias", &[5], &bias),
        ],
    )?;
    let mut model = compile(device)?;
    model.load_weights(&path)?;
    let expected = [kernel, bias, last, ends].concat();
    assert!(bits(&model)?.into_iter().eq(expected.iter().map(|x| x.to_bits())));
    Ok(())
}

fn optimizers() -> [Optimizer; 14] {
    [
        RmsProp::default().into(),
        RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() }.into(),
        Sgd::default().into(),
        Sgd { momentum: 0.9, nesterov: true, ..Sgd::default() }.into(),
        Adam::default().into(),
        Adam { clip: Clip::GlobalNorm(0.1), ..Adam::default() }.into(),
        AdamW::default().into(),
        Adagrad::default().into(),
        Adam::default().amsgrad(true).exclude_from_weight_decay(["bias"]).weight_decay(0.1).into(),
        Nadam::default().gradient_accumulation_steps(3).into(),
        Lion::default().use_ema(true).ema_momentum(0.7).ema_overwrite_frequency(3).into(),
        Adamax::default().into(),
        Adadelta::default().into(),
        Ftrl::default().into(),
    ]
}

fn training_goes_on(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    let data = labelled(50, 6, 3);
    let fit = || Fit::new().batch_size(16).average_at_end(false);
    for optimizer in optimizers() {
        let compile = || classifier(6, 5, 3).compile(device, optimizer.clone(), Loss::CategoricalCrossentropy);
        let mut uninterrupted = compile()?;
        uninterrupted.fit(&data, fit().epochs(4))?;
        let mut first = compile()?;
        first.fit(&data, fit().epochs(2))?;
        first.save_with_optimizer(&path)?;
        let mut resumed = Model::load(&path, device)?;
        assert_eq!(resumed.batches(), 8);
        resumed.fit(&data, fit().epochs(2).initial_epoch(2))?;
        assert_eq!(bits(&resumed)?, bits(&uninterrupted)?, "{optimizer:?}");
        assert_eq!(resumed.to_bytes_with_optimizer()?, uninterrupted.to_bytes_with_optimizer()?, "{optimizer:?}");
    }
    Ok(())
}

/// After steps on inputs of any size a model is written whole and read again, or refused with the tensor's name and the
/// file as it was: weights may be finite where a slot is not.
fn what_is_written_can_be_read(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    let (mut written, mut kept) = (0, 0);
    for optimizer in optimizers() {
        let net = || Sequential::new(2).add(Dense::new(1)).compile(device, optimizer.clone(), Loss::MeanSquaredError);
        net()?.save(&path)?;
        for power in [2, 9, 15, 19, 25, 37] {
            let size = 10f32.powi(power);
            let data = Dataset::from_rows(vec![size, -size, 2.0 * size, size], 2, vec![1.0, 2.0], 1)?;
            let mut model = net()?;
            model.fit(&data, Fit::new().epochs(2).allow_divergence(true))?;
            for with_optimizer in [false, true] {
                let before = std::fs::read(&path)?;
                let saved = if with_optimizer { model.save_with_optimizer(&path) } else { model.save(&path) };
                let after = std::fs::read(&path)?;
                let loaded = Model::load(&path, device)?;
                match saved {
                    Ok(()) if with_optimizer => assert!(loaded.to_bytes_with_optimizer()? == after),
                    Ok(()) => assert!(loaded.to_bytes()? == after),
                    Err(Error::NotFinite { what, .. }) => {
                        assert!(what.starts_with("tensor ") && after == before, "{what}");
                        assert!(with_optimizer || !what.contains("optimizer."), "{what}");
                    }
                    Err(error) => panic!("{optimizer} with {size:e}: {error}"),
                }
                (written, kept) = if before == after { (written, kept + 1) } else { (written + 1, kept) };
            }
        }
    }
    assert!(written > 20 && kept > 20, "{written} written, {kept} kept");
    // Weights that are finite, and a slot that is not.
    let data = Dataset::from_rows(vec![1e15, 2e15], 1, vec![1.0, 2.0], 1)?;
    let net = Sequential::new(1).add(Dense::new(1));
    let mut model = net.compile(device, RmsProp::default(), Loss::MeanSquaredError)?;
    model.fit(&data, Fit::new())?;
    model.save(&path)?;
    refused_for(model.save_with_optimizer(&path), "tensor optimizer.velocity.dense_0.kernel of a model to be saved");
    Model::load(&path, device)?;
    Ok(())
}

/// Files know nothing of devices: here one of another number of threads, whose bits are the same.
fn one_device_loads_what_another_saved(device: &Device) -> Outcome {
    let bytes = trained(device)?.to_bytes_with_optimizer()?;
    for other in [Device::cpu_with_threads(1), Device::best()?] {
        let loaded = Model::from_bytes(&bytes, Path::new("memory"), &other)?;
        assert!(loaded.to_bytes_with_optimizer()? == bytes);
    }
    Ok(())
}

fn a_failed_save_leaves_the_old_file(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let model = trained(device)?;
    let missing = directory.path().join("missing").join("model.safetensors");
    let shown = missing.display().to_string();
    refused(model.save(&missing), &format!("cannot create {shown}: …"));
    assert!(files(directory.path()).is_empty());
    // A directory stands where the file should go: what is in it stays.
    let taken = directory.path().join("taken");
    std::fs::create_dir(&taken)?;
    std::fs::write(taken.join("inside"), "kept")?;
    let message = "expected a regular file to replace, or none, found a directory";
    refused(model.save(&taken), &format!("{}: {message}", taken.display()));
    assert_eq!((files(directory.path()), files(&taken)), (vec!["taken".into()], vec!["inside".into()]));
    // A later save replaces an earlier one whole.
    let path = directory.path().join("model.safetensors");
    model.save_with_optimizer(&path)?;
    let longer = std::fs::metadata(&path)?.len();
    model.save(&path)?;
    assert!(std::fs::metadata(&path)?.len() < longer);
    assert!(std::fs::read(&path)? == model.to_bytes()?);
    Ok(())
}

/// Refused, and with the same words whether the whole model or weights alone are wanted.
fn both_refuse(device: &Device, path: &Path, message: &str) -> Outcome {
    let message = format!("checkpoint {}: {message}", path.display());
    refused(Model::load(path, device), &message);
    weights_refuse(device, path, &message)
}

/// `load_weights` refuses, and the model is as it was.
fn weights_refuse(device: &Device, path: &Path, message: &str) -> Outcome {
    let mut model = compile(device)?;
    let before = bits(&model)?;
    refused(model.load_weights(path), message);
    assert_eq!(bits(&model)?, before);
    Ok(())
}

/// What a model's file says, whichever bit of it is another, is refused: by name where it is a tensor's. A bit in the header's
/// own text may leave the model as it is, such as one in the letters of an escape.
fn every_bit_counts(device: &Device) -> Outcome {
    let path = Path::new("memory");
    let net = Sequential::new(3).add(Dense::new(2)).add(LayerNormalization::new());
    let mut model = net.compile(device, Adam::default(), Loss::MeanSquaredError)?;
    model.fit(&with_rows(8, 3, 2), Fit::new())?;
    let whole = model.to_bytes_with_optimizer()?;
    let numbers = 8 + u64::from_le_bytes(whole[..8].try_into()?) as usize;
    let mut changed = whole.clone();
    let mut scratch = model.clone();
    let file = tempfile::NamedTempFile::new()?;
    for byte in numbers..whole.len() {
        for bit in 0..8 {
            changed[byte] ^= 1 << bit;
            let error = Model::from_bytes(&changed, path, device).map(drop).expect_err("another number").to_string();
            assert!(error.starts_with("checkpoint memory: expected tensor ") && error.contains("SHA-256"), "{error}");
            changed[byte] ^= 1 << bit;
        }
    }
    changed[numbers] ^= 1;
    std::fs::write(file.path(), &changed)?;
    let error = scratch.load_weights(file.path()).expect_err("another number").to_string();
    assert!(error.contains("SHA-256") && error.contains("the file is damaged"), "{error}");
    changed[numbers] ^= 1;
    for byte in 8..numbers {
        changed[byte] ^= 1 << (byte % 8);
        if let Ok(found) = Model::from_bytes(&changed, path, device) {
            assert!(found.to_bytes_with_optimizer()? == whole, "bit {} of byte {byte} changed the model", byte % 8);
        }
        changed[byte] ^= 1 << (byte % 8);
    }
    // Without digests, as older versions wrote it, it loads all the same.
    let old = Model::from_bytes(&without_digests(&whole)?, path, device)?;
    assert!(old.to_bytes_with_optimizer()? == whole);
    Ok(())
}

fn damaged_files_are_refused(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.safetensors");
    let whole = trained(device)?.to_bytes_with_optimizer()?;
    // Every length is refused, without a panic and without taking the memory that a header asks for.
    for length in 0..whole.len() {
        let cut = Model::from_bytes(&whole[..length], &path, device);
        assert!(matches!(cut, Err(wgrad::Error::Checkpoint { .. })), "{length} of {} bytes", whole.len());
    }
    let write = |bytes: &[u8], found: &str| {
        std::fs::write(&path, bytes)?;
        both_refuse(device, &path, &format!("expected a whole safetensors file, found {found}"))
    };
    write(&[], "header too small")?;
    write(&whole[..whole.len() - 1], "incomplete metadata, file not fully covered")?;
    write(&whole[..100], "invalid header length")?;
    write(&[0xff; 64], "header too large")?;
    let mut garbled = whole.clone();
    garbled[8] = b'!';
    write(&garbled, "invalid JSON in header: expected value at line 1 column 1")?;
    let last = whole.len() - 4;
    let mut poisoned = without_digests(&whole)?;
    let last = last - (whole.len() - poisoned.len());
    poisoned[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, &poisoned)?;
    let message = Model::load(&path, device).map(drop).expect_err("NaN is refused").to_string();
    assert!(message.contains(": expected finite numbers in ") && message.contains(", found NaN at "), "{message}");
    Ok(())
}

/// Whatever size a description announces, nothing is made of it before the tensors are found: the device here would give
/// the memory, and making the nets would take minutes.
fn a_description_larger_than_its_file_is_refused(device: &Device) -> Outcome {
    let large = |units: &str, bias: &str, tensor: &str| {
        let layer = format!(
            r#"{{"units": {units}, "activation": "linear", "use_bias": {bias}, "kernel_initializer": "glorot_uniform",
            "l2": 0.0, "trainable": true}}"#
        );
        let description = format!(
            r#"{{"version": 1, "model": {{"input": [65000], "layers": [{layer}], "seed": 0}}, "optimizer":
            {{"name": "sgd"}}, "loss": {{"loss": "mean_squared_error", "label_smoothing": 0.0, "from_logits": false}},
            "iterations": null}}"#
        );
        let quoted = serde_json::Value::from(description);
        let header = format!(r#"{{"__metadata__": {{"wgrad": {quoted}}}{tensor}}}"#);
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    };
    let refuse = |bytes: &[u8], found: &str, name: &str| {
        let message = format!("checkpoint memory: expected tensor {name} in F32, found {found}");
        refused(Model::from_bytes(bytes, Path::new("memory"), device), &message);
    };
    refuse(&large("65000", "false", ""), "no tensors", "dense_0.kernel of shape [65000, 65000]");
    refuse(&large("23000", "true", ""), "no tensors", "dense_0.kernel of shape [65000, 23000]");
    let empty = r#", "dense_0.kernel": {"dtype": "F32", "shape": [65000, 0], "data_offsets": [0, 0]}"#;
    let found = "shape [65000, 0] in F32";
    refuse(&large("65000", "false", empty), found, "dense_0.kernel of shape [65000, 65000]");
    let claimed = r#", "dense_0.kernel": {"dtype": "F32", "shape": [65000, 65000], "data_offsets": [0, 16900000000]}"#;
    let refused_at_all = Model::from_bytes(&large("65000", "false", claimed), Path::new("memory"), device);
    assert!(matches!(refused_at_all, Err(wgrad::Error::Checkpoint { .. })), "a tensor beyond the file's end");
    Ok(())
}

fn other_files_are_refused(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let nowhere = directory.path().join("nowhere.safetensors");
    let message = format!("cannot read {}: …", nowhere.display());
    refused(Model::load(&nowhere, device), &message);
    weights_refuse(device, &nowhere, &message)?;
    let weights_alone = foreign(directory.path(), &[("dense_0.kernel", &[6, 5], &numbers(30, 1))])?;
    let expected = "expected a model saved by this crate, with metadata \"wgrad\", found weights alone; load_weights can \
                    take those";
    refused(Model::load(&weights_alone, device), &format!("checkpoint {}: {expected}", weights_alone.display()));
    // A later version of the format.
    let text = trained(device)?.to_bytes()?;
    let at = text.windows(13).position(|window| window == b"\\\"version\\\":2").expect("a version");
    let mut later = text;
    later[at + 12] = b'3';
    let path = directory.path().join("later.safetensors");
    std::fs::write(&path, later)?;
    let message = "expected a model's description of version 1 or 2, found version 3";
    refused(Model::load(&path, device), &format!("checkpoint {}: {message}", path.display()));
    Ok(())
}

/// Version 1 did not name its one type of layer, Dense, whose L2 was a number.
fn a_file_of_version_1_loads(device: &Device) -> Outcome {
    let net =
        Sequential::new(6).add(Dense::new(5).activation(Activation::Tanh).l2(0.25)).add(Dense::new(3).use_bias(false));
    let model = net.clone().compile(device, Adam::default(), Loss::MeanSquaredError)?;
    let bytes = model.to_bytes_with_optimizer()?;
    let (length, rest) = bytes.split_at(8);
    let (header, numbers) = rest.split_at(u64::from_le_bytes(length.try_into()?) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header)?;
    let text = header["__metadata__"]["wgrad"].as_str().expect("a description");
    let mut description: serde_json::Value = serde_json::from_str(text)?;
    description["version"] = 1.into();
    description.as_object_mut().expect("an object").remove("sha256");
    for layer in description["model"]["layers"].as_array_mut().expect("layers") {
        let layer = layer.as_object_mut().expect("a layer");
        assert_eq!(layer.remove("type"), Some("dense".into()));
        layer.remove("bias_regularizer");
        let regularizer = layer.remove("kernel_regularizer").expect("a regularizer");
        layer.insert("l2".into(), regularizer["l2"].clone());
    }
    header["__metadata__"]["wgrad"] = description.to_string().into();
    let header = serde_json::to_vec(&header)?;
    let old = [&(header.len() as u64).to_le_bytes()[..], &header, numbers].concat();
    let loaded = Model::from_bytes(&old, Path::new("memory"), device)?;
    assert_eq!(loaded.description(), &net);
    assert!(loaded.to_bytes_with_optimizer()? == bytes);
    Ok(())
}

fn another_models_weights_are_refused(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("other.safetensors");
    let save = |description: Sequential| {
        description.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?.save(&path)
    };
    let refuse = |message: &str| weights_refuse(device, &path, &format!("checkpoint {}: {message}", path.display()));
    save(classifier(6, 7, 3))?;
    refuse("expected tensor dense_0.kernel of shape [6, 5], found shape [6, 7]")?;
    save(Sequential::new(6).add(Dense::new(5).activation(Activation::Softmax)))?;
    refuse("expected tensor dense_1.kernel of shape [5, 3] in F32, found only dense_0.bias, dense_0.kernel")?;
    // Weights without the optimizer's state, in a file that says it is there.
    let bytes = without_digests(&trained(device)?.to_bytes()?)?;
    let at = bytes.windows(4).position(|window| window == b"null").expect("iterations: null");
    let mut half = bytes;
    half[at..at + 4].copy_from_slice(b"1234");
    let message = Model::from_bytes(&half, &path, device).map(drop).expect_err("half a checkpoint").to_string();
    assert!(message.contains("expected tensor optimizer.mean.dense_0.kernel of shape [6, 5] in F32"), "{message}");
    Ok(())
}
