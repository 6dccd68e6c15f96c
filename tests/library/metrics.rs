//! Metrics: what they are of, where they are measured, and what they cost.

use wgrad::{
    Activation, Average, Dataset, Dense, Device, Fit, Loss, Metric, Model, RmsProp, Score, Sequential, Sgd,
    StreamedDataset,
};

use crate::common::{Outcome, Suite, classifier, labelled, refused_for, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        what_is_measured_is_what_keras_has,
        a_training_and_its_validation_are_measured_too,
        one_output_has_two_classes,
        metrics_that_make_no_sense_are_refused,
        metrics_cost_the_launches_that_they_need,
        verified_steps_count_too,
        files_and_snapshots_keep_the_list,
    );
    trials!(suite.on_gpu: recorded_steps_count_too);
}

const SAMPLES: usize = 300;

/// What the last activation gets, as `tests/golden/metrics.py` has it.
fn scores(columns: usize) -> Vec<f32> {
    (0..SAMPLES * columns).map(|at| ((at * 37 % 101) as f32 - 50.0) / 16.0).collect()
}

/// A net that hands its inputs on to its last activation.
fn identity(device: &Device, columns: usize, activation: Activation, loss: Loss) -> wgrad::Result<Model> {
    let net = Sequential::new(columns).add(Dense::new(columns).activation(activation));
    let mut model = net.compile(device, Sgd::default().learning_rate(0.0), loss)?;
    let kernel: Vec<_> = (0..columns * columns).map(|at| f32::from(at % (columns + 1) == 0)).collect();
    model.set_parameters([("dense_0.kernel", kernel.as_slice())])?;
    Ok(model)
}

fn binary(device: &Device) -> wgrad::Result<(Model, Dataset)> {
    let z = scores(1);
    let truth = (0..SAMPLES).map(|at| f32::from(at * 53 % 97 < if z[at] > 0.0 { 70 } else { 30 })).collect();
    let model = identity(device, 1, Activation::Sigmoid, Loss::BinaryCrossentropy)?;
    Ok((model, Dataset::from_rows(z, 1, truth, 1)?))
}

fn classes(device: &Device) -> wgrad::Result<(Model, Dataset)> {
    let z = scores(5);
    let largest = |row: &[f32]| (0..5).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    let id = |(at, row)| if at % 3 == 0 { at * 7 % 4 } else { largest(row) } as u32;
    let ids = z.chunks_exact(5).enumerate().map(id).collect();
    let model = identity(device, 5, Activation::Softmax, Loss::CategoricalCrossentropy)?;
    Ok((model, Dataset::from_classes(z, 5, ids, 5)?))
}

fn regression(device: &Device) -> wgrad::Result<(Model, Dataset)> {
    let z = scores(3);
    let truth = z.iter().enumerate().map(|(at, z)| {
        let noise = (((at / 3) * 29 % 31) as f32 - 15.0) / 8.0;
        z + noise * [0.5, 1.0, 2.0][at % 3] + [0.0, 4.0, -30.0][at % 3]
    });
    let truth = truth.collect();
    let model = identity(device, 3, Activation::Linear, Loss::MeanSquaredError)?;
    Ok((model, Dataset::from_rows(z, 3, truth, 3)?))
}

fn asked(names: &[&str]) -> wgrad::Result<Vec<Metric>> {
    names.iter().map(|name| name.parse()).collect()
}

const BINARY: [(&str, f64); 7] = [
    ("auc", 0.666_473_984_718_322_8),
    ("binary_accuracy", 0.699_999_988_079_071),
    ("binary_accuracy_above_0.3", 0.600_000_023_841_857_9),
    ("precision", 0.709_459_483_623_504_6),
    ("precision_above_0.7", 0.706_422_030_925_750_7),
    ("recall", 0.690_789_461_135_864_3),
    ("f1_macro_above_0.5", 0.699_999_868_869_781_5),
];

const CLASSES: [(&str, f64); 20] = [
    ("categorical_accuracy", 0.683_333_337_306_976_3),
    ("top_2_accuracy", 0.783_333_361_148_834_2),
    ("auc", 0.854_259_729_385_376),
    ("precision", 0.683_333_337_306_976_3),
    ("recall_above_0.3", 0.766_666_650_772_094_7),
    ("f1_by_class_0", 0.666_666_686_534_881_6),
    ("f1_by_class_1", 0.533_333_241_939_544_7),
    ("f1_by_class_2", 0.670_886_039_733_886_7),
    ("f1_by_class_3", 0.674_999_952_316_284_2),
    ("f1_by_class_4", 0.803_030_312_061_309_8),
    ("f1_macro", 0.669_783_294_200_897_2),
    ("f1_micro", 0.683_333_277_702_331_5),
    ("f1_weighted", 0.674_049_079_418_182_4),
    ("f1_by_class_above_0.3_0", 0.487_179_428_339_004_5),
    ("f1_by_class_above_0.3_1", 0.415_584_355_592_727_66),
    ("f1_by_class_above_0.3_2", 0.670_886_039_733_886_7),
    ("f1_by_class_above_0.3_3", 0.674_999_952_316_284_2),
    ("f1_by_class_above_0.3_4", 0.803_030_312_061_309_8),
    ("f1_weighted_above_0.3", 0.629_463_672_637_939_5),
    ("mean_absolute_error", 0.198_031_336_069_107_06),
];

const REGRESSION: [(&str, f64); 4] = [
    ("mean_absolute_error", 11.490_416_526_794_434),
    ("mean_squared_error", 306.926_849_365_234_4),
    ("root_mean_squared_error", 17.519_327_163_696_29),
    ("r2_score", -36.019_096_374_511_72),
];

/// Those of a list; numbers by class are asked for once.
fn names<'n>(recorded: &[(&'n str, f64)]) -> Vec<&'n str> {
    let mut names: Vec<_> =
        recorded.iter().map(|(name, _)| name.strip_suffix(by_class_suffix(name)).unwrap()).collect();
    names.dedup();
    names
}

/// `_0` of `f1_by_class_0`, nothing of other names.
fn by_class_suffix(name: &str) -> &str {
    let digit = name.len() - 2;
    let digits = name.contains("by_class") && name.as_bytes()[digit] == b'_';
    if digits { &name[digit..] } else { "" }
}

#[track_caller]
fn assert_measured(score: &Score, recorded: &[(&str, f64)], what: &str) {
    for &(name, expected) in recorded {
        let found = score.metric(name).unwrap_or_else(|| panic!("no {name} in {score:?}, {what}"));
        // Keras reckons in f32, and lavapipe's exp is off by 1e-6.
        assert!(
            (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
            "{what}: {name} {found}, Keras has {expected}"
        );
    }
}

fn what_is_measured_is_what_keras_has(device: &Device) -> Outcome {
    type Made = fn(&Device) -> wgrad::Result<(Model, Dataset)>;
    type Recorded = &'static [(&'static str, f64)];
    let cases: [(&str, Made, Recorded); 3] =
        [("binary", binary, &BINARY), ("classes", classes, &CLASSES), ("regression", regression, &REGRESSION)];
    for (what, made, recorded) in cases {
        let (mut model, data) = made(device)?;
        let plain = model.evaluate(&data)?;
        assert!(plain.metrics.is_empty());
        model.set_metrics(asked(&names(recorded))?)?;
        let score = model.evaluate(&data)?;
        assert_measured(&score, recorded, what);
        assert_eq!((score.loss as f32, score.accuracy), (plain.loss as f32, plain.accuracy), "{what}");
        // Each alone, which has other tables, and unfused; and a second pass counts from zero.
        model.set_fusion(false);
        for name in names(recorded) {
            model.set_metrics(asked(&[name])?)?;
            let own: Vec<_> = recorded
                .iter()
                .copied()
                .filter(|(one, _)| one.starts_with(name) && score.metric(one).is_some())
                .collect();
            let own: Vec<_> =
                own.into_iter().filter(|(one, _)| one.strip_suffix(by_class_suffix(one)) == Some(name)).collect();
            assert!(!own.is_empty());
            assert_measured(&model.evaluate(&data)?, &own, what);
            assert_measured(&model.evaluate(&data)?, &own, what);
        }
        model.set_metrics([])?;
        assert!(model.evaluate(&data)?.metrics.is_empty());
    }
    Ok(())
}

/// With a learning rate of 0 every pass finds the same. Weights count in the loss alone.
fn a_training_and_its_validation_are_measured_too(device: &Device) -> Outcome {
    let (mut model, data) = classes(device)?;
    let weights: Vec<_> = (0..SAMPLES).map(|at| (at % 5) as f32).collect();
    let weighted = data.clone().with_sample_weights(weights)?;
    model.set_metrics(asked(&[&names(&CLASSES)[..], &["confusion_matrix"]].concat())?)?;
    let matrix = model.evaluate(&data)?.confusion_matrix().cloned().expect("a matrix");
    assert_eq!((matrix.total(), matrix.classes()), (SAMPLES as u64, 5));
    let wgrad::data::TargetRows::Classes { ids, .. } = data.targets() else { panic!("classes") };
    let mut expected = [[0; 5]; 5];
    ids.iter().zip(model.predict_classes(&data)?).for_each(|(&id, answer)| expected[id as usize][answer as usize] += 1);
    assert!(matrix.rows().eq(expected.iter().map(|row| &row[..])), "{matrix}");
    let right: u64 = (0..5).map(|class| matrix.count(class, class)).sum();
    assert_eq!(model.evaluate(&data)?.accuracy, Some(right as f64 / SAMPLES as f64));

    let history = model.fit(&weighted, Fit::new().epochs(2).batch_size(32).validation_data(&data))?;
    for record in &history.epochs {
        assert_measured(&record.train, &CLASSES, "train");
        assert_eq!(record.train.confusion_matrix(), Some(&matrix));
        let validation = record.validation.as_ref().expect("a validation");
        assert_measured(validation, &CLASSES, "validation");
        assert_eq!(validation.confusion_matrix(), Some(&matrix));
        assert_eq!(record.figure("val_top_2_accuracy"), validation.metric("top_2_accuracy"));
    }
    let whole = data.clone();
    let streamed = StreamedDataset::from_fn(data.len(), move |rows| Ok(whole.range(rows)?))?;
    let score = model.evaluate(&streamed)?;
    assert_eq!(score.confusion_matrix(), Some(&matrix));
    assert_measured(&score, &CLASSES, "streamed");
    Ok(())
}

fn one_output_has_two_classes(device: &Device) -> Outcome {
    let (mut model, data) = binary(device)?;
    model.set_metrics([
        Metric::ConfusionMatrix,
        Metric::precision(Average::ByClass),
        Metric::recall(Average::Macro),
    ])?;
    let score = model.evaluate(&data)?;
    let matrix = score.confusion_matrix().expect("a matrix");
    let [[negative, false_positive], [false_negative, positive]] =
        [0, 1].map(|truth| [0, 1].map(|answer| matrix.count(truth, answer) as f64));
    assert_eq!((matrix.classes(), matrix.total()), (2, SAMPLES as u64));
    let precision = score.by_class("precision_by_class").expect("two numbers");
    assert_eq!(precision, [negative / (negative + false_negative), positive / (positive + false_positive)]);
    assert!((precision[1] - 0.709_459_483_623_504_6).abs() < 1e-6, "{precision:?}");
    let recall = (negative / (negative + false_positive) + positive / (positive + false_negative)) / 2.0;
    assert_eq!(score.metric("recall_macro"), Some(recall));

    // A logit says yes above zero.
    let net = Sequential::new(1).add(Dense::new(1));
    let mut logits = net.compile(device, Sgd::default(), Loss::BinaryCrossentropy.from_logits())?;
    logits.set_parameters([("dense_0.kernel", &[1.0][..])])?;
    logits.set_metrics([Metric::ConfusionMatrix])?;
    assert_eq!(logits.evaluate(&data)?.confusion_matrix(), Some(matrix));
    Ok(())
}

fn metrics_that_make_no_sense_are_refused(device: &Device) -> Outcome {
    let (mut one, _) = binary(device)?;
    let (mut five, data) = classes(device)?;
    let (mut linear, numbers) = regression(device)?;
    refused_for(one.set_metrics([Metric::CategoricalAccuracy]), "binary_accuracy");
    refused_for(one.set_metrics([Metric::TopKAccuracy(1)]), "several outputs");
    refused_for(five.set_metrics([Metric::TopKAccuracy(6)]), "top_6_accuracy");
    refused_for(five.set_metrics([Metric::TopKAccuracy(0)]), "from 1");
    refused_for(five.set_metrics([Metric::Auc, Metric::Auc]), "auc twice");
    refused_for(five.set_metrics([Metric::BinaryAccuracy { threshold: f32::NAN }]), "finite");
    refused_for(linear.set_metrics([Metric::Auc]), "sigmoid or softmax");
    let wide = Sequential::new(2).add(Dense::new(1025));
    let mut wide = wide.compile(device, Sgd::default(), Loss::MeanSquaredError)?;
    refused_for(wide.set_metrics([Metric::ConfusionMatrix]), "1024");
    refused_for(wide.set_metrics([Metric::R2Score]), "1024");
    wide.set_metrics([Metric::MeanAbsoluteError])?;

    // What is refused changes nothing.
    five.set_metrics([Metric::TopKAccuracy(2)])?;
    refused_for(five.set_metrics([Metric::Auc, Metric::TopKAccuracy(9)]), "top_9_accuracy");
    assert_eq!(five.metrics(), [Metric::TopKAccuracy(2)]);
    assert!(five.evaluate(&data)?.metric("top_2_accuracy").is_some());

    // Whether there is an accuracy depends on the targets too.
    linear.set_metrics([Metric::Accuracy])?;
    refused_for(linear.evaluate(&numbers), "mean_absolute_error");
    refused_for(linear.fit(&numbers, Fit::new()), "accuracy");
    Ok(())
}

fn metrics_cost_the_launches_that_they_need(device: &Device) -> Outcome {
    let data = labelled(64, 8, 3);
    let mut model = classifier(8, 16, 3).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    let launches = |model: &Model| -> wgrad::Result<Vec<String>> {
        let summary = model.plan_summary(&data, 16)?;
        Ok(summary.lines().filter_map(|line| line.split_whitespace().nth(1)).map(String::from).collect())
    };
    let plain = launches(&model)?;
    model.set_metrics([Metric::Accuracy, Metric::CategoricalAccuracy])?;
    assert_eq!(launches(&model)?, plain, "these come with the loss");
    let mut added = |metrics: &[&str]| -> wgrad::Result<Vec<String>> {
        model.set_metrics(asked(metrics)?)?;
        // Where the loss is fused with its layer, that is undone; what is there beside it is asked for here.
        model.set_fusion(false);
        let with = launches(&model)?;
        model.set_metrics([])?;
        let without = launches(&model)?;
        model.set_fusion(true);
        let added = with.iter().filter(|label| !without.contains(label)).cloned().collect();
        assert_eq!(with.len() - without.len(), Vec::len(&added));
        Ok(added)
    };
    assert_eq!(added(&["confusion_matrix", "f1_macro", "top_2_accuracy"])?, ["metrics.answers"]);
    assert_eq!(added(&["auc", "precision", "f1_macro"])?, ["dense_1.softmax", "metrics.answers"]);
    assert_eq!(added(&["mae", "r2_score"])?, ["dense_1.softmax", "metrics.errors"]);
    assert_eq!(added(&["mae", "auc"])?, ["dense_1.softmax", "metrics.answers", "metrics.errors"]);
    Ok(())
}

fn verified_steps_count_too(device: &Device) -> Outcome {
    let (mut model, data) = classes(device)?;
    model.set_metrics(asked(&names(&CLASSES))?)?;
    let verification = model.verify(&data, 64, 3)?;
    assert!(verification.launches >= 3 * 7, "{verification}");
    Ok(())
}

fn recorded_steps_count_too(device: &Device) -> Outcome {
    let (mut model, data) = classes(device)?;
    model.set_metrics(asked(&names(&CLASSES))?)?;
    let (gpu, queue) = device.wgpu().map(|(gpu, queue)| (gpu.clone(), queue.clone())).expect("a GPU");
    let mut trainer = model.trainer(&data, 64)?;
    for epoch in 0..2 {
        trainer.begin_epoch(epoch, true)?;
        let mut encoder = gpu.create_command_encoder(&Default::default());
        trainer.record(&mut encoder, 5);
        queue.submit([encoder.finish()]);
        assert_measured(&trainer.score()?, &CLASSES, "recorded");
    }
    Ok(())
}

fn files_and_snapshots_keep_the_list(device: &Device) -> Outcome {
    let mut model = classifier(6, 5, 3).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    let plain = model.to_bytes()?;
    let metrics = [Metric::f1(Average::Macro), Metric::Precision { average: Average::Micro, threshold: Some(0.25) }];
    model.set_metrics(metrics)?;
    let data = labelled(50, 6, 3);
    let expected = model.evaluate(&data)?;
    let loaded = Model::from_bytes(&model.to_bytes()?, "memory".as_ref(), device)?;
    let opened = model.snapshot()?.open(device)?;
    for other in [loaded, opened, model.clone()] {
        assert_eq!(other.metrics(), metrics);
        assert_eq!(other.evaluate(&data)?, expected);
    }
    assert!(Model::from_bytes(&plain, "memory".as_ref(), device)?.metrics().is_empty());
    model.set_metrics([])?;
    assert_eq!(model.to_bytes()?, plain, "where there are none the file says nothing of them");
    Ok(())
}
