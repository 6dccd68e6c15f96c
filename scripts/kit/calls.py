"""A call: its parts in order of worth, each with a time limit of its own within the call's."""

import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from . import clocks, parts, process, results

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Plan:
    """Seconds that a call takes at most, and its parts: name, function, seconds, characters of the summary."""

    def __init__(self, limit, *listed):
        self.limit, self.parts = limit, listed


CALLS = {
    "first": Plan(
        240,
        ("costs", parts.costs, 40, 4200),
        ("right", parts.right, 90, 1900),
        ("step", parts.step, 40, 2600),
        ("sweep", parts.sweep, 48, 1200),
    ),
    "second": Plan(
        330,
        ("right", parts.right, 60, 1600),
        ("throughput", parts.throughput, 55, 2400),
        ("sweep", parts.rest_of_sweep, 80, 1000),
        ("peers", parts.peers, 120, 4800),
    ),
}

# The smoke test is first in every call.
SMOKE = ("smoke", parts.smoke, 20, 1200)

# What is left for compressing files and saying how it went.
END = 5.0

# A rehearsal's parts are smaller, but so is the machine.
REHEARSAL = 3.0


class Call:
    """What all parts of a call share."""

    def __init__(self, parsed, folder):
        self.name, self.size = parsed.command, parsed.rehearse or "whole"
        self.root, self.folder = ROOT, folder
        self.results = results.Results(parsed.output)
        self.plan = CALLS[parsed.command]
        self.slack = 1.0 if self.size == "whole" else REHEARSAL
        self.deadline = time.monotonic() + self.slack * self.plan.limit - END
        self.limit = self.deadline
        self.clocks = clocks.Clocks(folder / "clock.json")
        # Programs keep nothing from one call to the next, and the machine is left as it was.
        self.environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "TMPDIR": str(folder)}
        mnist = ROOT / "data" / "mnist"
        if mnist.is_dir():
            self.environment["MNIST_DIR"] = str(mnist)
        else:
            self.environment.pop("MNIST_DIR", None)

    @property
    def rehearses(self):
        return self.size != "whole"

    @property
    def left(self):
        """Seconds that this part has left."""
        return max(min(self.limit, self.deadline) - time.monotonic(), 0.0)

    def results_of_smoke(self):
        """What the smoke test wrote down of the GPU."""
        lines = self.results.path("results.jsonl").read_text().splitlines()
        found = [line for line in map(json.loads, lines) if line["kind"] == "smoke"]
        return found[-1] if found else {}

    def program(self, name):
        return ROOT / "bin" / name

    def run(self, name, command, limit=None, environment=None, log=True):
        """Runs a program of this part; its output goes to the log."""
        limit = min(self.left, limit if limit is not None else self.left)
        finished = process.run(name, command, {**self.environment, **(environment or {})}, limit)
        if log:
            self.results.log(name, finished.output + ("\n[ended by the watchdog]" if finished.timed_out else ""))
        return finished

    def measure(self, part, *flags, limit=None, environment=None):
        """Runs the measuring program, whose results go to results.jsonl unless told otherwise."""
        output = [] if "--output" in flags else ["--output", self.results.path("results.jsonl")]
        seconds = min(self.left, limit if limit is not None else self.left)
        command = [self.program("hardware"), part, *output, "--clock", self.clocks.path, *flags]
        command += ["--software", "--size", self.size] if self.rehearses else []
        command += [] if "--seconds" in flags else ["--seconds", f"{max(seconds - 3, 1):.1f}"]
        # Compile times are those of a compiler that has seen nothing.
        cold = {"__GL_SHADER_DISK_CACHE": "0", **(environment or {})}
        return self.run(f"hardware {part}", command, limit=seconds, environment=cold)


def run(parsed):
    if not (ROOT / "bin").is_dir():
        print(f"hardware: expected programs in {ROOT / 'bin'}, found none: unpack an archive of scripts/hardware pack")
        return 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hardware-"))
    call = Call(parsed, folder)
    # Should a part hold this program itself, the call ends all the same.
    signal.signal(signal.SIGALRM, lambda *_: give_up(call))
    signal.signal(signal.SIGTERM, lambda *_: give_up(call))
    signal.alarm(int(call.slack * call.plan.limit + 2))
    try:
        return go(call, parsed)
    finally:
        signal.alarm(0)
        process.end_all()
        call.clocks.stop()
        shutil.rmtree(folder, ignore_errors=True)


def give_up(call):
    process.end_all()
    call.results.fail(f"the {call.name} call did not end within its time")
    finish(call)
    sys.stdout.flush()
    os._exit(1)


def go(call, parsed):
    call.clocks.start()
    call.results.clock = lambda: newest(call.clocks.path)
    stamp = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    rehearsed = f", a rehearsal ({call.size})" if call.rehearses else ""
    call.results.say(f"wgrad hardware, {call.name} call{rehearsed}, {stamp}; {version()}")
    wanted = (parsed.only or "").split(",")
    listed = [part for part in call.plan.parts if wanted == [""] or part[0] in wanted]
    for name, function, seconds, characters in [SMOKE, *listed]:
        if not one(call, name, function, seconds, characters) and name == "smoke":
            break
    finish(call)
    return 1 if call.results.problems else 0


def one(call, name, function, seconds, characters):
    """Runs a part; False where it found anything wrong."""
    started, problems = time.monotonic(), len(call.results.problems)
    call.limit = started + call.slack * seconds
    if call.left < 1.0:
        call.results.fail(f"{name}: no time was left for it")
        return False
    try:
        text = function(call)
    except Exception as error:  # noqa: BLE001 -- whatever a part does, the others get their turn
        call.results.fail(f"{name}: {type(error).__name__}: {error}")
        text = ""
    taken = time.monotonic() - started
    clock = call.clocks.since(started)
    at = f", {clock[0]:.0f} to {clock[1]:.0f} MHz by {call.clocks.source}" if clock else ""
    found = call.results.problems[problems:]
    call.results.record("part", part=name, seconds=round(taken, 1), problems=found, clock_range=clock)
    lines = [
        f"-- {name}: {taken:.1f} s of {call.slack * seconds:.0f}{at}",
        text,
        *(f"FAILED {problem}" for problem in found),
    ]
    call.results.say("\n".join(line for line in lines if line), characters)
    return not found


def finish(call):
    output = call.results
    output.compress()
    if len(output.files()) > results.MOST_FILES:
        output.fail(f"{len(output.files())} files, {results.MOST_FILES} at most")
    listed = ", ".join(f"{path.name} {path.stat().st_size / 1024:.0f} KiB" for path in output.files())
    taken = time.monotonic() - output.started
    verdict = (
        "all is well"
        if not output.problems
        else f"FAILED, {len(output.problems)} problems: " + "; ".join(output.problems)
    )
    output.say(
        f"-- {call.name} call: {taken:.1f} s of {call.slack * call.plan.limit:.0f}; {verdict[:1500]}\n   {listed}"
    )


def newest(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def version():
    try:
        return (ROOT / "MANIFEST.txt").read_text().splitlines()[0]
    except (OSError, IndexError):
        return "no manifest"
