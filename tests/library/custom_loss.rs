//! Losses of the user's own on every device, against losses of this crate with the same formulas.

use std::path::Path;

use wgrad::{
    Activation, CustomLoss, Dataset, Dense, Device, Fit, Loss, LossFunction, Model, RowFormula, Sequential, Sgd,
};

use crate::common::{Outcome, Suite, assert_same_net, bits, labelled, numbers, refused_for, trials, with_rows};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        the_same_formula_trains_alike,
        files_ask_for_it,
    );
    trials!(suite.on_cpu: a_wrong_gradient_is_no_model);
    trials!(suite.on_gpu: the_two_forms_are_compared);
}

const SQUARED_ERROR: &str = "
    struct Found { loss: f32 }
    fn custom_loss(row: u32) -> Found {
        var sum = 0.0;
        for (var c = 0u; c < COLUMNS; c++) {
            let difference = output_at(row, c) - target_at(row, c);
            sum += difference * difference;
        }
        return Found(sum / f32(COLUMNS));
    }
    fn custom_slope(row: u32, column: u32, found: Found) -> f32 {
        return 2.0 / f32(COLUMNS) * (output_at(row, column) - target_at(row, column));
    }";

fn squared_error(outputs: &[f64], targets: &[f64], gradient: &mut [f64]) -> f64 {
    let (mut sum, width) = (0.0, outputs.len() as f64);
    for (column, (y, t)) in outputs.iter().zip(targets).enumerate() {
        sum += (y - t) * (y - t) / width;
        gradient[column] = 2.0 / width * (y - t);
    }
    sum
}

/// Cross-entropy of logits: the gradient wants what the loss has found of the whole row.
const CROSS_ENTROPY: &str = "
    struct Found { loss: f32, largest: f32, sum: f32 }
    fn custom_loss(row: u32) -> Found {
        var largest = output_at(row, 0u);
        for (var c = 1u; c < COLUMNS; c++) {
            largest = max(largest, output_at(row, c));
        }
        var sum = 0.0;
        for (var c = 0u; c < COLUMNS; c++) {
            sum += exp(output_at(row, c) - largest);
        }
        var loss = 0.0;
        for (var c = 0u; c < COLUMNS; c++) {
            loss -= target_at(row, c) * (output_at(row, c) - largest - log(sum));
        }
        return Found(loss, largest, sum);
    }
    fn total(row: u32) -> f32 {
        var total = 0.0;
        for (var c = 0u; c < COLUMNS; c++) {
            total += target_at(row, c);
        }
        return total;
    }
    fn custom_slope(row: u32, column: u32, found: Found) -> f32 {
        let p = exp(output_at(row, column) - found.largest) / found.sum;
        return p * total(row) - target_at(row, column);
    }";

fn cross_entropy(outputs: &[f64], targets: &[f64], gradient: &mut [f64]) -> f64 {
    let largest = outputs.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = outputs.iter().map(|z| (z - largest).exp()).sum();
    let total: f64 = targets.iter().sum();
    let mut loss = 0.0;
    for (column, (z, t)) in outputs.iter().zip(targets).enumerate() {
        loss -= t * (z - largest - sum.ln());
        gradient[column] = (z - largest).exp() / sum * total - t;
    }
    loss
}

fn net(device: &Device, outputs: usize, loss: impl Into<LossFunction>) -> wgrad::Result<Model> {
    net_of(6, device, outputs, loss)
}

fn net_of(features: usize, device: &Device, outputs: usize, loss: impl Into<LossFunction>) -> wgrad::Result<Model> {
    let net = Sequential::new(features).add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(outputs));
    net.compile(device, Sgd::default().learning_rate(0.1), loss)
}

fn the_same_formula_trains_alike(device: &Device) -> Outcome {
    let weights = |data: Dataset| {
        let weights = numbers(data.len(), 5).iter().map(|x| 1.0 + x).collect::<Vec<_>>();
        data.with_sample_weights(weights)
    };
    let squares = CustomLoss::new("own_squares", SQUARED_ERROR, squared_error)?;
    let entropy = CustomLoss::new("own_entropy", CROSS_ENTROPY, cross_entropy)?;
    let of_logits = Loss::CategoricalCrossentropy.from_logits();
    // Wide rows are no fused launch, and their scratch is no array.
    let cases: [(CustomLoss, LossFunction, Dataset, usize); 5] = [
        (squares, Loss::MeanSquaredError.into(), with_rows(50, 6, 3), 3),
        (squares, Loss::MeanSquaredError.into(), weights(with_rows(50, 6, 40))?, 40),
        (squares, Loss::MeanSquaredError.into(), labelled(50, 6, 2), 1),
        (entropy, of_logits, weights(labelled(50, 6, 3))?, 3),
        (entropy, of_logits, labelled(50, 40, 35), 35),
    ];
    for (custom, known, data, outputs) in cases {
        for fused in [true, false] {
            let train = |loss: LossFunction| -> wgrad::Result<_> {
                let mut model = net_of(data.features(), device, outputs, loss)?;
                model.set_fusion(fused);
                let plan = model.plan_summary(&data, 16)?;
                let history = model.fit(&data, Fit::new().epochs(3).batch_size(16).validation_data(&data))?;
                Ok((model, plan, history))
            };
            let (expected, known_plan, past) = train(known)?;
            let (mut found, plan, history) = train(Loss::Custom(custom).into())?;
            let what = format!("{} with {outputs} outputs, fused: {fused}", custom.name());
            assert_same_net(&what, &found, &expected, 1e-5)?;
            let (one, other) = (found.evaluate(&data)?, expected.evaluate(&data)?);
            assert!((one.loss - other.loss).abs() < 1e-5 && history.epochs.len() == past.epochs.len(), "{what}");
            assert_eq!(plan.contains("dense_loss"), known_plan.contains("dense_loss"), "{what}:\n{plan}");
            assert_eq!(plan.contains("dense_loss"), fused && outputs <= 32, "{what}:\n{plan}");
            assert!(found.verify(&data, 16, 2)?.launches > 0);
        }
    }
    Ok(())
}

fn files_ask_for_it(device: &Device) -> Outcome {
    let (path, data) = (Path::new("memory"), with_rows(50, 6, 3));
    let squares = CustomLoss::new("own_squares", SQUARED_ERROR, squared_error)?;
    let mut model = net(device, 3, Loss::Custom(squares))?;
    model.fit(&data, Fit::new().epochs(2).batch_size(16).steps(3))?;
    let file = model.to_bytes_with_optimizer()?;
    refused_for(
        Model::from_bytes(&file, path, device),
        "expected a loss of this crate's; Model::load_with_loss takes one of your own beside the file, found the name of \
         another, \"own_squares\"",
    );
    let other = CustomLoss::new("another", SQUARED_ERROR, squared_error)?;
    refused_for(
        Model::from_bytes_with_loss(&file, path, other, device),
        "expected the loss \"own_squares\", found \"another\"",
    );
    let known = net(device, 3, Loss::MeanSquaredError)?.to_bytes()?;
    refused_for(
        Model::from_bytes_with_loss(&known, path, squares, device),
        "expected a model with the loss \"own_squares\"; Model::load is for those of this crate, found mean_squared_error",
    );
    let mut loaded = Model::from_bytes_with_loss(&file, path, squares, device)?;
    assert!(loaded.to_bytes_with_optimizer()? == file);
    let (one, other) = (Fit::resume(&loaded)?, Fit::resume(&model)?);
    loaded.fit(&data, one)?;
    model.fit(&data, other)?;
    assert_eq!(bits(&loaded)?, bits(&model)?);
    assert_eq!(model.snapshot()?.open(device)?.evaluate(&data)?, model.evaluate(&data)?);
    // Text holds the name, of which nothing can be made.
    let text = serde_json::to_string(&Loss::Custom(squares))?;
    assert_eq!(text, "{\"custom\":\"own_squares\"}");
    refused_for(net(device, 3, serde_json::from_str::<Loss>(&text)?), "custom loss: expected its WGSL and Rust");
    Ok(())
}

fn a_wrong_gradient_is_no_model(device: &Device) -> Outcome {
    let halved: RowFormula = |outputs, targets, gradient| squared_error(outputs, targets, gradient) / 2.0;
    let wrong = CustomLoss::new("own", SQUARED_ERROR, halved)?;
    refused_for(net(device, 3, Loss::Custom(wrong)), "gradient of the loss own: output 0 of [");
    Ok(())
}

/// The one form is a third larger than the other.
fn the_two_forms_are_compared(device: &Device) -> Outcome {
    let larger: RowFormula = |outputs, targets, gradient| {
        let loss = squared_error(outputs, targets, gradient);
        gradient.iter_mut().for_each(|slope| *slope *= 4.0 / 3.0);
        loss * 4.0 / 3.0
    };
    let mut model = net(device, 3, Loss::Custom(CustomLoss::new("own", SQUARED_ERROR, larger)?))?;
    refused_for(model.verify(&with_rows(50, 6, 3), 16, 1), "own");
    Ok(())
}
