"""What the Python peers share: the workloads, the samples, the clock and the line of JSON at the end.

A peer is an object with `first_step()`, `epochs(n)` and `evaluate()`, each of which returns when the device is done;
`epochs` and `evaluate` return loss and accuracy. A peer drops the samples that fill no whole batch, as wgrad's benchmark
does, so that every step costs the same.
"""

import argparse
import gzip
import json
import os
import pathlib
import statistics
import sys
import time

# scripts/compare says when it started the process; a peer started by hand counts from here.
STARTED = float(os.environ.get("PEER_STARTED", time.time()))

PIXELS, CLASSES = 784, 10
LEARNING_RATE, RHO, EPSILON = 1e-3, 0.9, 1e-7
EVALUATION_BATCH = 1024

# Units of all layers, inputs first, and batch size. The small ones train with Adam, the others with RMSprop.
WORKLOADS = {"tutorial": ([784, 512, 10], 128), "wide": ([784, 2048, 2048, 10], 4096)}
SMALL = {
    "small-2": ([2, 8, 1], 4),
    "small-4": ([4, 64, 64, 2], 32),
    "small-16": ([16, 128, 128, 4], 256),
    "single": ([784, 512, 10], 1),
}
BETA_1, BETA_2 = 0.9, 0.999


def arguments(description, small=False, **variants):
    """The command line; `variants` are further choices, each a list of which the first is the default. `small` says whether
    this peer knows the small workloads."""
    workloads = {**WORKLOADS, **SMALL} if small else WORKLOADS
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workload", choices=workloads, default="tutorial")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="time of a repeat, at least")
    parser.add_argument("--repeats", type=int, default=5)
    for name, choices in variants.items():
        parser.add_argument("--" + name, choices=choices, default=choices[0])
    parsed = parser.parse_args()
    parsed.units, parsed.batch_size = workloads[parsed.workload]
    parsed.hidden, parsed.adam = parsed.units[1:-1], parsed.workload in SMALL
    parsed.steps = max(parsed.samples // parsed.batch_size, 1)
    parsed.samples = parsed.steps * parsed.batch_size
    return parsed


def _read(directory, name, offset):
    import numpy

    for path, opened in [(directory / name, open), (directory / (name + ".gz"), gzip.open)]:
        if path.is_file():
            with opened(path, "rb") as file:
                return numpy.frombuffer(file.read(), numpy.uint8, offset=offset)
    return None


def load(samples, units=(PIXELS, CLASSES)):
    """Features as float32 in 0 … 1, class ids as int32, and where they come from: MNIST_DIR where it fits, or a generator."""
    import numpy

    inputs, classes = units[0], max(units[-1], 2)
    directory = os.environ.get("MNIST_DIR") if (inputs, classes) == (PIXELS, CLASSES) else None
    if directory:
        directory = pathlib.Path(directory)
        images = _read(directory, "train-images-idx3-ubyte", 16)
        labels = _read(directory, "train-labels-idx1-ubyte", 8)
        if images is not None and labels is not None and len(labels) >= samples:
            x = images.reshape(-1, PIXELS)[:samples].astype(numpy.float32) / numpy.float32(255)
            return x, labels[:samples].astype(numpy.int32), "MNIST"
    random = numpy.random.default_rng(0)
    x = random.integers(0, 256, (samples, inputs), numpy.uint8).astype(numpy.float32) / numpy.float32(255)
    return x, random.integers(0, classes, samples, numpy.int32), "made up"


def widths(units):
    """Inputs and outputs of each layer."""
    return list(zip(units, units[1:]))


def _timed(call, *values):
    start = time.perf_counter()
    result = call(*values)
    return time.perf_counter() - start, result


def _rates(call, amount, parsed):
    """Samples a second in each repeat. `call(n)` does the work n times; the first call only warms up."""
    call(1)
    once, result = _timed(call, 1)
    count = max(1, round(parsed.seconds / once))
    rates = []
    for _ in range(parsed.repeats):
        seconds, result = _timed(call, count)
        rates.append(count * amount / seconds)
    spread = {"median": statistics.median(rates), "min": min(rates), "max": max(rates), "repeats": len(rates)}
    return spread, result


def _peak_rss_bytes():
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(peer, name, version, device, source, parsed):
    """Everything, as one line of JSON on standard output."""
    peer.first_step()
    first_step = time.time() - STARTED
    training, (loss, accuracy) = _rates(peer.epochs, parsed.samples, parsed)

    def evaluate(count):
        for _ in range(count):
            result = peer.evaluate()
        return result

    evaluation, _ = _rates(evaluate, parsed.samples, parsed)
    report = {
        "peer": name,
        "version": version,
        "device": str(device),
        "workload": parsed.workload,
        "batch_size": parsed.batch_size,
        "samples": parsed.samples,
        "data": source,
        "samples_per_second": training,
        "since_start_seconds": first_step,
        "evaluate_samples_per_second": evaluation,
        "peak_rss_bytes": _peak_rss_bytes(),
        "loss": float(loss),
        "accuracy": float(accuracy),
    }
    print(json.dumps(report), flush=True)
