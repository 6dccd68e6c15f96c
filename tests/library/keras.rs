//! The guide's table from Keras to wgrad: every row is exercised on every device, and a row without a trial here fails. What
//! the numbers are is for the recorded trainings and the other files of this program to say.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use wgrad::{
    Activation, ActivationLayer, Adadelta, Adagrad, Adam, AdamW, Adamax, Augmentation, Average, BatchNormalization,
    Checkpoint, Clip, Constraint, CosineDecay, CosineDecayRestarts, CsvLog, CustomLoss, CustomSchedule, Dataset, Dense,
    Device, Dropout, EarlyStopping, Event, ExponentialDecay, FillMode, Fit, Flatten, Ftrl, GaussianNoise, Initializer,
    InverseTimeDecay, JsonLines, KeepBest, Layer, LayerNormalization, LearningRate, LinearWarmup, Lion, Loss,
    LossFunction, Metric, Model, Monitor, Nadam, OnEpochEnd, OneCycle, Optimizer, PiecewiseConstantDecay,
    PolynomialDecay, Precision, Prelu, ReduceLrOnPlateau, Regularizer, Rescaling, RmsProp, Sequential, Sgd,
    TerminateAfter,
};

use crate::common::{Outcome, Suite, bits, labelled, numbers, trials, with_rows};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere: every_row_of_the_table);
}

const TABLE: &str = include_str!("../../src/guide/keras.md");

/// What stands on the left of the table's rows, their headings left out.
fn rows() -> Vec<&'static str> {
    let cells = TABLE.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.filter(|cell| !["Keras", "---"].contains(cell)).collect()
}

type Exercise = fn(&Device) -> Outcome;

fn every_row_of_the_table(device: &Device) -> Outcome {
    let exercises: Vec<(&str, Exercise)> =
        [TRAINING, LAYERS, ACTIVATIONS, LOSSES, OPTIMIZERS, METRICS, CALLBACKS].concat();
    let (found, known): (BTreeSet<_>, BTreeSet<_>) =
        (rows().into_iter().collect(), exercises.iter().map(|row| row.0).collect());
    assert!(found.len() > 50 && found.len() == rows().len(), "the table is read, and no row is there twice");
    assert_eq!(found.difference(&known).collect::<Vec<_>>(), [] as [&&str; 0], "rows without a trial");
    assert_eq!(known.difference(&found).collect::<Vec<_>>(), [] as [&&str; 0], "trials without a row");
    for (row, exercise) in exercises {
        exercise(device).map_err(|error| format!("{row}: {error}"))?;
    }
    Ok(())
}

fn data() -> Dataset {
    labelled(24, 4, 3)
}

fn fit() -> Fit<'static> {
    Fit::new().epochs(2).batch_size(8)
}

fn compiled(device: &Device, layers: impl IntoIterator<Item = Layer>) -> wgrad::Result<Model> {
    let net = layers.into_iter().fold(Sequential::new(4), Sequential::add);
    let net = net.add(Dense::new(3).activation(Activation::Softmax));
    net.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)
}

/// Trains such a net; its first layer's numbers, if it has any, are others then.
fn trained(device: &Device, layers: impl IntoIterator<Item = Layer>) -> wgrad::Result<Model> {
    let mut model = compiled(device, layers)?;
    let before = bits(&model)?;
    let history = model.fit(&data(), fit())?;
    assert!(history.epochs.len() == 2 && history.epochs.iter().all(|epoch| epoch.train.loss.is_finite()));
    assert_ne!(bits(&model)?, before);
    Ok(model)
}

/// A net that sees changed images is trained otherwise than one that sees them as they are.
fn augmented(device: &Device, change: Augmentation) -> Outcome {
    let weights = |change: Augmentation| -> wgrad::Result<_> {
        let net = Sequential::new([2, 2]).add(change).add(Flatten).add(Dense::new(3).activation(Activation::Softmax));
        let mut model = net.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
        model.fit(&data(), fit())?;
        bits(&model)
    };
    assert_ne!(weights(change)?, weights(Augmentation::new())?, "{change:?}");
    Ok(())
}

fn with_activations(device: &Device, activations: &[Activation]) -> Outcome {
    activations.iter().try_for_each(|&activation| {
        let model = trained(device, [Dense::new(4).activation(activation).into(), Layer::from(activation)])?;
        assert!(model.summary().contains("dense_1"));
        Ok(())
    })
}

fn with_loss(device: &Device, last: Activation, loss: impl Into<LossFunction>, data: &Dataset) -> Outcome {
    let net = Sequential::new(4).add(Dense::new(3).activation(last));
    let mut model = net.compile(device, Sgd::default().learning_rate(1e-3), loss)?;
    let history = model.fit(data, fit())?;
    assert!(history.epochs[1].train.loss < history.epochs[0].train.loss, "{}: {history:?}", model.loss().loss);
    Ok(())
}

fn with_optimizer(device: &Device, optimizer: impl Into<Optimizer>) -> Result<Model, Box<dyn std::error::Error>> {
    let net = Sequential::new(4).add(Dense::new(3).activation(Activation::Softmax));
    let mut model = net.compile(device, optimizer, Loss::CategoricalCrossentropy)?;
    let before = bits(&model)?;
    model.fit(&data(), fit())?;
    assert_ne!(bits(&model)?, before);
    Ok(model)
}

/// Each batch has the schedule's rate.
fn with_schedule(device: &Device, schedule: impl Into<LearningRate>) -> Outcome {
    let schedule = schedule.into();
    let LearningRate::Schedule(expected) = schedule.clone() else { panic!("a schedule") };
    let net = Sequential::new(4).add(Dense::new(3).activation(Activation::Softmax));
    let mut model = net.compile(device, Sgd::default().learning_rate(schedule), Loss::CategoricalCrossentropy)?;
    let mut rates = Vec::new();
    let observer = |event: &Event| {
        if let Event::Step(step) = event {
            rates.push(step.learning_rate);
        }
        ControlFlow::Continue(())
    };
    model.fit(&data(), Fit::new().epochs(2).batch_size(8).observer(observer))?;
    assert_eq!(rates, (0..6).map(|batch| expected.at(batch)).collect::<Vec<_>>());
    Ok(())
}

fn with_metrics(device: &Device, last: Activation, metrics: &[Metric]) -> Outcome {
    let net = Sequential::new(4).add(Dense::new(3).activation(last));
    let loss = if last == Activation::Softmax { Loss::CategoricalCrossentropy } else { Loss::MeanSquaredError };
    let mut model = net.compile(device, Sgd::default(), loss)?;
    model.set_metrics(metrics.iter().copied())?;
    let score = model.evaluate(&data())?;
    for metric in metrics {
        let (name, matrix) = (metric.to_string(), *metric == Metric::ConfusionMatrix);
        let is_there = if matrix { score.confusion_matrix().is_some() } else { score.to_string().contains(&name) };
        assert!(is_there, "{name} in {score}");
    }
    Ok(())
}

const TRAINING: &[(&str, Exercise)] = &[
    ("`Sequential([Input(shape), …])`", |device| {
        trained(device, [Dense::new(5).into()]).map(drop).map_err(Into::into)
    }),
    ("`model.compile(optimizer, loss)`", |device| {
        assert_eq!(compiled(device, [])?.loss().loss, Loss::CategoricalCrossentropy);
        Ok(())
    }),
    ("`compile(metrics=[…])`", |device| with_metrics(device, Activation::Softmax, &["f1_macro".parse()?])),
    ("`model.fit(x, y, batch_size=…, epochs=…)`", |device| {
        assert_eq!(trained(device, [])?.batches(), 6);
        Ok(())
    }),
    ("`validation_data`, `validation_split`", |device| {
        let mut model = compiled(device, [])?;
        for fit in [fit().validation_data(&data()), fit().validation_split(0.25)] {
            assert!(model.fit(&data(), fit)?.last().is_some_and(|epoch| epoch.validation.is_some()));
        }
        Ok(())
    }),
    ("`class_weight`, `sample_weight`", |device| {
        let weights = data().with_sample_weights((0..24).map(|at| at as f32).collect::<Vec<_>>())?;
        let (mut plain, mut weighted) = (compiled(device, [])?, compiled(device, [])?);
        plain.fit(&data(), fit())?;
        weighted.fit(&weights, fit().class_weight([1.0, 2.0, 0.5]))?;
        assert_ne!(bits(&plain)?, bits(&weighted)?);
        Ok(())
    }),
    ("`shuffle`, `keras.utils.set_random_seed`", |device| {
        let run = |fit: Fit<'static>, seed| -> wgrad::Result<_> {
            let net = Sequential::new(4).seed(seed).add(Dense::new(3).activation(Activation::Softmax));
            let mut model = net.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
            model.fit(&data(), fit)?;
            bits(&model)
        };
        assert_eq!(run(fit().seed(3), 1)?, run(fit().seed(3), 1)?);
        for other in [run(fit().seed(4), 1)?, run(fit().seed(3), 2)?, run(fit().shuffle(false), 1)?] {
            assert_ne!(run(fit().seed(3), 1)?, other);
        }
        Ok(())
    }),
    ("`model.train_on_batch`", |device| {
        let mut model = compiled(device, [])?;
        assert!(model.train_on_batch(&data())?.loss.is_finite() && model.iterations() == 1);
        Ok(())
    }),
    ("`model.evaluate`, `model.predict`", |device| {
        let model = compiled(device, [])?;
        let (score, outputs) = (model.evaluate(&data())?, model.predict(data())?);
        let (classes, top) = (model.predict_classes(data())?, model.predict_top_k(data(), 2)?);
        assert!(score.accuracy.is_some() && outputs.len() == 72 && classes.len() == 24 && top[0].len() == 2);
        assert_eq!(top[0][0].0, classes[0]);
        Ok(())
    }),
    ("`model.summary()`", |device| {
        assert!(compiled(device, [])?.summary().contains("dense_0"));
        Ok(())
    }),
    ("`model.save`, `load_model`, `load_weights`", |device| {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("model.safetensors");
        let model = trained(device, [])?;
        model.save(&path)?;
        let mut other = compiled(device, [])?;
        other.load_weights(&path)?;
        assert_eq!((bits(&Model::load(&path, device)?)?, bits(&other)?), (bits(&model)?, bits(&model)?));
        Ok(())
    }),
    ("`BackupAndRestore`", |device| {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("model.safetensors");
        let mut stopped = compiled(device, [])?;
        stopped.fit(&data(), fit().steps(4))?;
        stopped.save_with_optimizer(&path)?;
        let mut resumed = Model::load(&path, device)?;
        let rest = Fit::resume(&resumed)?;
        resumed.fit(&data(), rest)?;
        assert_eq!(bits(&resumed)?, bits(&trained(device, [])?)?);
        Ok(())
    }),
    ("`clone_model` with `set_weights`", |device| {
        let model = trained(device, [])?;
        assert_eq!(bits(&model.clone())?, bits(&model)?);
        Ok(())
    }),
    ("`layer.trainable = False`", |device| {
        let mut model = compiled(device, [Dense::new(4).trainable(false).into()])?;
        let kernel = model.parameter("dense_0.kernel")?;
        model.fit(&data(), fit())?;
        assert_eq!(model.parameter("dense_0.kernel")?, kernel);
        model.set_trainable("dense_0", true)?;
        model.fit(&data(), fit())?;
        assert_ne!(model.parameter("dense_0.kernel")?, kernel);
        Ok(())
    }),
    ("`history.history`", |device| {
        let history = compiled(device, [])?.fit(&data(), fit())?;
        let lines = [history.to_csv().lines().count(), history.to_table().lines().count()];
        assert!(lines.iter().all(|&count| count >= 3) && history.to_json()?.contains("learning_rate"));
        Ok(())
    }),
    ("`mixed_precision.set_global_policy(\"mixed_float16\")`", |device| {
        let set = compiled(device, [])?.set_precision(Precision::F16);
        assert_eq!(set.is_ok(), device.info().has_half_precision());
        Ok(())
    }),
];

const LAYERS: &[(&str, Exercise)] = &[
    ("`Dense`, `Activation`, `Dropout`, `Flatten`, `Rescaling`", |device| {
        let relu = ActivationLayer::new(Activation::Relu);
        let layers: [Layer; 6] = [
            Flatten.into(),
            Rescaling::new(2.0).into(),
            Dense::new(5).into(),
            relu.into(),
            Activation::Tanh.into(),
            Dropout::new(0.2).into(),
        ];
        trained(device, layers).map(drop).map_err(Into::into)
    }),
    ("`BatchNormalization`, `LayerNormalization`", |device| {
        let layers: [Layer; 2] = [BatchNormalization::new().into(), LayerNormalization::new().into()];
        trained(device, layers).map(drop).map_err(Into::into)
    }),
    ("`GaussianNoise`, `PReLU`", |device| {
        let layers: [Layer; 3] = [GaussianNoise::new(0.1).into(), Dense::new(4).into(), Prelu::new().into()];
        trained(device, layers).map(drop).map_err(Into::into)
    }),
    ("`RandomTranslation`, `RandomRotation`, `RandomZoom`, `RandomShear`", |device| {
        augmented(device, Augmentation::new().translation(0.5, 0.5))?;
        augmented(device, Augmentation::new().rotation(0.5))?;
        augmented(device, Augmentation::new().zoom(0.5))?;
        augmented(device, Augmentation::new().shear(0.5, 0.5))
    }),
    ("`RandomElasticTransform`, `RandomErasing`", |device| {
        augmented(device, Augmentation::new().elastic(5.0, 2.0))?;
        augmented(device, Augmentation::new().cutout(1.0, 1.0))
    }),
    ("`fill_mode`, `fill_value` of these", |device| {
        let shifted = Augmentation::new().translation(1.0, 1.0);
        for mode in [FillMode::Constant, FillMode::Nearest, FillMode::Reflect, FillMode::Wrap] {
            augmented(device, shifted.fill_mode(mode))?;
        }
        augmented(device, shifted.fill_value(2.0))
    }),
    ("`ReLU`, `LeakyReLU`, `ELU`, `Softmax` as layers", |device| {
        with_activations(
            device,
            &[Activation::Relu, Activation::LeakyRelu(0.1), Activation::Elu(1.0), Activation::Softmax],
        )
    }),
    ("`kernel_regularizer=L1L2(…)`, also for biases", |device| {
        for regularizer in [Regularizer::l1(0.1), Regularizer::l2(0.1), Regularizer::l1_l2(0.1, 0.1)] {
            let layer = Dense::new(4).kernel_regularizer(regularizer).bias_regularizer(regularizer);
            trained(device, [layer.into()])?;
        }
        Ok(())
    }),
    ("`kernel_constraint=MaxNorm(…)`, also for biases", |device| {
        let constraints =
            [Constraint::max_norm(0.5), Constraint::UnitNorm, Constraint::min_max_norm(0.1, 0.5), Constraint::NonNeg];
        for constraint in constraints {
            let layer = Dense::new(4).kernel_constraint(constraint).bias_constraint(constraint);
            trained(device, [layer.into()])?;
        }
        Ok(())
    }),
    ("`kernel_initializer=\"he_normal\"` and the like", |device| {
        for initializer in [Initializer::HeNormal, Initializer::LecunUniform, Initializer::Constant(0.5)] {
            let layer = Dense::new(4).kernel_initializer(initializer.clone()).bias_initializer(initializer);
            trained(device, [layer.into()])?;
        }
        Ok(())
    }),
];

const ACTIVATIONS: &[(&str, Exercise)] = &[
    ("`linear`, `relu`, `sigmoid`, `tanh`, `softmax`, `softplus`", |device| {
        use Activation::{Linear, Relu, Sigmoid, Softmax, Softplus, Tanh};
        with_activations(device, &[Linear, Relu, Sigmoid, Tanh, Softmax, Softplus])
    }),
    ("`relu6`, `ReLU(negative_slope, max_value, threshold)`", |device| with_activations(device, &[Activation::RELU6])),
    ("`leaky_relu`, `elu`, `celu`, `selu`", |device| {
        use Activation::{Celu, Elu, LeakyRelu, Selu};
        with_activations(device, &[LeakyRelu(0.2), Elu(1.0), Celu(1.0), Selu])
    }),
    ("`silu` (`swish`), `mish`, `hard_silu`", |device| {
        with_activations(device, &[Activation::Silu, Activation::Mish, Activation::HardSilu])
    }),
    ("`gelu`", |device| with_activations(device, &[Activation::GeluExact, Activation::Gelu])),
    ("`softsign`, `hard_sigmoid`, `hard_tanh`, `exponential`", |device| {
        use Activation::{Exponential, HardSigmoid, HardTanh, Softsign};
        with_activations(device, &[Softsign, HardSigmoid, HardTanh, Exponential])
    }),
];

const LOSSES: &[(&str, Exercise)] = &[
    ("`categorical_crossentropy`, `sparse_categorical_crossentropy`", |device| {
        with_loss(device, Activation::Softmax, Loss::CategoricalCrossentropy, &data())
    }),
    ("`binary_crossentropy`", |device| with_loss(device, Activation::Sigmoid, Loss::BinaryCrossentropy, &data())),
    ("`from_logits=True`, `label_smoothing=…`", |device| {
        let loss = Loss::CategoricalCrossentropy.from_logits().label_smoothing(0.1);
        with_loss(device, Activation::Linear, loss, &data())
    }),
    ("`CategoricalFocalCrossentropy`, `BinaryFocalCrossentropy`", |device| {
        let categorical = Loss::CategoricalFocalCrossentropy { alpha: 0.25, gamma: 2.0 };
        with_loss(device, Activation::Softmax, categorical, &data())?;
        let binary = Loss::BinaryFocalCrossentropy { alpha: None, gamma: 2.0 };
        with_loss(device, Activation::Sigmoid, binary, &data())
    }),
    ("`mse`, `mae`, `mape`, `msle`", |device| {
        for name in ["mse", "mae", "mape", "msle"] {
            with_loss(device, Activation::Sigmoid, name.parse::<Loss>()?, &positive()?)?;
        }
        Ok(())
    }),
    ("`Huber(delta)`, `log_cosh`", |device| {
        with_loss(device, Activation::Linear, Loss::Huber { delta: 0.5 }, &with_rows(24, 4, 3))?;
        with_loss(device, Activation::Linear, Loss::LogCosh, &with_rows(24, 4, 3))
    }),
    ("`kl_divergence`, `poisson`, `cosine_similarity`", |device| {
        with_loss(device, Activation::Softmax, Loss::KlDivergence, &data())?;
        with_loss(device, Activation::Softplus, Loss::Poisson, &data())?;
        with_loss(device, Activation::Linear, Loss::CosineSimilarity, &with_rows(24, 4, 3))
    }),
    ("`hinge`, `squared_hinge`, `categorical_hinge`", |device| {
        for loss in [Loss::Hinge, Loss::SquaredHinge, Loss::CategoricalHinge] {
            with_loss(device, Activation::Tanh, loss, &data())?;
        }
        Ok(())
    }),
    ("a `Loss` of one's own; `load_model(custom_objects)`", |device| {
        let wgsl = "struct Found { loss: f32 }
            fn custom_loss(row: u32) -> Found {
                var sum = 0.0;
                for (var c = 0u; c < COLUMNS; c++) { sum += pow(output_at(row, c) - target_at(row, c), 2.0); }
                return Found(sum);
            }
            fn custom_slope(row: u32, column: u32, found: Found) -> f32 {
                return 2.0 * (output_at(row, column) - target_at(row, column));
            }";
        let own = CustomLoss::new("own", wgsl, |outputs, targets, gradient| {
            let differences: Vec<_> = outputs.iter().zip(targets).map(|(y, t)| y - t).collect();
            gradient.iter_mut().zip(&differences).for_each(|(slope, d)| *slope = 2.0 * d);
            differences.iter().map(|d| d * d).sum()
        })?;
        with_loss(device, Activation::Linear, Loss::Custom(own), &with_rows(24, 4, 3))?;
        let net = Sequential::new(4).add(Dense::new(3)).compile(device, Sgd::default(), Loss::Custom(own))?;
        let loaded = Model::from_bytes_with_loss(&net.to_bytes()?, "memory".as_ref(), own, device)?;
        assert_eq!(bits(&loaded)?, bits(&net)?);
        Ok(())
    }),
];

/// Rows of numbers between one half and one.
fn positive() -> wgrad::Result<Dataset> {
    let targets: Vec<f32> = numbers(72, 9).iter().map(|x| 0.75 + 0.25 * x).collect();
    Dataset::from_rows(numbers(96, 8), 4, targets, 3)
}

const OPTIMIZERS: &[(&str, Exercise)] = &[
    ("`SGD`, `RMSprop`, `Adam`, `AdamW`, `Adagrad`", |device| {
        let all: [Optimizer; 5] = [
            Sgd::default().into(),
            RmsProp::default().into(),
            Adam::default().into(),
            AdamW::default().into(),
            Adagrad::default().into(),
        ];
        all.into_iter().try_for_each(|optimizer| with_optimizer(device, optimizer).map(drop))
    }),
    ("`Nadam`, `Adamax`, `Adadelta`, `Lion`, `Ftrl`", |device| {
        let all: [Optimizer; 5] = [
            Nadam::default().into(),
            Adamax::default().into(),
            Adadelta::default().learning_rate(1.0).into(),
            Lion::default().into(),
            Ftrl::default().into(),
        ];
        all.into_iter().try_for_each(|optimizer| with_optimizer(device, optimizer).map(drop))
    }),
    ("`Adam(amsgrad=True)`", |device| with_optimizer(device, Adam::default().amsgrad(true)).map(drop)),
    ("`clipvalue`, `clipnorm`, `global_clipnorm`", |device| {
        for clip in [Clip::Value(0.01), Clip::Norm(0.01), Clip::GlobalNorm(0.01)] {
            with_optimizer(device, Sgd::default().clip(clip))?;
        }
        Ok(())
    }),
    ("`weight_decay`, `exclude_from_weight_decay`", |device| {
        let optimizer = Adam::default().weight_decay(0.1);
        with_optimizer(device, optimizer.exclude_from_weight_decay(["bias"])).map(drop)
    }),
    ("`use_ema`, `ema_momentum`, `ema_overwrite_frequency`", |device| {
        let optimizer = Sgd::default().use_ema(true).ema_momentum(0.9).ema_overwrite_frequency(4);
        let mut model = with_optimizer(device, optimizer)?;
        let before = bits(&model)?;
        model.swap_averages()?;
        model.swap_averages()?;
        assert_eq!(bits(&model)?, before);
        Ok(())
    }),
    ("`gradient_accumulation_steps`", |device| {
        let model = with_optimizer(device, Sgd::default().gradient_accumulation_steps(2))?;
        assert_eq!((model.batches(), model.iterations()), (6, 3));
        Ok(())
    }),
    (
        "`ExponentialDecay`, `InverseTimeDecay`, `PolynomialDecay`, `PiecewiseConstantDecay`, `CosineDecay`, `CosineDecayRestarts`",
        |device| {
            with_schedule(device, ExponentialDecay::new(0.1, 3u32, 0.5))?;
            with_schedule(device, InverseTimeDecay::new(0.1, 3u32, 0.5))?;
            with_schedule(device, PolynomialDecay::new(0.1, 5u32))?;
            with_schedule(device, PiecewiseConstantDecay::new([1, 3], [0.1, 0.01, 0.001]))?;
            with_schedule(device, CosineDecay::new(0.1, 5u32))?;
            with_schedule(device, CosineDecayRestarts::new(0.1, 2u32))
        },
    ),
    ("a `LearningRateSchedule` of one's own", |device| {
        with_schedule(device, CustomSchedule::new(|batch| 0.1 / (1 + batch) as f32))
    }),
    ("`CosineDecay(warmup_target)`; PyTorch's `LinearLR`, `OneCycleLR`", |device| {
        with_schedule(device, CosineDecay::new(0.0, 4u32).warmup_target(Some(0.1)).warmup_steps(2))?;
        with_schedule(device, LinearWarmup::new(ExponentialDecay::new(0.1, 3u32, 0.5), 2u32))?;
        with_schedule(device, OneCycle::new(0.1, 6u32))
    }),
];

const METRICS: &[(&str, Exercise)] = &[
    ("`accuracy`, `categorical_accuracy`, `binary_accuracy`", |device| {
        let metrics = [Metric::Accuracy, Metric::CategoricalAccuracy, Metric::BinaryAccuracy { threshold: 0.5 }];
        with_metrics(device, Activation::Softmax, &metrics)
    }),
    ("`TopKCategoricalAccuracy(k)`", |device| with_metrics(device, Activation::Softmax, &[Metric::TopKAccuracy(2)])),
    ("`mae`, `mse`, `RootMeanSquaredError`, `R2Score`", |device| {
        use Metric::{MeanAbsoluteError, MeanSquaredError, R2Score, RootMeanSquaredError};
        with_metrics(device, Activation::Linear, &[MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError, R2Score])
    }),
    ("`Precision`, `Recall`, `F1Score(average)`", |device| {
        let all = [Average::Macro, Average::Micro, Average::Weighted];
        let metrics = all.map(|average| [Metric::precision(average), Metric::recall(average), Metric::f1(average)]);
        with_metrics(device, Activation::Softmax, &metrics.concat())
    }),
    ("`AUC()`", |device| with_metrics(device, Activation::Softmax, &[Metric::Auc])),
    ("scikit-learn's `confusion_matrix`", |device| {
        with_metrics(device, Activation::Softmax, &[Metric::ConfusionMatrix])
    }),
];

const CALLBACKS: &[(&str, Exercise)] = &[
    ("`EarlyStopping`", |device| {
        let mut model = compiled(device, [])?;
        let stop = EarlyStopping::new().monitor(Monitor::Loss).min_delta(1e9);
        assert_eq!(model.fit(&data(), fit().epochs(9).callback(stop))?.epochs.len(), 2);
        Ok(())
    }),
    ("`ModelCheckpoint(save_freq=\"epoch\")`, `save_best_only`", |device| {
        let directory = tempfile::tempdir()?;
        let mut best = KeepBest::new(Monitor::Loss);
        let checkpoint = Checkpoint::new(directory.path().join("net")).best(Monitor::Loss);
        compiled(device, [])?.fit(&data(), fit().callback(checkpoint).callback(&mut best))?;
        assert_eq!(std::fs::read_dir(directory.path())?.count(), 3);
        assert!(best.best().is_some());
        Ok(())
    }),
    ("`ReduceLROnPlateau`", |device| {
        let reduce = ReduceLrOnPlateau::new().monitor(Monitor::Loss).min_delta(1e9).patience(1);
        let mut model = compiled(device, [])?;
        model.fit(&data(), fit().epochs(3).callback(reduce))?;
        assert!(model.learning_rate() < 0.01);
        Ok(())
    }),
    ("`TerminateOnNaN`", |device| {
        let diverging = || {
            let net = Sequential::new(4).add(Dense::new(3));
            net.compile(device, Sgd::default().learning_rate(1e30), Loss::MeanSquaredError)
        };
        assert!(diverging()?.fit(&with_rows(24, 4, 3), fit()).is_err());
        diverging()?.fit(&with_rows(24, 4, 3), fit().allow_divergence(true)).map(drop).map_err(Into::into)
    }),
    ("`CSVLogger`", |device| {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let logged = fit().callback(CsvLog::new(path("log.csv"))).callback(JsonLines::new(path("log.jsonl")));
        compiled(device, [])?.fit(&data(), logged)?;
        let lines = |name| std::fs::read_to_string(path(name)).map(|text| text.lines().count());
        assert_eq!((lines("log.csv")?, lines("log.jsonl")?), (3, 2));
        Ok(())
    }),
    ("`LambdaCallback`", |device| {
        let (mut epochs, mut steps) = (0, 0);
        let observer = |event: &Event| {
            steps += usize::from(matches!(event, Event::Step(_)));
            ControlFlow::Continue(())
        };
        let closure = OnEpochEnd::new(|_, _| {
            epochs += 1;
            Ok(ControlFlow::Continue(()))
        });
        let late = TerminateAfter::new(Duration::from_secs(3600));
        let fit = Fit::new().epochs(2).batch_size(8).callback(closure).observer(observer).callback(late);
        compiled(device, [])?.fit(&data(), fit)?;
        assert_eq!((epochs, steps), (2, 6));
        Ok(())
    }),
    ("`LearningRateScheduler`", |device| {
        let halve = OnEpochEnd::new(|training, _| {
            let rate = training.learning_rate();
            training.set_learning_rate(rate / 2.0)?;
            Ok(ControlFlow::Continue(()))
        });
        let mut model = compiled(device, [])?;
        model.fit(&data(), fit().callback(halve))?;
        assert_eq!(model.learning_rate(), 0.0025);
        Ok(())
    }),
];
