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

# Hidden layers and batch size.
WORKLOADS = {"tutorial": ([512], 128), "wide": ([2048, 2048], 4096)}


def arguments(description, **variants):
    """The command line; `variants` are further choices, each a list of which the first is the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workload", choices=WORKLOADS, default="tutorial")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="time of a repeat, at least")
    parser.add_argument("--repeats", type=int, default=5)
    for name, choices in variants.items():
        parser.add_argument("--" + name, choices=choices, default=choices[0])
    parsed = parser.parse_args()
    parsed.hidden, parsed.batch_size = WORKLOADS[parsed.workload]
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


def load(samples):
    """Pixels as float32 in 0 … 1, class ids as int32, and where they come from: MNIST_DIR, or a generator."""
    import numpy

    directory = os.environ.get("MNIST_DIR")
    if directory:
        directory = pathlib.Path(directory)
        images = _read(directory, "train-images-idx3-ubyte", 16)
        labels = _read(directory, "train-labels-idx1-ubyte", 8)
        if images is not None and labels is not None and len(labels) >= samples:
            x = images.reshape(-1, PIXELS)[:samples].astype(numpy.float32) / numpy.float32(255)
            return x, labels[:samples].astype(numpy.int32), "MNIST"
    random = numpy.random.default_rng(0)
    x = random.integers(0, 256, (samples, PIXELS), numpy.uint8).astype(numpy.float32) / numpy.float32(255)
    return x, random.integers(0, CLASSES, samples, numpy.int32), "made up"


def widths(hidden):
    """Inputs and outputs of each layer."""
    units = [PIXELS, *hidden, CLASSES]
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
