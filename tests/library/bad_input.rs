//! What bad input gets: an error whose text names the layer, row or setting, and a model that is as it was.

use wgrad::data::{Inputs, TargetRows, Targets};
use wgrad::{
    Activation, Adagrad, Adam, Clip, Dataset, Dense, Device, Fit, Ftrl, Lion, Loss, LossFunction, MAX_FEATURES, Model,
    Optimizer, RmsProp, Sequential, Sgd,
};

use crate::common::{Outcome, Suite, bits, classifier, labelled, refused, refused_for, trials, with_rows};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_cpu: data_sets, models, layers_too_large, losses_without_their_activation, optimizers, names);
    trials!(suite.everywhere: what_newcomers_get_wrong, unscaled_bytes_are_noticed);
    trials!(suite.everywhere: data_that_does_not_fit_the_model, settings_of_fit, class_weights, parameters, samples);
}

fn data_sets(_: &Device) -> Outcome {
    let classes = |inputs: &[f32], ids: &[u32], count| Dataset::from_classes(inputs.to_vec(), 2, ids.to_vec(), count);
    refused(classes(&[1.0; 4], &[0, 3], 3), "label 3 in row 1 is out of range: expected a class below 3");
    refused(classes(&[1.0; 3], &[0, 1], 3), "the inputs: expected whole rows of 2 numbers, found 3 numbers");
    refused(classes(&[1.0; 4], &[0], 3), "the targets: expected 2 rows, one for each row of the inputs, found 1");
    refused(
        classes(&[1.0, 2.0, 3.0, f32::NAN], &[0, 1], 3),
        "the inputs: expected finite numbers, found NaN in row 1, column 1",
    );
    refused(
        Dataset::from_rows(vec![1.0; 4], 2, vec![0.0, f32::NEG_INFINITY], 1),
        "the targets: expected finite numbers, found -inf in row 1, column 0",
    );
    refused(classes(&[1.0; 4], &[0, 0], 0), "classes: expected at least 1, found 0");
    let scaled = Inputs::Bytes { values: vec![1, 2].into(), scale: f32::INFINITY };
    refused(
        Dataset::new(scaled, 2, Targets::Classes { ids: vec![0].into(), classes: 1 }),
        "the scale of the inputs: expected a finite number, found inf",
    );
    let data = || labelled(3, 4, 2);
    refused(data().with_sample_weights(vec![1.0; 2]), "the sample weights: expected 3, one a sample, found 2");
    refused(
        data().with_sample_weights(vec![1.0, -1.0, 0.0]),
        "the sample weights: expected none below 0, found -1 in row 1",
    );
    refused(
        data().with_sample_weights(vec![1.0, 1.0, f32::NAN]),
        "the sample weights: expected finite numbers, found NaN in row 2, column 0",
    );
    Ok(())
}

fn compiled(description: Sequential, device: &Device) -> wgrad::Result<Model> {
    description.compile(device, RmsProp::default(), Loss::MeanSquaredError)
}

fn models(device: &Device) -> Outcome {
    let refuse = |description: Sequential, message: &str| drop(refused(compiled(description, device), message));
    refuse(Sequential::new(4), "model: expected at least one layer, found none");
    refuse(Sequential::new([28, 0]).add(Dense::new(1)), "input shape: expected at least one feature, found [28, 0]");
    refuse(
        Sequential::new(4).add(Dense::new(3)).add(Dense::new(0)).add(Dense::new(1)),
        "layer dense_1: expected at least one unit, found 0",
    );
    refuse(
        Sequential::new(4).add(Dense::new(3).l2(-0.5)),
        "layer dense_0: expected an L2 coefficient that is not negative, found -0.5",
    );
    refuse(
        Sequential::new(4).add(Dense::new(3)).add(Dense::new(3).activation(Activation::LeakyRelu(f32::NAN))),
        "layer dense_1: expected a slope of leaky_relu that is not negative, found NaN",
    );
    Ok(())
}

/// Nothing is allocated, and no size overflows, on the way to these refusals.
fn layers_too_large(device: &Device) -> Outcome {
    let most = u32::MAX;
    let refuse = |description: Sequential, message: String| drop(refused(compiled(description, device), &message));
    refuse(
        Sequential::new(100_000).add(Dense::new(3)).add(Dense::new(100_000)).add(Dense::new(100_000)),
        format!("layer dense_2: expected at most {most} weights, found 10000000000"),
    );
    // Beyond these widths a loop over the features would run longer than software drivers let it.
    refuse(
        Sequential::new(2).add(Dense::new(usize::MAX)),
        format!("layer dense_0: expected at most {MAX_FEATURES} units, found {}", usize::MAX),
    );
    refuse(
        Sequential::new([usize::MAX, 3]).add(Dense::new(1)),
        format!("input shape: expected at most {MAX_FEATURES} features, found {}", usize::MAX),
    );
    Ok(())
}

fn losses_without_their_activation(device: &Device) -> Outcome {
    let refuse = |last: Activation, loss: LossFunction, message: &str| {
        let description = Sequential::new(4).add(Dense::new(3)).add(Dense::new(2).activation(last));
        refused(description.compile(device, RmsProp::default(), loss), message);
    };
    refuse(
        Activation::Linear,
        Loss::CategoricalCrossentropy.into(),
        "categorical_crossentropy after layer dense_1: expected activation softmax, or linear with a loss that says \
         from_logits, found linear",
    );
    refuse(
        Activation::Relu,
        Loss::BinaryCrossentropy.from_logits(),
        "binary_crossentropy after layer dense_1: expected activation sigmoid, or linear with a loss that says \
         from_logits, found relu",
    );
    refuse(
        Activation::Softmax,
        Loss::BinaryCrossentropy.into(),
        "binary_crossentropy after layer dense_1: expected activation sigmoid, or linear with a loss that says \
         from_logits, found softmax, which goes with categorical_crossentropy",
    );
    refuse(
        Activation::Softmax,
        Loss::CategoricalCrossentropy.label_smoothing(1.0),
        "label smoothing: expected a share from 0 up to, not including, 1, found 1",
    );
    Ok(())
}

fn optimizers(device: &Device) -> Outcome {
    let share = "expected a share from 0 up to, not including, 1, found";
    let cases: [(Optimizer, String); 13] = [
        (
            RmsProp::default().with_learning_rate(-0.1).into(),
            "learning rate: expected a number that is not negative, found -0.1".into(),
        ),
        (
            Adam::default().with_learning_rate(f32::NAN).into(),
            "learning rate: expected a number that is not negative, found NaN".into(),
        ),
        (RmsProp { rho: 1.0, ..RmsProp::default() }.into(), format!("rho: {share} 1")),
        (Sgd { momentum: -0.5, ..Sgd::default() }.into(), format!("momentum: {share} -0.5")),
        (Adam { beta_1: 1.5, ..Adam::default() }.into(), format!("beta_1: {share} 1.5")),
        (Adam { beta_2: f32::NAN, ..Adam::default() }.into(), format!("beta_2: {share} NaN")),
        (Adam { epsilon: 0.0, ..Adam::default() }.into(), "epsilon: expected a positive number, found 0".into()),
        (
            Adagrad { initial_accumulator_value: -1.0, ..Adagrad::default() }.into(),
            "initial_accumulator_value: expected a number that is not negative, found -1".into(),
        ),
        (
            Lion::default().beta_1(0.0).into(),
            "beta_1: expected a share above 0, up to 1: at 0 Lion would only see signs of gradients, found 0".into(),
        ),
        (
            Ftrl::default().learning_rate_power(0.5).into(),
            "learning_rate_power: expected a number that is not positive, found 0.5".into(),
        ),
        (
            Adam::default().exclude_from_weight_decay(["bias", ""]).into(),
            "exclude_from_weight_decay: expected pieces of the names of tensors, as \"bias\", found an empty one, which \
             all have"
                .into(),
        ),
        (
            Sgd { weight_decay: -1.0, ..Sgd::default() }.into(),
            "weight decay: expected a number that is not negative, found -1".into(),
        ),
        (
            Sgd { clip: Clip::Norm(0.0), ..Sgd::default() }.into(),
            "clipnorm: expected a positive number, found 0".into(),
        ),
    ];
    for (optimizer, message) in cases {
        let model = Sequential::new(4).add(Dense::new(3)).compile(device, optimizer, Loss::MeanSquaredError);
        refused(model, &message);
    }
    let mut model = compiled(Sequential::new(4).add(Dense::new(3)), device)?;
    let infinite = model.set_learning_rate(f32::INFINITY);
    refused(infinite, "learning rate: expected a number that is not negative, found inf");
    assert_eq!(model.learning_rate(), 1e-3);
    Ok(())
}

fn names(_: &Device) -> Outcome {
    refused(
        "sofmax".parse::<Activation>(),
        "activation: expected linear, relu, leaky_relu, elu, sigmoid, tanh, silu, gelu, softplus, softmax, gelu_exact, \
         relu6, selu, celu, softsign, hard_sigmoid, hard_tanh, hard_silu, mish or exponential, found \"sofmax\"",
    );
    refused(
        "rmsprob".parse::<Optimizer>(),
        "optimizer: expected rmsprop, sgd, adam, adamw, adagrad, nadam, lion, adamax, adadelta or ftrl, found \"rmsprob\"",
    );
    let known: Vec<_> = Loss::ALL.iter().map(ToString::to_string).collect();
    let message = format!("loss: expected one of {}, found \"cross entropy\"", known.join(", "));
    refused("cross entropy".parse::<Loss>(), &message);
    Ok(())
}

/// A model of 6 features and 3 classes, and its weights.
fn model(device: &Device) -> Result<(Model, Vec<u32>), Box<dyn std::error::Error>> {
    let model = classifier(6, 5, 3).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    let before = bits(&model)?;
    Ok((model, before))
}

fn data_that_does_not_fit_the_model(device: &Device) -> Outcome {
    let (mut model, before) = model(device)?;
    let mut refuse = |data: &Dataset, message: &str| {
        refused(model.fit(data, Fit::new()), message);
        refused(model.train_on_batch(data), message);
        refused(model.evaluate(data), message);
        refused(model.fit(&labelled(9, 6, 3), Fit::new().validation_data(data)), message);
        refused(model.verify(data, 4, 1), message);
    };
    refuse(&labelled(9, 7, 3), "samples for layer dense_0: expected 6 features, found 7 features");
    refuse(
        &labelled(9, 6, 4),
        "targets for layer dense_1: expected 3 outputs, found 4 classes; a last layer of 4 units fits them",
    );
    refuse(
        &with_rows(9, 6, 2),
        "targets for layer dense_1: expected 3 outputs, found target rows of 2; a last layer of 2 units fits them",
    );
    refuse(&labelled(9, 6, 3).take(0), "data set: expected at least one sample, found none");
    assert_eq!((bits(&model)?, model.iterations()), (before, 0));
    let description = Sequential::new(6).add(Dense::new(1).activation(Activation::Softmax));
    refused(
        description.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy),
        "categorical_crossentropy after layer dense_0: expected 2 outputs or more, found 1, whose share of the whole is \
         always 1; for two classes end in sigmoid with binary_crossentropy",
    );
    Ok(())
}

fn settings_of_fit(device: &Device) -> Outcome {
    let (mut model, before) = model(device)?;
    let data = labelled(9, 6, 3);
    let mut refuse = |fit: Fit<'_>, message: &str| drop(refused(model.fit(&data, fit), message));
    refuse(Fit::new().batch_size(0), "batch size: expected 1 to 65536, found 0");
    refuse(Fit::new().batch_size(65_537), "batch size: expected 1 to 65536, found 65537");
    let share = "validation split: expected a share from 0 up to, not including, 1, found";
    refuse(Fit::new().validation_split(-0.1), &format!("{share} -0.1"));
    refuse(Fit::new().validation_split(1.0), &format!("{share} 1"));
    refuse(Fit::new().validation_split(f64::NAN), &format!("{share} NaN"));
    let sides = "the validation split: expected samples on both sides, found 0 and 9 for 0.99";
    refuse(Fit::new().validation_split(0.99), sides);
    refused(model.verify(&data, 0, 1), "batch size: expected 1 to 65536, found 0");
    assert_eq!(bits(&model)?, before);
    Ok(())
}

fn class_weights(device: &Device) -> Outcome {
    let (mut model, before) = model(device)?;
    let mut refuse = |data: &Dataset, weights: &[f32], message: &str| {
        refused(model.fit(data, Fit::new().class_weight(weights)), message);
    };
    let data = labelled(9, 6, 3);
    refuse(&data, &[1.0, 2.0], "class weights: expected 3 numbers, found 2");
    refuse(&data, &[1.0, -2.0, 1.0], "class weights: expected finite numbers that are not negative, found -2");
    refuse(&data, &[1.0, f32::NAN, 1.0], "class weights: expected finite numbers that are not negative, found NaN");
    let rows = with_rows(9, 6, 1);
    let message =
        "class weights: expected targets that name classes: class ids, one-hot rows, or rows of a single 0 or 1";
    let TargetRows::Rows { values, .. } = rows.targets() else { panic!("rows of targets") };
    refuse(&rows, &[1.0; 2], &format!("{message}, found {} in row 0", values[0]));
    assert_eq!(bits(&model)?, before);
    Ok(())
}

fn parameters(device: &Device) -> Outcome {
    let (mut model, before) = model(device)?;
    let known = "dense_0.kernel, dense_0.bias, dense_1.kernel, dense_1.bias";
    let message = format!("parameter name: expected {known}, found \"dense_2.bias\"");
    refused(model.parameter("dense_2.bias"), &message);
    // The first of the two is good, and yet nothing is changed.
    let good = [1.0; 5];
    refused(model.set_parameters([("dense_0.bias", &good[..]), ("dense_2.bias", &good[..])]), &message);
    let two = model.set_parameters([("dense_0.bias", &good[..]), ("dense_1.bias", &good[..2])]);
    refused(two, "dense_1.bias: expected 3 numbers, found 2");
    let mut kernel = [0.5; 15];
    kernel[7] = f32::INFINITY;
    let infinite = model.set_parameters([("dense_0.bias", &good[..]), ("dense_1.kernel", &kernel[..])]);
    refused(infinite, "dense_1.kernel: expected finite numbers, found inf in row 2, column 1");
    assert_eq!(bits(&model)?, before);
    Ok(())
}

fn samples(device: &Device) -> Outcome {
    let (model, _) = model(device)?;
    let message = "samples to predict: expected rows of 6 numbers, found 7";
    refused(model.predict(vec![0.0; 7]), message);
    refused(model.predict_classes(vec![0.0; 7]), message);
    let message = "samples for layer dense_0: expected 6 features, found 5 features";
    refused(model.predict(labelled(9, 5, 3)), message);
    refused(model.predict(labelled(9, 5, 3).take(0)), message);
    let mut rows = vec![0.0; 12];
    rows[8] = f32::NAN;
    refused(model.predict(&rows), "the inputs: expected finite numbers, found NaN in row 1, column 2");
    Ok(())
}

/// What users of Keras report most. Each is an error that says what to write instead.
fn what_newcomers_get_wrong(device: &Device) -> Outcome {
    let inputs = || vec![0.5; 8];
    let net = |last: Dense| Sequential::new(2).add(last);
    let softmax = net(Dense::new(3).activation(Activation::Softmax));
    let classifier = || softmax.clone().compile(device, Sgd::default(), Loss::CategoricalCrossentropy);
    // Labels from 1.
    let from_one = Dataset::from_classes(inputs(), 2, vec![1, 2, 3, 1], 3);
    refused_for(
        from_one,
        "label 3 in row 2 is out of range: expected a class below 3; labels from 1 to 3 need 1 taken off, since classes",
    );
    // One-hot rows as class ids, and class ids as rows.
    let one_hot = vec![0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0];
    refused_for(
        Dataset::from_classes(inputs(), 2, one_hot, 3),
        "the targets: expected 4 rows, one for each row of the inputs, found 12; one-hot rows go to Dataset::from_rows",
    );
    let ids_as_rows = Dataset::from_rows(inputs(), 2, vec![0.0, 1.0, 2.0, 1.0], 1)?;
    refused_for(
        classifier()?.fit(&ids_as_rows, Fit::new()),
        "found target rows of 1; Dataset::from_classes takes class ids",
    );
    // Softmax with binary cross-entropy, sigmoid with categorical, and softmax of one output.
    refused_for(
        softmax.clone().compile(device, Sgd::default(), Loss::BinaryCrossentropy),
        "from_logits, found softmax, which goes with categorical_crossentropy",
    );
    let sigmoid = net(Dense::new(3).activation(Activation::Sigmoid));
    refused_for(
        sigmoid.compile(device, Sgd::default(), Loss::CategoricalCrossentropy),
        "from_logits, found sigmoid, which goes with binary_crossentropy",
    );
    // A last layer whose width is not the classes'.
    let four = Dataset::from_classes(inputs(), 2, vec![0, 1, 2, 3], 4)?;
    refused_for(classifier()?.fit(&four, Fit::new()), "found 4 classes; a last layer of 4 units fits them");
    // Numbers that are none.
    let message = "the inputs: expected finite numbers, found NaN in row 3, column 1";
    let mut broken = inputs();
    broken[7] = f32::NAN;
    refused_for(Dataset::from_classes(broken, 2, vec![0, 1, 2, 0], 3), message);
    // The accuracy of a regression.
    let mut line = net(Dense::new(1)).compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    line.set_metrics(["accuracy".parse()?])?;
    let numbers = Dataset::from_rows(inputs(), 2, vec![0.5, 1.5, -2.0, 0.0], 1)?;
    refused_for(
        line.fit(&numbers, Fit::new()),
        "metric accuracy: expected targets that are classes, or a cross-entropy; a regression has mean_absolute_error or \
         r2_score, found target rows and mean_squared_error",
    );
    Ok(())
}

fn unscaled_bytes_are_noticed(device: &Device) -> Outcome {
    let bytes: Vec<u8> = (0..64).map(|at| (at * 97 % 256) as u8).collect();
    let floats = |scale: f32| Inputs::Floats(bytes.iter().map(|&byte| f32::from(byte) * scale).collect());
    let targets = || Targets::Classes { ids: vec![0, 1, 2, 1, 0, 2, 1, 0].into(), classes: 3 };
    let warnings = |inputs: Inputs, first: Option<wgrad::Layer>| -> wgrad::Result<Vec<String>> {
        let data = Dataset::new(inputs, 8, targets())?;
        let net = first.into_iter().fold(Sequential::new([2, 4]).add(wgrad::Flatten), Sequential::add);
        let net = net.add(Dense::new(3).activation(Activation::Softmax));
        let mut model = net.compile(device, Sgd::default().learning_rate(1e-6), Loss::CategoricalCrossentropy)?;
        Ok(model.fit(&data, Fit::new())?.warnings)
    };
    let of_bytes = |scale| Inputs::Bytes { values: bytes.clone().into(), scale };
    for inputs in [floats(1.0), of_bytes(1.0)] {
        let found = warnings(inputs, None)?;
        assert!(found.len() == 1 && found[0].contains("divide them by 255"), "{found:?}");
    }
    for inputs in [floats(1.0 / 255.0), floats(1.5), floats(-1.0), floats(0.25), of_bytes(1.0 / 255.0)] {
        assert!(warnings(inputs, None)?.is_empty());
    }
    let small = Inputs::Floats((0..64).map(|at| (at % 10) as f32).collect());
    assert!(warnings(small, None)?.is_empty());
    for first in [wgrad::Rescaling::new(1.0 / 255.0).into(), wgrad::BatchNormalization::new().into()] {
        assert!(warnings(floats(1.0), Some(first))?.is_empty());
    }
    Ok(())
}
