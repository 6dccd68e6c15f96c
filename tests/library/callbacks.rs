//! Callbacks between epochs.

use wgrad::{Dataset, Dense, Device, EarlyStopping, Fit, KeepBest, Loss, Model, Monitor, Sequential, Sgd};

use crate::common::{Outcome, Suite, refused_for, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        a_training_that_gets_worse_is_stopped_and_the_best_comes_back,
        the_best_epoch_is_kept,
        a_figure_that_is_not_there_is_refused,
    );
}

/// A line through the origin, with a learning rate beyond what is stable: each epoch is worse than the one before.
fn diverging(device: &Device) -> wgrad::Result<(Model, Dataset)> {
    let data = Dataset::from_rows(vec![1.0, 2.0], 1, vec![1.0, 2.0], 1)?;
    let net = Sequential::new(1).add(Dense::new(1).use_bias(false));
    let mut model = net.compile(device, Sgd::default().learning_rate(0.5), Loss::MeanSquaredError)?;
    model.set_parameters([("dense_0.kernel", &[1.25][..])])?;
    Ok((model, data))
}

fn a_training_that_gets_worse_is_stopped_and_the_best_comes_back(device: &Device) -> Outcome {
    for (patience, epochs) in [(0, 2), (1, 2), (3, 4)] {
        let (mut model, data) = diverging(device)?;
        let stop = EarlyStopping::new().patience(patience).restore_best_weights(true);
        let history = model.fit(&data, Fit::new().epochs(20).validation_data(&data).callback(stop))?;
        assert_eq!(history.epochs.len(), epochs, "patience {patience}");
        // The first epoch was the best: one update from 1.25.
        let (mut once, data) = diverging(device)?;
        once.fit(&data, Fit::new())?;
        assert_eq!(model.parameter("dense_0.kernel")?, once.parameter("dense_0.kernel")?);
    }
    let (mut model, data) = diverging(device)?;
    let improves_too_little = EarlyStopping::new().monitor("loss".parse()?).min_delta(1e9).patience(2);
    let history = model.fit(&data, Fit::new().epochs(20).callback(improves_too_little))?;
    assert_eq!(history.epochs.len(), 3);
    Ok(())
}

fn the_best_epoch_is_kept(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    let mut best = KeepBest::new(Monitor::ValidationLoss);
    model.fit(&data, Fit::new().epochs(4).validation_data(&data).callback(&mut best))?;
    let (epoch, snapshot) = best.best().expect("a best epoch");
    assert_eq!((epoch, snapshot.iterations()), (1, 1));
    assert_ne!(snapshot.open(device)?.parameter("dense_0.kernel")?, model.parameter("dense_0.kernel")?);
    Ok(())
}

fn a_figure_that_is_not_there_is_refused(device: &Device) -> Outcome {
    let (mut model, data) = diverging(device)?;
    refused_for(model.fit(&data, Fit::new().callback(EarlyStopping::new())), "val_loss");
    let accuracy = EarlyStopping::new().monitor(Monitor::Accuracy);
    refused_for(model.fit(&data, Fit::new().callback(accuracy)), "accuracy");
    refused_for("precision".parse::<Monitor>(), "val_accuracy");
    Ok(())
}
