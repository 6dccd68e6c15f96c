//! Training on: layers that are frozen and set free between two fits, and layers that another model takes over.

use wgrad::{Activation, BatchNormalization, Clip, Dense, Device, Dropout, Fit, Loss, Model, RmsProp, Sequential, Sgd};

use crate::common::{Outcome, Suite, labelled, refused_for, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        freezing_changes_no_number,
        what_is_frozen_stays_to_the_bit,
        a_model_that_was_frozen_is_as_one_that_was_loaded,
        another_head_on_a_trained_model,
        what_cannot_be_is_refused,
    );
}

fn net() -> Sequential {
    Sequential::new(6)
        .add(Dense::new(9).activation(Activation::Relu).l2(0.01))
        .add(BatchNormalization::new().momentum(0.9))
        .add(Dropout::new(0.25))
        .add(Dense::new(7).activation(Activation::Tanh))
        .add(Dense::new(3).activation(Activation::Softmax))
}

/// Trained for some steps. Norms are over all that is trained, so what is frozen shows in each number.
fn trained(device: &Device) -> wgrad::Result<Model> {
    let optimizer = RmsProp { momentum: 0.5, clip: Clip::GlobalNorm(0.5), ..RmsProp::default() };
    let mut model = net().compile(device, optimizer, Loss::CategoricalCrossentropy)?;
    model.fit(&labelled(50, 6, 3), Fit::new().epochs(2).batch_size(16))?;
    Ok(model)
}

fn freezing_changes_no_number(device: &Device) -> Outcome {
    let mut model = trained(device)?;
    let before = model.to_bytes_with_optimizer()?;
    let score = model.evaluate(&labelled(20, 6, 3))?;
    model.set_trainable("dense_0", false)?;
    model.set_trainable("batch_normalization_0", false)?;
    assert!(model.summary().contains("Non-trainable params: 99"), "{}", model.summary());
    assert_eq!(model.evaluate(&labelled(20, 6, 3))?, score);
    model.set_trainable("batch_normalization_0", true)?;
    model.set_trainable("dense_0", true)?;
    assert!(model.to_bytes_with_optimizer()? == before, "parameters, the optimizer's state, progress");
    Ok(())
}

fn what_is_frozen_stays_to_the_bit(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let fit = || Fit::new().epochs(2).batch_size(16);
    let mut model = trained(device)?;
    let tensors: Vec<String> = model.parameter_names().map(|(name, _)| name.to_string()).collect();
    let read = |model: &Model| tensors.iter().map(|name| model.parameter(name)).collect::<wgrad::Result<Vec<_>>>();
    let mut before = read(&model)?;
    // In turns: the one layer, the other too, then the first set free.
    for (layer, trainable, frozen) in [
        ("dense_0", false, &["dense_0"][..]),
        ("batch_normalization_0", false, &["dense_0", "batch_normalization_0"]),
        ("dense_0", true, &["batch_normalization_0"]),
    ] {
        model.set_trainable(layer, trainable)?;
        model.fit(&data, fit())?;
        let after = read(&model)?;
        for (name, (before, after)) in tensors.iter().zip(before.iter().zip(&after)) {
            let is_frozen = frozen.iter().any(|layer| name.starts_with(layer));
            assert_eq!(before == after, is_frozen, "{name} after {layer} became {trainable}");
        }
        before = after;
    }
    Ok(())
}

/// The same bits, whether a model is told between two fits, or written, read, and gone on with.
fn a_model_that_was_frozen_is_as_one_that_was_loaded(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let mut model = trained(device)?;
    model.set_trainable("dense_1", false)?;
    let bytes = model.to_bytes_with_optimizer()?;
    let mut loaded = Model::from_bytes(&bytes, std::path::Path::new("memory"), device)?;
    assert_eq!(loaded.description(), model.description());
    for model in [&mut model, &mut loaded] {
        model.fit(&data, Fit::new().epochs(2).batch_size(16))?;
    }
    assert!(model.to_bytes_with_optimizer()? == loaded.to_bytes_with_optimizer()?);
    Ok(())
}

fn another_head_on_a_trained_model(device: &Device) -> Outcome {
    let old = trained(device)?;
    let mut net = old.description().clone().pop().add(Dense::new(2).activation(Activation::Softmax));
    for layer in ["dense_0", "batch_normalization_0", "dense_1"] {
        net.set_trainable(layer, false)?;
    }
    let mut model = net.compile(device, Sgd::default().learning_rate(0.5), Loss::CategoricalCrossentropy)?;
    let fresh = model.parameter("dense_2.kernel")?;
    model.copy_layers(&old, ["dense_0", "batch_normalization_0", "dense_1"])?;
    assert_eq!(model.parameter("dense_2.kernel")?, fresh, "the head stays as it starts");
    let data = labelled(60, 6, 2);
    let before = model.evaluate(&data)?.loss;
    model.fit(&data, Fit::new().epochs(5).batch_size(16))?;
    assert!(model.evaluate(&data)?.loss < before);
    assert_ne!(model.parameter("dense_2.kernel")?, fresh);
    for tensor in ["dense_0.kernel", "dense_0.bias", "batch_normalization_0.moving_mean", "dense_1.kernel"] {
        assert_eq!(model.parameter(tensor)?, old.parameter(tensor)?, "{tensor}");
    }
    Ok(())
}

fn what_cannot_be_is_refused(device: &Device) -> Outcome {
    let mut model = trained(device)?;
    let before = model.to_bytes()?;
    refused_for(model.set_trainable("dense_7", false), "dense_0, batch_normalization_0, dense_1, dense_2");
    refused_for(model.set_trainable("dropout_0", false), "the name of a layer that can be trained");
    let other = Sequential::new(5).add(Dense::new(9)).add(Dense::new(7)).add(Dense::new(3).use_bias(false));
    let other = other.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    refused_for(model.copy_layers(&other, ["dense_1", "dense_0"]), "dense_0.kernel: expected shape [6, 9]");
    refused_for(model.copy_layers(&other, ["dense_2"]), "shape [3]");
    refused_for(
        model.copy_layers(&other, ["batch_normalization_0"]),
        "a layer with tensors of the other model: dense_0",
    );
    refused_for(model.copy_layers(&other, ["dropout_0"]), "a layer with tensors of this model");
    assert!(model.to_bytes()? == before, "nothing is changed then");
    Ok(())
}
