"""The matrix products of a training step alone, by PyTorch's library (cuBLAS on a GPU, without TF32): what each would take.

Prints one line of JSON: seconds and floating-point operations of each product, named as wgrad's launches are.
"""

import json

import common

PARSED = common.arguments(__doc__, precision=["f32", "f16"])

import statistics  # noqa: E402 -- after the flags, so that --help is quick
import time  # noqa: E402

import torch  # noqa: E402


def products():
    """Label, and the factors of C = A·B in the order in which they lie in memory in a training."""
    rows, widths = PARSED.batch_size, common.widths(PARSED.units)
    for index, (inputs, outputs) in enumerate(widths):
        x, kernel, gradient = (rows, inputs), (inputs, outputs), (rows, outputs)
        yield f"dense_{index}.forward", x, kernel, (False, False)
        yield f"dense_{index}.weights", x, gradient, (True, False)
        if index > 0:
            yield f"dense_{index}.down", gradient, kernel, (False, True)


def measured(device, shapes, transposed):
    dtype = torch.float16 if PARSED.precision == "f16" else torch.float32
    a, b = (torch.rand(shape, device=device).to(dtype) for shape in shapes)
    a, b = (factor.T if turned else factor for factor, turned in zip((a, b), transposed))
    c = torch.empty((a.shape[0], b.shape[1]), device=device, dtype=dtype)

    def multiply():
        torch.mm(a, b, out=c)

    run = in_a_graph(multiply) if device.type == "cuda" else one_by_one(multiply)
    run(3)
    once = run(10)
    count = max(10, round(PARSED.seconds / 10 / once))
    seconds = statistics.median(run(count) for _ in range(PARSED.repeats))
    return seconds, 2 * a.shape[0] * a.shape[1] * b.shape[1]


def one_by_one(call):
    """Times so many calls on the CPU: seconds of one."""

    def run(count):
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count

    return run


def in_a_graph(call, steps=50):
    """The same on a GPU, many in one graph: small products take less than their launch from Python does."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(steps):
            call()

    def run(count):
        replays = max(count // steps, 1)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(replays):
            graph.replay()
        end.record()
        end.synchronize()
        return 1e-3 * start.elapsed_time(end) / (replays * steps)

    return run


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.set_float32_matmul_precision("highest")
    device = torch.device("cuda" if PARSED.device == "gpu" else "cpu")
    found = []
    for label, a, b, transposed in products():
        seconds, flops = measured(device, (a, b), transposed)
        found.append({"label": label, "seconds": seconds, "flops": flops})
    name = torch.cuda.get_device_name() if PARSED.device == "gpu" else f"CPU, {torch.get_num_threads()} threads"
    print(json.dumps({"version": torch.__version__, "device": name, "products": found}), flush=True)


main()
