#!/usr/bin/env python3
"""Records trainings with Keras as cases of format 2, and records cases again to compare. README.md says more.

    record.py NAME... [--to FOLDER]   records cases of cases.py; into this folder unless told otherwise
    record.py --again FILE.json...    trains what a case describes again, and fails where its numbers are not met

It owns what Keras is told and asked. What a case is made of is in cases.py; replaying is the concern of the Rust tests.
An unknown name or setting ends it: Keras itself refuses most of them, this file the rest.
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import safetensors.numpy  # noqa: E402

HERE = pathlib.Path(__file__).parent

# As README.md asks for.
LOSS_RELATIVE, LOSS_ABSOLUTE, OUTPUTS, TENSORS, METRICS, LEARNING_RATE = 1e-5, 2e-6, 1e-5, 1e-3, 1e-5, 1e-6

LAYERS = {
    "dense": keras.layers.Dense,
    "prelu": keras.layers.PReLU,
    "gaussian_noise": keras.layers.GaussianNoise,
    "activation": keras.layers.Activation,
    "batch_normalization": keras.layers.BatchNormalization,
    "layer_normalization": keras.layers.LayerNormalization,
    "flatten": keras.layers.Flatten,
    "rescaling": keras.layers.Rescaling,
}

LOSSES = {
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "binary_focal_crossentropy": keras.losses.BinaryFocalCrossentropy,
    "kl_divergence": keras.losses.KLDivergence,
    "poisson": keras.losses.Poisson,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "mean_absolute_percentage_error": keras.losses.MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": keras.losses.MeanSquaredLogarithmicError,
    "huber": keras.losses.Huber,
    "log_cosh": keras.losses.LogCosh,
    "hinge": keras.losses.Hinge,
    "squared_hinge": keras.losses.SquaredHinge,
    "categorical_hinge": keras.losses.CategoricalHinge,
    "cosine_similarity": keras.losses.CosineSimilarity,
}

OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "lion": keras.optimizers.Lion,
    "adagrad": keras.optimizers.Adagrad,
    "adamax": keras.optimizers.Adamax,
    "adadelta": keras.optimizers.Adadelta,
    "ftrl": keras.optimizers.Ftrl,
}

SCHEDULES = {
    "exponential_decay": keras.optimizers.schedules.ExponentialDecay,
    "piecewise_constant_decay": keras.optimizers.schedules.PiecewiseConstantDecay,
    "polynomial_decay": keras.optimizers.schedules.PolynomialDecay,
    "cosine_decay": keras.optimizers.schedules.CosineDecay,
    "cosine_decay_restarts": keras.optimizers.schedules.CosineDecayRestarts,
    "inverse_time_decay": keras.optimizers.schedules.InverseTimeDecay,
}

# Of an optimizer's settings those that only say how Keras goes about it, none of which a case may change.
NOT_RECORDED = {"loss_scale_factor": None}

CONSTRAINTS = {
    "non_neg": keras.constraints.NonNeg,
    "max_norm": keras.constraints.MaxNorm,
    "unit_norm": keras.constraints.UnitNorm,
    "min_max_norm": keras.constraints.MinMaxNorm,
}


def activation(value):
    """Keras's activation of a case's: a name, or an object with a name and a setting."""
    if value == "gelu_tanh":
        return lambda x: keras.activations.gelu(x, approximate=True)
    if isinstance(value, str):
        return value
    settings = dict(value)
    function = getattr(keras.activations, settings.pop("name"))
    return lambda x: function(x, **settings)


def layer(settings):
    """Keras's layer of a case's."""
    settings = dict(settings)
    kind = LAYERS[settings.pop("type")]
    if "activation" in settings:
        settings["activation"] = activation(settings["activation"])
    for key in ("kernel_regularizer", "bias_regularizer", "alpha_regularizer"):
        if key in settings:
            settings[key] = keras.regularizers.L1L2(**settings[key])
    for key in ("kernel_constraint", "bias_constraint"):
        if key in settings:
            own = dict(settings[key])
            settings[key] = CONSTRAINTS[own.pop("name")](**own)
    return kind(**settings)


def optimizer(settings):
    """Keras's optimizer of a case's."""
    settings = dict(settings)
    kind = OPTIMIZERS[settings.pop("name")]
    rate = settings["learning_rate"]
    if isinstance(rate, dict):
        rate = dict(rate)
        settings["learning_rate"] = SCHEDULES[rate.pop("schedule")](**rate)
    excluded = settings.pop("exclude_from_weight_decay", None)
    built = kind(**settings)
    if excluded:
        built.exclude_from_weight_decay(var_names=excluded)
    return built


def optimizer_settings(case, built):
    """Every setting of an optimizer, defaults included, as a case has them."""
    config = built.get_config()
    for key, value in NOT_RECORDED.items():
        if config.pop(key) != value:
            sys.exit(f"{key} cannot be recorded")
    if config["ema_overwrite_frequency"] is None:
        del config["ema_overwrite_frequency"]
    if isinstance(case["optimizer"]["learning_rate"], dict):
        config["learning_rate"] = case["optimizer"]["learning_rate"]
    # What is set by a method is not in Keras's configuration.
    by_method = {key: value for key, value in case["optimizer"].items() if key == "exclude_from_weight_decay"}
    return {**config, **by_method, "name": case["optimizer"]["name"]}


def loss(settings, evaluation=False):
    """Keras's loss of a case's; an evaluation does not smooth."""
    settings = dict(settings)
    kind = LOSSES[settings.pop("name")]
    if evaluation:
        settings.pop("label_smoothing", None)
    return kind(**settings)


def targets(case, labels, outputs):
    """What Keras's loss wants: class ids where it is sparse, else rows."""
    if labels.ndim == 2 or case["loss"]["name"].startswith("sparse_"):
        return labels
    return np.eye(outputs, dtype=np.float32)[labels.astype(int)]


def weights_by_name(model):
    return {f"{layer.name}.{weight.name}": weight for layer in model.layers for weight in layer.weights}


def build(case, tensors):
    """The compiled model of a case, with its initial weights."""
    model = keras.Sequential([keras.Input(case["input_shape"])] + [layer(settings) for settings in case["layers"]])
    model.compile(optimizer=optimizer(case["optimizer"]), loss=loss(case["loss"]))
    weights = weights_by_name(model)
    initial = {name.removeprefix("initial/") for name in tensors if name.startswith("initial/")}
    if initial != set(weights):
        sys.exit(f"the case has {sorted(initial)}, Keras's model {sorted(weights)}")
    for name, weight in weights.items():
        weight.assign(tensors[f"initial/{name}"])
    return model


def train(case, tensors, model):
    """Makes the steps one by one; the loss and the learning rate of each."""
    inputs = tensors["inputs"].reshape([-1, *case["input_shape"]])
    labels = targets(case, tensors["labels"], model.output_shape[-1])
    weights = tensors["sample_weights"] if case["sample_weights"] else None
    losses, rates = [], []
    for _ in range(case["epochs"]):
        for start in range(0, len(inputs), case["batch_size"]):
            rows = slice(start, start + case["batch_size"])
            rates.append(float(model.optimizer.learning_rate))
            # Else the loss would be the mean of the steps so far.
            model.reset_metrics()
            found = model.train_on_batch(
                inputs[rows], labels[rows], None if weights is None else weights[rows], return_dict=True
            )
            losses.append(float(found["loss"]))
    return losses, rates


def class_metrics(ids, outputs):
    """Of class ids [samples] and outputs [samples, classes]."""
    classes = outputs.shape[1]
    answers, one_hot = outputs.argmax(axis=1), np.eye(classes, dtype=np.float32)[ids]
    confusion = np.zeros((classes, classes), dtype=int)
    np.add.at(confusion, (ids, answers), 1)
    right = np.diag(confusion)
    found = {"accuracy": float((answers == ids).mean())}
    if classes > 3:
        found["top_3_accuracy"] = measured(keras.metrics.TopKCategoricalAccuracy(3), one_hot, outputs)
    f1 = measured(keras.metrics.F1Score(), one_hot, outputs)
    return found | {
        "confusion_matrix": confusion.tolist(),
        "f1_by_class": f1,
        "f1_macro": measured(keras.metrics.F1Score(average="macro"), one_hot, outputs),
        "precision_by_class": (right / np.maximum(confusion.sum(axis=0), 1)).tolist(),
        "recall_by_class": (right / np.maximum(confusion.sum(axis=1), 1)).tolist(),
    }


def row_metrics(case, rows, outputs):
    """Of targets and outputs [samples, outputs]: yes or no for each label, or numbers."""
    if case["loss"]["name"] in ("binary_crossentropy", "binary_focal_crossentropy"):
        kinds = {
            "binary_accuracy": keras.metrics.BinaryAccuracy(),
            "precision": keras.metrics.Precision(),
            "recall": keras.metrics.Recall(),
        }
    else:
        kinds = {
            "mean_absolute_error": keras.metrics.MeanAbsoluteError(),
            "mean_squared_error": keras.metrics.MeanSquaredError(),
            "root_mean_squared_error": keras.metrics.RootMeanSquaredError(),
            "r2_score": keras.metrics.R2Score(),
        }
    return {name: measured(kind, rows, outputs) for name, kind in kinds.items()}


def measured(metric, rows, outputs):
    metric.update_state(rows, outputs)
    return np.asarray(metric.result()).tolist()


def record(case, tensors):
    """The case and its tensors with what Keras makes of them."""
    model = build(case, tensors)
    losses, rates = train(case, tensors, model)
    inputs, labels = tensors["eval_inputs"].reshape([-1, *case["input_shape"]]), tensors["eval_labels"]
    outputs = np.asarray(model.predict(inputs, batch_size=len(inputs), verbose=0))
    rows = targets(case, labels, outputs.shape[1])
    metrics = class_metrics(labels.astype(int), outputs) if labels.ndim == 1 else row_metrics(case, rows, outputs)
    found = {
        **case,
        "producer": f"keras {keras.__version__} on {keras.backend.backend()}",
        "optimizer": optimizer_settings(case, model.optimizer),
        "step_loss": losses,
        "step_learning_rate": rates,
        "eval_loss": float(loss(case["loss"], evaluation=True)(rows, outputs)),
        "eval_metrics": metrics,
    }
    final = {f"final/{name}": np.asarray(weight) for name, weight in weights_by_name(model).items()}
    return found, {**tensors, **final, **averages(model), "eval_outputs": outputs}


def averages(model):
    """The averages of the weights, where the optimizer keeps them."""
    if not model.optimizer.use_ema:
        return {}
    names = {id(weight): name for name, weight in weights_by_name(model).items()}
    pairs = zip(model.trainable_weights, model.optimizer._model_variables_moving_average)
    return {f"average/{names[id(weight)]}": np.asarray(average) for weight, average in pairs}


def arrays(found, expected):
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    if found.shape != expected.shape:
        sys.exit(f"{found.shape} instead of {expected.shape}")
    return found, expected


def compare(case, tensors, again, again_tensors):
    """Lines that say how far apart two recordings of a case are, and whether that is too far."""
    found, expected = arrays(again["step_loss"] + [again["eval_loss"]], case["step_loss"] + [case["eval_loss"]])
    apart, bound = np.abs(found - expected), LOSS_RELATIVE * np.abs(expected) + LOSS_ABSOLUTE
    yield "losses, relative", (apart / np.abs(expected)).max(), (apart > bound).any()
    found, expected = arrays(again["step_learning_rate"], case["step_learning_rate"])
    apart = (np.abs(found - expected) / expected).max()
    yield "learning rates, relative", apart, apart > LEARNING_RATE
    apart = np.abs(again_tensors["eval_outputs"] - tensors["eval_outputs"]).max()
    yield "outputs", apart, apart > OUTPUTS
    if set(again["eval_metrics"]) != set(case["eval_metrics"]):
        sys.exit(f"metrics {sorted(again['eval_metrics'])} instead of {sorted(case['eval_metrics'])}")
    for name, value in case["eval_metrics"].items():
        found, expected = arrays(again["eval_metrics"][name], value)
        apart = np.abs(found - expected).max()
        yield name, apart, apart > (0 if name == "confusion_matrix" else METRICS)
    for name in (name.removeprefix("final/") for name in tensors if name.startswith("final/")):
        if name in case["undetermined"]:
            continue
        first, last = tensors[f"initial/{name}"], tensors[f"final/{name}"]
        way = np.linalg.norm(last - first)
        apart = np.linalg.norm(again_tensors[f"final/{name}"] - last)
        yield name, apart / way if way else apart, apart > TENSORS * way


def record_again(path):
    """Whether a case's numbers are met, line by line."""
    case, tensors = json.loads(path.read_text()), safetensors.numpy.load_file(path.with_suffix(".safetensors"))
    if case.get("format") != 2:
        sys.exit(f"{path}: only cases of format 2 can be recorded again")
    again, again_tensors = record(case, tensors)
    print(f"{case['name']}: {case['producer']}, again {again['producer']}")
    good = again["optimizer"] == case["optimizer"]
    if not good:
        print(f"  optimizer: {again['optimizer']} instead of {case['optimizer']}")
    for name, apart, too_far in compare(case, tensors, again, again_tensors):
        good &= not too_far
        print(f"  {name}: {apart:.1e}{', too far' if too_far else ''}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", help="names of cases, or files with --again")
    parser.add_argument("--to", type=pathlib.Path, default=HERE)
    parser.add_argument("--again", action="store_true")
    parsed = parser.parse_args()
    if parsed.again:
        met = [record_again(pathlib.Path(path)) for path in parsed.what]
        sys.exit(0 if all(met) else "not all numbers are met")
    import cases

    for name in parsed.what:
        if name not in cases.CASES:
            parser.error(f"no case {name} in cases.py, which has {', '.join(cases.CASES)}")
        case, tensors = record(*cases.CASES[name](name))
        (parsed.to / f"{name}.json").write_text(json.dumps(case, indent=1) + "\n")
        safetensors.numpy.save_file(tensors, parsed.to / f"{name}.safetensors")
        print(f"{name}: {len(case['step_loss'])} steps, loss {case['step_loss'][0]:.4f} to {case['step_loss'][-1]:.4f}")


if __name__ == "__main__":
    main()
