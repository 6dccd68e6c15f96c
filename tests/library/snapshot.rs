//! Snapshots: a model as it was, elsewhere, and twice; and a model that several threads share.

use std::sync::Arc;

use wgrad::{Adam, BatchNormalization, Dense, Device, Fit, Loss, Model, Optimizer, RmsProp, Sequential, Sgd};

use crate::common::{Outcome, Suite, bits, labelled, refused_for, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        a_restored_model_trains_on_with_the_same_bits,
        a_clone_is_a_model_of_its_own,
        weights_alone_can_be_taken,
        a_snapshot_of_another_model_is_refused,
        threads_predict_with_one_model,
    );
    trials!(suite.on_gpu: a_model_moves_to_another_device, a_clone_on_a_lost_device_says_so);
}

fn net() -> Sequential {
    Sequential::new(6).add(Dense::new(5)).add(BatchNormalization::new()).add(Dense::new(3))
}

fn compiled(device: &Device, optimizer: impl Into<Optimizer>) -> wgrad::Result<Model> {
    net().compile(device, optimizer, Loss::CategoricalCrossentropy.from_logits())
}

fn a_restored_model_trains_on_with_the_same_bits(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let fit = || Fit::new().epochs(2).batch_size(16);
    // In the middle of an update, too: eight batches are two updates of three and a part of one.
    for optimizer in [Optimizer::from(RmsProp::default()), Adam::default().gradient_accumulation_steps(3).into()] {
        let mut model = compiled(device, optimizer)?;
        model.fit(&data, fit())?;
        let snapshot = model.snapshot()?;
        model.fit(&data, fit())?;
        let expected = model.to_bytes_with_optimizer()?;
        model.restore(&snapshot)?;
        assert_eq!(model.iterations(), snapshot.iterations());
        model.fit(&data, fit())?;
        assert!(model.to_bytes_with_optimizer()? == expected);
    }
    Ok(())
}

fn a_clone_is_a_model_of_its_own(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let mut model = compiled(device, RmsProp::default())?;
    model.fit(&data, Fit::new())?;
    let before = model.to_bytes_with_optimizer()?;
    let clone = model.clone();
    assert!(clone.to_bytes_with_optimizer()? == before);
    model.fit(&data, Fit::new())?;
    assert!(clone.to_bytes_with_optimizer()? == before && model.to_bytes_with_optimizer()? != before);
    Ok(())
}

fn weights_alone_can_be_taken(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let mut model = compiled(device, Adam::default())?;
    let start = model.snapshot()?;
    let first = bits(&model)?;
    model.fit(&data, Fit::new())?;
    let updates = model.iterations();
    model.restore_weights(&start)?;
    assert_eq!((bits(&model)?, model.iterations()), (first, updates));
    Ok(())
}

fn a_snapshot_of_another_model_is_refused(device: &Device) -> Outcome {
    let snapshot = compiled(device, Adam::default())?.snapshot()?;
    refused_for(compiled(device, Sgd::default())?.restore(&snapshot), "one of a model with sgd");
    let other = Adam::default().beta_1(0.5);
    refused_for(compiled(device, other)?.restore(&snapshot), "of the same settings");
    let other = Sequential::new(6).add(Dense::new(3)).compile(device, Adam::default(), Loss::MeanSquaredError);
    refused_for(other?.restore(&snapshot), "the same layers");
    Ok(())
}

fn threads_predict_with_one_model(device: &Device) -> Outcome {
    let data = labelled(300, 6, 3);
    let model = Arc::new(compiled(device, RmsProp::default())?);
    let (outputs, score) = (model.predict(&data)?, model.evaluate(&data)?);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (model, data) = (model.clone(), data.clone());
            std::thread::spawn(move || (0..5).map(|_| Ok((model.predict(&data)?, model.evaluate(&data)?))).collect())
        })
        .collect();
    for thread in threads {
        let found: wgrad::Result<Vec<_>> = thread.join().expect("a thread that ends");
        assert!(found?.into_iter().all(|found| found == (outputs.clone(), score.clone())));
    }
    Ok(())
}

fn a_model_moves_to_another_device(device: &Device) -> Outcome {
    let data = labelled(50, 6, 3);
    let mut model = compiled(device, Adam::default())?;
    model.fit(&data, Fit::new().batch_size(16))?;
    let there = model.reopen(&Device::cpu())?;
    assert!(there.device().wgpu().is_none());
    assert!(there.to_bytes_with_optimizer()? == model.to_bytes_with_optimizer()?);
    Ok(())
}

fn a_clone_on_a_lost_device_says_so(_: &Device) -> Outcome {
    let device = Device::gpu()?;
    let model = compiled(&device, Adam::default())?;
    let (gpu, _) = device.wgpu().expect("a GPU");
    gpu.destroy();
    let clone = model.clone();
    refused_for(clone.predict(vec![0.0; 6]), "could not be made");
    refused_for(clone.parameter("dense_0.kernel"), "could not be made");
    Ok(())
}
