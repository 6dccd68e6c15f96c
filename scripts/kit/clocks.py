"""The clocks while things are measured: nvidia-smi where there is one, else the processor's, which a software driver
runs on. The newest reading lies in a file, for the programs that measure to write beside each result."""

import json
import os
import pathlib
import subprocess
import threading
import time

QUERY = "clocks.sm,clocks.mem,temperature.gpu,power.draw"
PERIOD = 0.25


class Clocks:
    def __init__(self, path):
        self.path, self.readings, self.stopped = path, [], threading.Event()
        self.process = None
        self.source = "none"
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def start(self):
        command = [
            "nvidia-smi",
            f"--query-gpu={QUERY}",
            "--format=csv,noheader,nounits",
            f"--loop-ms={int(1000 * PERIOD)}",
        ]
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.source = "nvidia-smi"
        except OSError:
            self.source = "/proc/cpuinfo"
        self.thread.start()

    def stop(self):
        self.stopped.set()
        if self.process:
            self.process.kill()
            self.process.wait()

    def _watch(self):
        if self.process:
            for line in self.process.stdout:
                self._take(_of_nvidia(line))
            # It ended by itself: there is no such GPU.
            self.source = "/proc/cpuinfo"
        while not self.stopped.is_set():
            self._take(_of_processor())
            self.stopped.wait(PERIOD)

    def _take(self, reading):
        if reading is None or self.stopped.is_set():
            return
        reading["source"] = self.source
        self.readings.append((time.monotonic(), reading["mhz"]))
        try:
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(reading))
            os.replace(fresh, self.path)
        except OSError:
            # A full disk: results say no clock then.
            pass

    def since(self, moment):
        """The least and the largest clock since then, in MHz."""
        found = [mhz for at, mhz in list(self.readings) if at >= moment and mhz is not None]
        return (min(found), max(found)) if found else None


def _of_nvidia(line):
    fields = [field.strip() for field in line.split(",")]
    try:
        numbers = [float(field) if field.replace(".", "", 1).isdigit() else None for field in fields]
        mhz, memory, celsius, watts = numbers
    except ValueError:
        return None
    return {"mhz": mhz, "memory_mhz": memory, "celsius": celsius, "watts": watts}


def _of_processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        found = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    except (OSError, ValueError):
        found = []
    return {"mhz": round(sum(found) / len(found)) if found else None}
