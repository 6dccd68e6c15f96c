"""The parts of both calls. Each is given the call, runs its programs, tells the call what failed, and returns its lines
of the summary."""

import hashlib
import json
import os
import re
import sys
import threading

from . import vulkan

# What the tutorial's net reaches after five epochs on MNIST, at least.
ACCURACY = 0.975

# Kernel trials of a rehearsal: a few that are quick on a software driver.
FEW_KERNELS = {"rehearsal": "softmax_forward", "shortest": "softmax_forward::columns_10::gpu"}


def smoke(call):
    """Finds the driver in one of several ways, and has the GPU compute something."""
    lines = []
    packed = call.root / "loader"
    path, lacking = vulkan.loader(packed, call.folder / "loader")
    if path:
        call.environment["LD_LIBRARY_PATH"] = path
    if lacking:
        lines.append(f"from the archive: {', '.join(lacking)}")
    problems = []
    ways = vulkan.ways(call.folder)
    for name, extra in ways:
        finished = call.measure("smoke", "--seconds", "10", limit=12 * call.slack, environment=extra)
        if finished.problem is None:
            call.environment.update(extra)
            call.way = name
            device = next(line for line in finished.output.splitlines() if line.startswith("device: "))
            call.device = device.removeprefix("device: ")
            call.results.known = {"card": call.device, "driver": name}
            return "\n".join([*lines, f"found by {name}", finished.output.strip(), *card(call)])
        problems.append(f"{name}: {finished.problem}")
    for name, extra in ways:
        told = {**extra, "VK_LOADER_DEBUG": "all"}
        finished = call.measure("smoke", "--seconds", "5", limit=6 * call.slack, environment=told)
        lines.append(f"the loader with {name}: " + " | ".join(loader_errors(finished.output)))
    call.results.fail("no hardware GPU: " + "; ".join(problems))
    return "\n".join([*lines, *card(call), "The loader's own log is in log.txt.xz. Nothing else is run."])


def loader_errors(output):
    telling = [
        line for line in output.splitlines() if re.search("error|warn|not found|cannot open", line, re.IGNORECASE)
    ]
    return [line[:200] for line in telling[-3:]] or ["nothing"]


def card(call):
    """What nvidia-smi says, where there is one."""
    query = "name,driver_version,clocks.max.sm,clocks.max.mem,power.limit,memory.total"
    finished = call.run("nvidia-smi", ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], limit=5)
    return [f"nvidia-smi: {finished.output.strip()}"] if finished.status == 0 else ["nvidia-smi: none"]


def measured(call, part, *flags):
    finished = call.measure(part, *flags)
    if finished.problem:
        call.results.fail(finished.problem)
    return finished.output


def costs(call):
    return measured(call, "costs")


def step(call):
    return measured(call, "step")


def sweep(call):
    return swept(call, "0/2")


def rest_of_sweep(call):
    return swept(call, "1/2")


def swept(call, share):
    paths = {name: call.results.path(f"{name}.jsonl") for name in ["sweep", "shaders"]}
    flags = ["--output", paths["sweep"], "--shaders", paths["shaders"], "--cache", call.results.path("pipelines.bin")]
    output = measured(call, "sweep", *flags, "--part", share)
    call.results.compress(["sweep.jsonl", "shaders.jsonl", "pipelines.bin"])
    return output


def right(call):
    """Tests and trainings side by side: nothing is timed here."""
    chains = [kernels, tests, trainings]
    found = [[] for _ in chains]

    def run(chain, lines):
        try:
            chain(call, lines)
        except Exception as error:  # noqa: BLE001 -- the other chains go on
            call.results.fail(f"{chain.__name__}: {type(error).__name__}: {error}")

    running = [threading.Thread(target=run, args=pair, daemon=True) for pair in zip(chains, found)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(call.left + 10)
    return "\n".join(line for lines in found for line in lines)


def counts(output):
    """Trials that passed, failed and were ignored, by the lines of single trials: a program may have been cut short."""
    outcomes = re.findall(r"^test .* \.\.\. +(ok|FAILED|ignored)", output, re.MULTILINE)
    failed = re.findall(r"^test (\S+) .*\.\.\. +FAILED", output, re.MULTILINE)
    return {kind: outcomes.count(kind) for kind in ["ok", "FAILED", "ignored"]}, failed


def trials(call, lines, name, filters, environment=None, *flags):
    """Runs trials of a test program. It is a failure if one fails, and if none has run."""
    for wanted in filters:
        finished = call.run(f"{name} {wanted}", [call.program(name), wanted, *flags], environment=environment)
        found, failed = counts(finished.output)
        pipelines = re.search(r"(\d+) pipelines were made", finished.output)
        made = f", {pipelines[1]} pipelines" if pipelines else ""
        cut = ", cut short" if finished.timed_out else ""
        lines.append(
            f"{name} {wanted}: {found['ok']} right, {found['FAILED']} wrong, {found['ignored']} ignored{made}, "
            f"{finished.seconds:.1f} s{cut}"
        )
        call.results.record("trials", program=name, filter=wanted, **found, seconds=finished.seconds, wrong=failed[:50])
        if failed:
            call.results.fail(f"{name}: wrong: {', '.join(failed[:6])}" + (" ..." if len(failed) > 6 else ""))
        elif found["ok"] == 0:
            call.results.fail(
                f"{name} {wanted}: not one trial has run on the GPU ({finished.problem or 'all ignored'})"
            )
        elif finished.problem and not finished.timed_out:
            call.results.fail(finished.problem)


def kernels(call, lines):
    # Those first that the machine which packed this could not run.
    first = call.root / "data" / "ignored.txt"
    environment = {"WGRAD_TRIALS_FIRST": str(first)} if first.is_file() else {}
    wanted = [FEW_KERNELS[call.size]] if call.rehearses else ["::gpu"]
    trials(call, lines, "kernels", wanted, environment)
    if call.size != "shortest":
        matrix = call.measure("matrix", "--seconds", "10", limit=20)
        lines += matrix.output.strip().splitlines()
        if matrix.problem:
            call.results.fail(matrix.problem)


def tests(call, lines):
    data = call.root / "data"
    environment = {"WGRAD_GOLDEN_ROOT": str(data / "golden")}
    if (data / "golden_more").is_dir() and not call.rehearses:
        environment["WGRAD_GOLDEN_DIR"] = str(data / "golden_more")
    if call.rehearses:
        environment["WGRAD_TEST_PLAN"] = "hardware"
    whole = call.size == "whole"
    trials(call, lines, "golden", ["::gpu"] if whole else ["batch_of_one::gpu"], environment)
    if call.size == "shortest":
        return
    trials(call, lines, "steps", ["::gpu"] if whole else ["launches_do_not"], environment)
    trials(call, lines, "library", ["::gpu"] if whole else ["limits_too_small", "a_lost_device"], environment)
    optional(call, lines, ["::half", "::cooperative"] if whole else ["::cooperative"], environment)


def optional(call, lines, filters, environment):
    """Trials that not every GPU can run: all of them ignored is no failure, one that fails is."""
    for wanted in filters:
        finished = call.run(f"library {wanted}", [call.program("library"), wanted], environment=environment)
        found, failed = counts(finished.output)
        lines.append(f"library {wanted}: {found['ok']} right, {found['FAILED']} wrong, {found['ignored']} ignored")
        call.results.record("trials", program="library", filter=wanted, **found, wrong=failed)
        if finished.problem:
            call.results.fail(finished.problem)


def trainings(call, lines):
    """Verify mode; the same training twice; how accurate the tutorial is, for two seeds, in halves, on matrix units."""
    has_digits = "MNIST_DIR" in call.environment
    data = [] if has_digits else ["--synthetic"]
    shortest = ["--limit", "256", "--layers", "64:relu,10:softmax"]
    small = {"whole": [], "rehearsal": ["--limit", "1280"], "shortest": shortest}
    epochs = "5" if call.size == "whole" else "1"
    common = ["--device", "gpu", "--json", *data, *small[call.size]]

    def train(name, *flags):
        finished = call.run(f"mnist {name}", [call.program("mnist"), *common, *flags])
        if finished.problem:
            call.results.fail(f"mnist {name}: {finished.problem}")
            return None
        return json.loads(finished.output.strip().splitlines()[-1])

    verified = train("verified", "--epochs", "0", "--verify")
    lines.append(f"verify: {'every launch as its reference' if verified else 'wrong'}")
    hashes = []
    for run in ["once", "twice"]:
        saved = call.folder / f"{run}.safetensors"
        if train(f"the same, {run}", "--epochs", "1", "--save", str(saved)):
            hashes.append(hashlib.sha256(saved.read_bytes()).hexdigest()[:12])
    same = len(hashes) == 2 and hashes[0] == hashes[1]
    lines.append(f"the same training twice: {'the same bits' if same else 'other bits'} ({', '.join(hashes)})")
    if not same:
        call.results.fail("the same training twice left other bits")
    if call.size == "shortest":
        return
    ways = [("f32, seed 0", ["--seed", "0"]), ("f32, seed 1", ["--seed", "1"])]
    known = call.results_of_smoke()
    if known.get("half"):
        ways.append(("f16", ["--precision", "f16"]))
    if known.get("matrix"):
        ways.append(("f16 on matrix units", ["--precision", "f16", "--cooperative-matrices"]))
    for name, flags in ways:
        if (report := train(name, "--epochs", epochs, *flags)) is None:
            continue
        accuracy = report["test"]["accuracy"]
        lines.append(
            f"tutorial {name}: accuracy {accuracy:.4f} after {epochs} epochs, loss {report['test']['loss']:.4f}"
        )
        call.results.record("accuracy", way=name, epochs=int(epochs), **report["test"], device=report["device"])
        least = ACCURACY if call.size == "whole" and has_digits else 0.5
        if not accuracy >= least:
            call.results.fail(f"tutorial {name}: accuracy {accuracy:.4f}, at least {least} expected")


def throughput(call):
    """Both workloads as users meet them, with plots over batch and width; then in halves and on matrix units."""
    known = call.results_of_smoke()
    small = ["--workload", "tutorial", "--batches", "32", "--widths", "64"]
    sizes = {
        "whole": ["--workload", "all", "--seconds", "0.3", "--repeats", "3"],
        "rehearsal": [*small, "--samples", "1280", "--seconds", "0.05", "--repeats", "2"],
        "shortest": [*small, "--samples", "256", "--seconds", "0.01", "--repeats", "1"],
    }
    common = [call.program("throughput"), "--device", "gpu", "--ceiling", "0", *sizes[call.size]]
    ways = [("f32", ["--profile", "--plot", call.results.path("plot.svg")])]
    if known.get("half") and call.size != "shortest":
        ways.append(("f16", ["--precision", "f16"]))
    if known.get("matrix"):
        ways.append(("f16 on matrix units", ["--precision", "f16", "--cooperative-matrices"]))
    lines = []
    for name, flags in ways:
        path = call.folder / "throughput.json"
        finished = call.run(f"throughput {name}", [*common, *flags, "--json", path])
        if finished.problem:
            call.results.fail(f"throughput {name}: {finished.problem}")
            continue
        report = json.loads(path.read_text())
        call.results.record("throughput", way=name, report=report)
        for entry in report["results"]:
            rate = entry["samples_per_second"]
            step = 1e6 * entry["batch_size"] / rate["median"]
            lines.append(
                f"{entry['workload']} {name}: {rate['median']:,.0f} samples/s "
                f"({rate['min']:,.0f} to {rate['max']:,.0f}), {step:,.1f} us a step"
            )
        for curve in report.get("curves", []):
            points = ", ".join(f"{size}: {spread['median']:,.0f}" for size, spread in curve["points"])
            lines.append(f"samples/s over {curve['over']} {name}: {points}")
    return "\n".join(lines)


def peers(call):
    """Other engines in turns with wgrad on the same card, one round; then torch.compile, if time is left."""
    root = call.root
    lines = []
    base = [sys.executable, root / "scripts" / "compare", "--wgrad", call.program("throughput")]
    base += ["--untuned", "--rounds", "1"]
    if call.rehearses:
        # On the processor: a software driver has no peers of its own.
        small = [
            "--on",
            "cpu,wgpu",
            "--workloads",
            "tutorial",
            "--samples",
            "256",
            "--repeats",
            "1",
            "--seconds",
            "0.05",
        ]
        runs = [("the same work", [*small, "--products", "none", "--only", "jax", "--timeout", "60"])]
    else:
        common = ["--on", "gpu", "--repeats", "2", "--seconds", "0.3", "--timeout", "40"]
        runs = [
            ("the same work", [*common, "--only", "graphs,jax", "--products", "none"]),
            ("products", [*common, "--only", "none", "--products", "f32,units", "--workloads", "wide"]),
            ("torch.compile", [*common, "--only", "compile", "--products", "none", "--workloads", "tutorial"]),
        ]
    for name, flags in runs:
        if call.left < 15 and lines:
            lines.append(f"{name}: left out for want of time")
            continue
        prefix = call.folder / f"compare-{name.replace(' ', '-')}"
        finished = call.run(f"compare {name}", [*base, *flags, "--output", prefix], environment=without_cargo(call))
        if finished.problem and not (finished.timed_out and prefix.with_suffix(".md").exists()):
            call.results.fail(f"peers, {name}: {finished.problem}")
        said = [line for line in finished.output.splitlines() if line.startswith(("left out", "    "))]
        lines += [line for line in said if "round" not in line]
        if prefix.with_suffix(".md").exists():
            text = prefix.with_suffix(".md").read_text()
            call.results.append("compare.md", f"## {name}\n\n{text}\n")
            lines += [line for line in text.splitlines() if line.startswith(("|", "#")) and "---" not in line]
            call.results.record("peers", run=name, report=json.loads(prefix.with_suffix(".json").read_text()))
    return "\n".join(lines)


def without_cargo(call):
    return {"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
