"""Keras: compile and fit, on the backend that KERAS_BACKEND names; XLA and many steps an execution where it has them."""

import os

import common

PARSED = common.arguments(__doc__)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if PARSED.device == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["JAX_PLATFORMS"] = "cpu"

import keras  # noqa: E402 -- the backend is chosen by then

# Steps between two returns to Python.
STEPS_PER_EXECUTION = 32


def exact_products():
    """No TF32: float32 products in float32."""
    if BACKEND == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    elif BACKEND == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
    elif BACKEND == "torch":
        import torch

        torch.set_float32_matmul_precision("highest")


class Peer:
    def __init__(self, x, y):
        self.x, self.y = x, y
        hidden = [keras.layers.Dense(units, activation="relu") for units in PARSED.hidden]
        output = keras.layers.Dense(common.CLASSES, activation="softmax")
        self.model = keras.Sequential([keras.Input((common.PIXELS,)), *hidden, output])
        options = {} if BACKEND == "torch" else {"jit_compile": True}
        if BACKEND != "torch" and PARSED.steps % STEPS_PER_EXECUTION == 0:
            options["steps_per_execution"] = STEPS_PER_EXECUTION
        elif BACKEND != "torch":
            # As many as divide an epoch, so that every execution is the same.
            options["steps_per_execution"] = max(n for n in range(1, 65) if PARSED.steps % n == 0)
        self.model.compile(
            optimizer=keras.optimizers.RMSprop(common.LEARNING_RATE, rho=common.RHO, epsilon=common.EPSILON),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            **options,
        )

    def first_step(self):
        batch = PARSED.batch_size
        self.model.fit(self.x[:batch], self.y[:batch], batch_size=batch, verbose=0)

    def epochs(self, count):
        history = self.model.fit(self.x, self.y, batch_size=PARSED.batch_size, epochs=count, verbose=0).history
        return history["loss"][-1], history["accuracy"][-1]

    def evaluate(self):
        return self.model.evaluate(self.x, self.y, batch_size=common.EVALUATION_BATCH, verbose=0)


def main():
    exact_products()
    x, y, source = common.load(PARSED.samples)
    common.measure(Peer(x, y), f"keras on {BACKEND}", keras.__version__, PARSED.device, source, PARSED)


main()
