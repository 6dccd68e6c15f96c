"""JAX: a whole epoch is one compiled call, a scan over batches, with the parameters' memory donated to it."""

import os

import common

PARSED = common.arguments(__doc__, small=True)
if PARSED.device == "cpu":
    os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402 -- the platform is chosen by then
import jax.numpy as jnp  # noqa: E402

# No TF32: float32 products in float32.
jax.config.update("jax_default_matmul_precision", "highest")


def initial(key):
    layers = []
    for inputs, outputs in common.widths(PARSED.units):
        key, own = jax.random.split(key)
        layers.append((jax.nn.initializers.glorot_uniform()(own, (inputs, outputs)), jnp.zeros(outputs)))
    return layers


def forward(layers, x):
    for weights, bias in layers[:-1]:
        x = jax.nn.relu(x @ weights + bias)
    weights, bias = layers[-1]
    return x @ weights + bias


def loss_and_correct(layers, x, y):
    logits = forward(layers, x)
    if PARSED.units[-1] == 1:
        z = logits[:, 0]
        # Binary cross-entropy from the logits, likewise.
        loss = jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))
        return loss, jnp.sum((z > 0) == (y == 1))
    # Cross-entropy from the logits, stable for large ones.
    picked = jnp.take_along_axis(logits, y[:, None], 1)[:, 0]
    loss = jnp.mean(jax.nn.logsumexp(logits, 1) - picked)
    return loss, jnp.sum(jnp.argmax(logits, 1) == y)


def rmsprop(weight, velocity, gradient):
    velocity = common.RHO * velocity + (1 - common.RHO) * gradient**2
    return weight - common.LEARNING_RATE * gradient / jnp.sqrt(velocity + common.EPSILON), velocity


def rmsprop_update(slots, layers, gradients):
    pairs = jax.tree.map(rmsprop, layers, slots, gradients)
    is_pair = lambda node: isinstance(node, tuple) and len(node) == 2 and not isinstance(node[0], tuple)  # noqa: E731
    return (jax.tree.map(lambda pair: pair[part], pairs, is_leaf=is_pair) for part in (1, 0))


def adam_update(slots, layers, gradients):
    count, means, squares = slots
    count, first, second = count + 1, common.BETA_1, common.BETA_2
    means = jax.tree.map(lambda mean, gradient: first * mean + (1 - first) * gradient, means, gradients)
    squares = jax.tree.map(lambda square, gradient: second * square + (1 - second) * gradient**2, squares, gradients)
    rate = common.LEARNING_RATE * jnp.sqrt(1 - second**count) / (1 - first**count)
    change = lambda weight, mean, square: weight - rate * mean / (jnp.sqrt(square) + common.EPSILON)  # noqa: E731
    return (count, means, squares), jax.tree.map(change, layers, means, squares)


def make_epoch(x, y):
    update = adam_update if PARSED.adam else rmsprop_update

    def step(state, index):
        layers, slots = state
        (loss, correct), gradients = jax.value_and_grad(loss_and_correct, has_aux=True)(layers, x[index], y[index])
        slots, layers = update(slots, layers, gradients)
        return (layers, slots), (loss, correct)

    def epoch(state, key):
        order = jax.random.permutation(key, PARSED.samples).reshape(PARSED.steps, PARSED.batch_size)
        state, (losses, correct) = jax.lax.scan(step, state, order)
        return state, jnp.mean(losses), jnp.sum(correct) / PARSED.samples

    return step, epoch


class Peer:
    def __init__(self, x, y):
        self.x, self.y = jax.device_put(x), jax.device_put(y)
        self.key = jax.random.key(0)
        layers = initial(self.key)
        zeros = lambda: jax.tree.map(jnp.zeros_like, layers)  # noqa: E731
        self.state = (layers, (jnp.zeros(()), zeros(), zeros()) if PARSED.adam else zeros())
        step, epoch = make_epoch(self.x, self.y)
        self.one_step = jax.jit(step, donate_argnums=0)
        self.one_epoch = jax.jit(epoch, donate_argnums=0)
        self.one_evaluation = jax.jit(self._evaluation)

    def _evaluation(self, layers):
        batch = min(common.EVALUATION_BATCH, PARSED.samples)
        whole = PARSED.samples // batch * batch

        def part(sums, pair):
            loss, correct = loss_and_correct(layers, *pair)
            return (sums[0] + loss * len(pair[1]), sums[1] + correct), None

        batches = (self.x[:whole].reshape(-1, batch, PARSED.units[0]), self.y[:whole].reshape(-1, batch))
        (loss, correct), _ = jax.lax.scan(part, (jnp.zeros(()), jnp.zeros((), jnp.int32)), batches)
        if whole < PARSED.samples:
            (loss, correct), _ = part((loss, correct), (self.x[whole:], self.y[whole:]))
        return loss / PARSED.samples, correct / PARSED.samples

    def first_step(self):
        self.state, (loss, _) = self.one_step(self.state, jnp.arange(PARSED.batch_size))
        loss.block_until_ready()

    def epochs(self, count):
        for _ in range(count):
            self.key, own = jax.random.split(self.key)
            self.state, loss, accuracy = self.one_epoch(self.state, own)
        return float(loss), float(accuracy)

    def evaluate(self):
        loss, accuracy = self.one_evaluation(self.state[0])
        return float(loss), float(accuracy)


def main():
    x, y, source = common.load(PARSED.samples, PARSED.units)
    peer = Peer(x, y)
    common.measure(peer, "jax", jax.__version__, jax.devices()[0].device_kind, source, PARSED)


main()
