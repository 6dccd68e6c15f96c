"""Programs that are ended when their time is over, whatever they do. What they printed until then is kept."""

import os
import signal
import subprocess
import threading
import time

# How long a program that was ended may take to be gone. One that a driver holds fast is left behind.
FAREWELL = 3.0

LIVING = set()


class Finished:
    """What became of a program."""

    def __init__(self, name, status, output, seconds, timed_out):
        self.name, self.status, self.output, self.seconds, self.timed_out = name, status, output, seconds, timed_out

    @property
    def problem(self):
        """What is wrong, in a few words; None where nothing is."""
        if self.timed_out:
            return f"{self.name}: ended by the watchdog after {self.seconds:.0f} s"
        if self.status == 0:
            return None
        last = [line for line in self.output.strip().splitlines() if line.strip()][-1:] or ["no message"]
        how = f"signal {-self.status}" if self.status < 0 else f"status {self.status}"
        return f"{self.name}: {how}: {last[0][:300]}"


def run(name, command, environment, limit):
    """Runs a program for at most so many seconds, in a session of its own, so that its children go with it."""
    started, pieces = time.monotonic(), []
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Finished(name, 127, f"{command[0]}: {error}", 0.0, False)
    LIVING.add(process)
    # Output is kept in memory: a full disk does not lose it.
    reader = threading.Thread(
        target=lambda: pieces.extend(iter(lambda: process.stdout.read1(1 << 16), b"")), daemon=True
    )
    reader.start()
    timed_out = False
    try:
        process.wait(max(limit, 0.1))
    except subprocess.TimeoutExpired:
        timed_out = True
    # Also after a good end: children that were left behind would hold the GPU.
    end(process)
    reader.join(FAREWELL)
    if not reader.is_alive():
        process.stdout.close()
    LIVING.discard(process)
    output = b"".join(list(pieces)).decode("utf-8", "replace")
    status = process.returncode if process.returncode is not None else -signal.SIGKILL
    return Finished(name, status, output, time.monotonic() - started, timed_out)


def end(process):
    """Ends a program and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        process.wait(FAREWELL)
    except subprocess.TimeoutExpired:
        pass


def end_all():
    for process in list(LIVING):
        end(process)
