"""What a call leaves: at most eight flat files, and a summary that fits a terminal's memory. Everything is written as
it comes, so that what a call that is cut short has found is there."""

import json
import lzma
import shutil
import subprocess
import time

MOST_FILES = 8
MOST_CHARACTERS = 11_500

# Written while the call goes on, and compressed at its end or before.
COMPRESSED = ["log.txt", "results.jsonl", "sweep.jsonl", "shaders.jsonl", "pipelines.bin", "compare.md"]


class Results:
    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.started = time.monotonic()
        self.printed = 0
        self.problems = []
        self.known = {}
        self.clock = None

    def path(self, name):
        return self.folder / name

    def say(self, text, most=None):
        """A part's text, on standard output and in summary.txt, cut in the middle where it is longer than it may be."""
        text = shortened(text.rstrip("\n"), min(most or MOST_CHARACTERS, MOST_CHARACTERS - self.printed)) + "\n"
        self.printed += len(text)
        print(text, end="", flush=True)
        self.append("summary.txt", text)

    def log(self, name, text):
        self.append("log.txt", f"== {name}, {time.monotonic() - self.started:.1f} s\n{text.rstrip()}\n\n")

    def record(self, kind, **values):
        """A line of results.jsonl of this program's own."""
        clock = self.clock() if self.clock else None
        line = {"kind": kind, **self.known, "clock": clock, **values}
        self.append("results.jsonl", json.dumps(line) + "\n")

    def fail(self, problem):
        self.problems.append(problem)

    def append(self, name, text):
        """Adds to a file at once. What cannot be written is a problem, and not the end."""
        try:
            with open(self.path(name), "a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            problem = f"cannot write {name}: {error.strerror}"
            if problem not in self.problems:
                self.problems.append(problem)
                print(f"FAILED {problem}", flush=True)

    def compress(self, names=COMPRESSED):
        """Turns files into .xz, the plain one being removed only when the other is whole."""
        for name in names:
            plain = self.path(name)
            if not plain.is_file():
                continue
            try:
                if shutil.which("xz"):
                    subprocess.run(
                        ["xz", "-2", "-T0", "--force", str(plain)], check=True, capture_output=True, timeout=20
                    )
                    continue
                packed = plain.with_name(name + ".xz")
                with open(plain, "rb") as source, lzma.open(packed, "wb", preset=1) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                plain.unlink()
            except (OSError, lzma.LZMAError, subprocess.SubprocessError) as error:
                # The plain file is as good.
                plain.with_name(name + ".xz").unlink(missing_ok=True)
                self.fail(f"cannot compress {name}: {type(error).__name__}")

    def files(self):
        return sorted(path for path in self.folder.iterdir())


def shortened(text, most):
    """The beginning and the end of a text that is too long, by whole lines."""
    if len(text) <= most:
        return text
    lines = [line if len(line) <= 400 else line[:397] + "..." for line in text.splitlines()]
    head, tail, left = [], [], most - 60
    while lines and left > 0:
        # Two of the beginning for one of the end.
        from_end = len(tail) * 2 < len(head) and len(lines) > 1
        line = lines.pop(-1 if from_end else 0)
        left -= len(line) + 1
        if left < 0:
            lines.append(line)
            break
        (tail if from_end else head).append(line)
    return "\n".join([*head, f"    ... {len(lines)} more lines, in log.txt.xz", *reversed(tail)])
