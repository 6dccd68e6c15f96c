"""Prints what Keras's metrics make of the outputs of tests/library/metrics.rs, whose recorded numbers these are.

KERAS_BACKEND=jax python tests/golden/metrics.py
"""

import keras
import numpy as np

SAMPLES = 300


def scores(columns):
    """Sums that the last activation gets: [SAMPLES, columns], exact in f32."""
    at = np.arange(SAMPLES * columns).reshape([SAMPLES, columns])
    return ((at * 37 % 101 - 50) / 16).astype(np.float32)


def measured(kinds, truth, outputs):
    for name, kind in kinds.items():
        # In two batches, as a pass over the data.
        for part in (slice(0, 200), slice(200, SAMPLES)):
            kind.update_state(truth[part], outputs[part])
        print(f"    {name}: {np.asarray(kind.result()).tolist()}")


def main():
    metrics = keras.metrics
    at = np.arange(SAMPLES)

    print("sigmoid, one output")
    z = scores(1)
    truth = ((at * 53 % 97 < 30 + 40 * (z[:, 0] > 0)).astype(np.float32))[:, None]
    kinds = {
        "auc": metrics.AUC(),
        "binary_accuracy": metrics.BinaryAccuracy(),
        "binary_accuracy_above_0.3": metrics.BinaryAccuracy(threshold=0.3),
        "precision": metrics.Precision(),
        "precision_above_0.7": metrics.Precision(thresholds=0.7),
        "recall": metrics.Recall(),
        "f1_macro_above_0.5": metrics.F1Score(average="macro", threshold=0.5),
    }
    measured(kinds, truth, np.asarray(keras.ops.sigmoid(z)))

    print("softmax, five classes")
    z = scores(5)
    ids = np.where(at % 3 == 0, at * 7 % 4, z.argmax(axis=1))
    truth = np.eye(5, dtype=np.float32)[ids]
    kinds = {
        "categorical_accuracy": metrics.CategoricalAccuracy(),
        "top_2_accuracy": metrics.TopKCategoricalAccuracy(k=2),
        "auc": metrics.AUC(),
        "precision": metrics.Precision(),
        "recall_above_0.3": metrics.Recall(thresholds=0.3),
        "f1_by_class": metrics.F1Score(),
        "f1_macro": metrics.F1Score(average="macro"),
        "f1_micro": metrics.F1Score(average="micro"),
        "f1_weighted": metrics.F1Score(average="weighted"),
        "f1_by_class_above_0.3": metrics.F1Score(threshold=0.3),
        "f1_weighted_above_0.3": metrics.F1Score(average="weighted", threshold=0.3),
        "mean_absolute_error": metrics.MeanAbsoluteError(),
    }
    measured(kinds, truth, np.asarray(keras.ops.softmax(z)))

    print("linear, three outputs")
    z = scores(3)
    truth = (z + ((at * 29 % 31 - 15) / 8)[:, None] * [0.5, 1, 2] + [0, 4, -30]).astype(np.float32)
    kinds = {
        "mean_absolute_error": metrics.MeanAbsoluteError(),
        "mean_squared_error": metrics.MeanSquaredError(),
        "root_mean_squared_error": metrics.RootMeanSquaredError(),
        "r2_score": metrics.R2Score(),
    }
    measured(kinds, truth, z)


main()
