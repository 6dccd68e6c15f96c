"""Cases that record.py records: a function each, which returns the case and its tensors before training.

All numbers come from NumPy's generator with a seed, initial weights too, so that a case can be made again.
"""

import collections

import numpy as np


def described(name, input_shape, layers, loss, optimizer, epochs=2, batch_size=32, undetermined=()):
    """A case without its data: layers are named by type and ordinal, as wgrad does."""
    counts, named = collections.Counter(), []
    for settings in layers:
        named.append({"name": f"{settings['type']}_{counts[settings['type']]}", **settings})
        counts[settings["type"]] += 1
    return {
        "name": name,
        "format": 2,
        "producer": None,
        "data": "embedded",
        "input_shape": input_shape,
        "samples": None,
        "layers": named,
        "loss": loss,
        "sample_weights": False,
        "optimizer": optimizer,
        "batch_size": batch_size,
        "epochs": epochs,
        "shuffle": False,
        "undetermined": list(undetermined),
    }


def initial(case, random):
    """Initial tensors of all layers. None is as it would start in Keras, so that each one counts."""
    found, width = {}, case["input_shape"][-1]
    for settings in case["layers"]:
        name, kind = f"initial/{settings['name']}", settings["type"]
        if kind == "flatten":
            width = int(np.prod(case["input_shape"]))
        if kind == "dense":
            units = settings["units"]
            limit = np.sqrt(6 / (width + units))
            found[f"{name}.kernel"] = random.uniform(-limit, limit, (width, units))
            if settings.get("use_bias", True):
                found[f"{name}.bias"] = random.normal(0, 0.1, units)
            width = units
        if kind.endswith("normalization"):
            if settings.get("scale", True):
                found[f"{name}.gamma"] = random.normal(1, 0.1, width)
            if settings.get("center", True):
                found[f"{name}.beta"] = random.normal(0, 0.1, width)
        if kind == "prelu":
            found[f"{name}.alpha"] = random.uniform(0, 0.5, width)
        if kind == "batch_normalization":
            found[f"{name}.moving_mean"] = random.normal(0, 0.1, width)
            found[f"{name}.moving_variance"] = random.uniform(0.5, 1.5, width)
    return found


def with_data(case, random, samples, eval_samples, label):
    """The case and its tensors; `label` makes the labels of rows of inputs, a class id or a row of targets each."""
    features = int(np.prod(case["input_shape"]))
    tensors = initial(case, random)
    for prefix, count in (("", samples), ("eval_", eval_samples)):
        inputs = random.normal(0, 1, (count, features))
        tensors |= {f"{prefix}inputs": inputs, f"{prefix}labels": label(inputs)}
    tensors = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
    return {**case, "samples": samples}, tensors


def dense(units, **settings):
    return {"type": "dense", "units": units, **settings}


def activation(value, **settings):
    return {"type": "activation", "activation": value if not settings else {"name": value, **settings}}


def adagrad_l1_activations(name):
    """Regression: activations as layers of their own, with settings; L1 and L2; Adagrad; a last batch of two."""
    layers = [
        dense(17, use_bias=False, kernel_regularizer={"l1": 0.002}),
        activation("leaky_relu", negative_slope=0.1),
        dense(13, bias_regularizer={"l1": 0.001, "l2": 0.002}),
        activation("elu", alpha=0.7),
        dense(3),
    ]
    optimizer = {"name": "adagrad", "learning_rate": 0.05, "initial_accumulator_value": 0.05, "clipnorm": 0.8}
    case = described(name, [9], layers, {"name": "mean_squared_error"}, optimizer, epochs=3)
    random = np.random.default_rng(3)
    teacher = random.normal(0, 0.5, (9, 3))
    return with_data(case, random, 130, 70, lambda inputs: np.tanh(inputs @ teacher) + 0.2 * inputs[:, :3] ** 2)


def largest_of(teacher):
    """Labels: the class whose column of the teacher fits an input best."""
    return lambda inputs: (inputs @ teacher).argmax(axis=1)


def inverse_time_decay(name):
    """AdamW with decay of weights; a learning rate that falls in stairs."""
    layers = [dense(15, activation="silu"), dense(5, activation="softmax", kernel_regularizer={"l2": 0.001})]
    rate = {
        "schedule": "inverse_time_decay",
        "initial_learning_rate": 0.02,
        "decay_steps": 4,
        "decay_rate": 0.5,
        "staircase": True,
    }
    optimizer = {"name": "adamw", "learning_rate": rate, "weight_decay": 0.05}
    loss = {"name": "categorical_crossentropy", "label_smoothing": 0.05}
    case = described(name, [11], layers, loss, optimizer, epochs=3)
    random = np.random.default_rng(4)
    return with_data(case, random, 150, 90, largest_of(random.normal(0, 1, (11, 5))))


def cosine_decay_restarts(name):
    """Restarts in the midst of epochs; a layer normalization that is not trained; momentum, looked ahead along."""
    layers = [
        {"type": "layer_normalization", "trainable": False},
        dense(14, use_bias=False),
        {"type": "batch_normalization", "momentum": 0.8},
        activation("tanh"),
        dense(4, activation="softmax"),
    ]
    rate = {
        "schedule": "cosine_decay_restarts",
        "initial_learning_rate": 0.1,
        "first_decay_steps": 3,
        "t_mul": 1.5,
        "m_mul": 0.8,
        "alpha": 0.05,
    }
    optimizer = {"name": "sgd", "learning_rate": rate, "momentum": 0.9, "nesterov": True, "global_clipnorm": 0.5}
    case = described(name, [8], layers, {"name": "sparse_categorical_crossentropy"}, optimizer, epochs=3, batch_size=40)
    random = np.random.default_rng(5)
    return with_data(case, random, 170, 90, largest_of(random.normal(0, 1, (8, 4))))


def signs(numbers):
    return np.where(numbers > 0, 1, -1)


def shares(numbers):
    powers = np.exp(numbers)
    return powers / powers.sum(axis=1, keepdims=True)


# Losses by their case's name: arguments, how the net ends, and what makes targets of numbers [samples, 4].
LOSSES = {
    "binary_focal_crossentropy": (
        {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1},
        "sigmoid",
        lambda numbers: numbers > 0.3,
    ),
    "categorical_hinge": ({}, "linear", lambda numbers: numbers.argmax(axis=1)),
    "cosine_similarity": ({}, "linear", lambda numbers: numbers),
    "hinge": ({}, "tanh", signs),
    "kl_divergence": ({}, "softmax", shares),
    "mean_absolute_percentage_error": ({}, "linear", lambda numbers: numbers + 0.5 * signs(numbers)),
    "mean_squared_logarithmic_error": ({}, "softplus", np.abs),
    "squared_hinge": ({}, "linear", lambda numbers: numbers > 0),
}


def of_loss(name):
    """A small net for a loss, with sample weights."""
    settings, ending, targets = LOSSES[name]
    layers = [dense(7, activation="tanh"), dense(4, activation=ending)]
    # In per cent slopes are a hundred times as steep.
    rate = 0.0005 if name == "mean_absolute_percentage_error" else 0.05
    optimizer = {"name": "sgd", "learning_rate": rate, "momentum": 0.9}
    case = described(name, [6], layers, {"name": name, **settings}, optimizer, batch_size=16)
    case["sample_weights"] = True
    random = np.random.default_rng(list(LOSSES).index(name))
    teacher = random.normal(0, 0.7, (6, 4))
    case, tensors = with_data(case, random, 50, 40, lambda inputs: targets(np.tanh(inputs @ teacher)))
    return case, {**tensors, "sample_weights": random.uniform(0.2, 2, 50).astype(np.float32)}


def adamax(name):
    """Adamax from accumulated gradients, clipped; the last update waits for the next epoch."""
    layers = [dense(13, activation="tanh"), dense(4, activation="softmax")]
    optimizer = {"name": "adamax", "learning_rate": 0.02, "gradient_accumulation_steps": 2, "clipnorm": 0.5}
    case = described(name, [7], layers, {"name": "categorical_crossentropy"}, optimizer, epochs=3, batch_size=24)
    random = np.random.default_rng(6)
    return with_data(case, random, 110, 70, largest_of(random.normal(0, 1, (7, 4))))


def adadelta(name):
    """Adadelta with a learning rate near the paper's, and weight decay of all."""
    layers = [dense(11, activation="elu"), dense(2)]
    optimizer = {"name": "adadelta", "learning_rate": 0.9, "rho": 0.9, "epsilon": 1e-5, "weight_decay": 0.01}
    case = described(name, [6], layers, {"name": "mean_squared_error"}, optimizer, epochs=3, batch_size=20)
    random = np.random.default_rng(7)
    teacher = random.normal(0, 0.7, (6, 2))
    return with_data(case, random, 90, 50, lambda inputs: np.sin(inputs @ teacher))


def ftrl(name):
    """Ftrl with all it has: another power than the root's, L1, L2, shrinkage and beta."""
    layers = [dense(12, activation="sigmoid"), dense(3, activation="softmax")]
    optimizer = {
        "name": "ftrl",
        "learning_rate": 0.1,
        "learning_rate_power": -0.6,
        "initial_accumulator_value": 0.2,
        "l1_regularization_strength": 0.003,
        "l2_regularization_strength": 0.002,
        "l2_shrinkage_regularization_strength": 0.001,
        "beta": 0.1,
    }
    case = described(name, [8], layers, {"name": "categorical_crossentropy"}, optimizer, epochs=3, batch_size=16)
    random = np.random.default_rng(8)
    return with_data(case, random, 100, 60, largest_of(random.normal(0, 1, (8, 3))))


def weight_decay_exclusions(name):
    """Nadam, from accumulated gradients; weight decay of kernels alone."""
    layers = [
        dense(14, activation="relu"),
        {"type": "layer_normalization"},
        dense(5, activation="softmax"),
    ]
    optimizer = {
        "name": "nadam",
        "learning_rate": 0.01,
        "weight_decay": 0.8,
        "exclude_from_weight_decay": ["bias", "gamma", "beta"],
        "gradient_accumulation_steps": 3,
    }
    case = described(name, [9], layers, {"name": "categorical_crossentropy"}, optimizer, epochs=4, batch_size=16)
    random = np.random.default_rng(9)
    return with_data(case, random, 110, 60, largest_of(random.normal(0, 1, (9, 5))))


def averaged_weights(name):
    """Averages of the weights, which become the weights after every third update; a constraint that comes after."""
    layers = [
        dense(12, activation="relu", kernel_constraint={"name": "max_norm", "max_value": 0.9}),
        dense(4, activation="softmax"),
    ]
    optimizer = {
        "name": "adam",
        "learning_rate": 0.03,
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 3,
        "gradient_accumulation_steps": 2,
    }
    case = described(name, [7], layers, {"name": "categorical_crossentropy"}, optimizer, epochs=4, batch_size=16)
    random = np.random.default_rng(10)
    return with_data(case, random, 110, 60, largest_of(random.normal(0, 1, (7, 4))))


def constraints(name):
    """Every constraint, on kernels and on biases; averages beside them, which nobody takes."""
    layers = [
        dense(13, activation="tanh", kernel_constraint={"name": "unit_norm"}, bias_constraint={"name": "non_neg"}),
        dense(
            9,
            activation="sigmoid",
            kernel_constraint={"name": "min_max_norm", "min_value": 0.8, "max_value": 1.1, "rate": 0.6},
            bias_constraint={"name": "max_norm", "max_value": 0.2},
        ),
        dense(6, activation="tanh", kernel_constraint={"name": "non_neg"}, bias_constraint={"name": "unit_norm"}),
        dense(3, kernel_constraint={"name": "max_norm", "max_value": 0.7, "axis": 0}),
    ]
    optimizer = {"name": "rmsprop", "learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9}
    case = described(name, [8], layers, {"name": "mean_squared_error"}, optimizer, epochs=3, batch_size=20)
    random = np.random.default_rng(11)
    teacher = random.normal(0, 0.5, (8, 3))
    return with_data(case, random, 90, 50, lambda inputs: np.cos(inputs @ teacher))


def prelu(name):
    """Trained slopes, one layer with a penalty and one that is not trained; exact GELU and noise that is none."""
    layers = [
        dense(16),
        {"type": "prelu", "alpha_regularizer": {"l1": 0.001, "l2": 0.002}},
        {"type": "gaussian_noise", "stddev": 0.0},
        dense(13, activation="gelu"),
        {"type": "prelu", "trainable": False},
        dense(11),
        {"type": "prelu"},
        dense(3, activation="softmax"),
    ]
    optimizer = {"name": "rmsprop", "learning_rate": 0.01, "momentum": 0.3}
    loss = {"name": "categorical_crossentropy"}
    case = described(name, [9], layers, loss, optimizer, epochs=3)
    random = np.random.default_rng(6)
    return with_data(case, random, 130, 70, largest_of(random.normal(0, 1, (9, 3))))


def many_activations(name):
    """One layer for each activation that no other case has, by Keras's names."""
    layers = [
        dense(12, activation="mish"),
        dense(12, activation="selu"),
        dense(12, activation={"name": "celu", "alpha": 0.5}),
        dense(12, activation="softsign"),
        dense(12, activation="hard_silu"),
        dense(12, activation="hard_tanh"),
        dense(12, activation="relu6"),
        dense(12, activation={"name": "relu", "negative_slope": 0.2, "max_value": 1.3, "threshold": 0.4}),
        dense(12, activation="hard_sigmoid"),
        dense(4, activation="exponential"),
    ]
    optimizer = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9}
    case = described(name, [10], layers, {"name": "mean_squared_error"}, optimizer, epochs=3)
    random = np.random.default_rng(7)
    teacher = random.normal(0, 0.5, (10, 4))
    return with_data(case, random, 130, 70, lambda inputs: np.abs(np.tanh(inputs @ teacher)) + 0.3)


ALL = (
    adagrad_l1_activations,
    inverse_time_decay,
    cosine_decay_restarts,
    adamax,
    adadelta,
    ftrl,
    weight_decay_exclusions,
    averaged_weights,
    constraints,
    prelu,
    many_activations,
)

CASES = {make.__name__: make for make in ALL}
CASES |= {name: of_loss for name in LOSSES}
