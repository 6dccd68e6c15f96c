"""The kit's driver with programs that do as they are told: what is missing, wrong, hanging or too long must be seen and
said, and everything else must be kept."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "scripts"))

from kit import calls, parts, process, results, vulkan  # noqa: E402 -- the path is known by then

# A measuring program that finds a GPU, writes a line of results, and does something else for a part that is named.
HARDWARE = """#!/bin/sh
part=$1
while [ $# -gt 0 ]; do [ "$1" = --output ] && output=$2; shift; done
case $part in
SPECIAL
esac
if [ $part = smoke ]; then echo "device: A card (discrete GPU)"; fi
echo "{\\"kind\\": \\"$part\\", \\"half\\": false, \\"matrix\\": null}" >> "$output"
echo "part $part is done"
"""

TRIALS = """#!/bin/sh
echo 'test one::gpu ... ok'
OTHERS
"""

MNIST = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --save ] && saved=$2; shift; done
if [ -n "$saved" ]; then CONTENT > "$saved"; fi
echo '{"test": {"accuracy": 0.98, "loss": 0.1}, "device": "A card"}'
"""


class Kit(unittest.TestCase):
    """A kit in a folder of its own, its programs being small scripts."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        for name in ["kit", "scripts", "bin"]:
            (self.root / name).mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / "hardware", self.root / "scripts")
        shutil.copytree(ROOT / "scripts" / "kit", self.root / "scripts" / "kit")
        self.program("hardware", HARDWARE.replace("SPECIAL", ""))
        for name in ["kernels", "golden", "steps", "library"]:
            self.program(name, TRIALS.replace("OTHERS", ""))
        self.program("mnist", MNIST.replace("CONTENT", "echo weights"))

    def program(self, name, text):
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def special(self, cases):
        self.program("hardware", HARDWARE.replace("SPECIAL", cases))

    def call(self, *flags, name="first"):
        """Runs a call in an empty environment; its exit status, what it printed, and its files."""
        output = self.root / "results"
        command = [sys.executable, self.root / "scripts" / "hardware", name, "--output", output, *flags]
        finished = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, cwd="/", capture_output=True, text=True)
        self.assertEqual(finished.stderr, "")
        self.assertLess(len(finished.stdout), 12_000)
        files = sorted(path.name for path in output.iterdir())
        self.assertLessEqual(len(files), results.MOST_FILES)
        return finished.returncode, finished.stdout, files

    def test_all_is_well(self):
        status, text, files = self.call()
        self.assertEqual(status, 0, text)
        self.assertIn("all is well", text)
        for part in ["smoke", "costs", "right", "step", "sweep"]:
            self.assertIn(f"-- {part}: ", text)
        self.assertEqual([name for name in files if not name.endswith(".xz")], ["summary.txt"])

    def test_no_driver_ends_the_call(self):
        self.special("smoke) echo 'ERROR: loader: cannot open libGLX_nvidia.so.0'; exit 3;;")
        status, text, _ = self.call()
        self.assertEqual(status, 1)
        self.assertIn("no hardware GPU", text)
        self.assertIn("cannot open libGLX_nvidia.so.0", text)
        self.assertNotIn("-- costs", text)

    def test_a_software_adapter_is_no_gpu(self):
        self.special("smoke) echo 'hardware: expected a hardware GPU, found llvmpipe'; exit 3;;")
        status, text, _ = self.call()
        self.assertEqual(status, 1)
        self.assertIn("expected a hardware GPU, found llvmpipe", text)

    def test_trials_that_are_all_ignored_are_a_failure(self):
        self.program("kernels", "#!/bin/sh\necho 'test one::gpu ... ignored'\n")
        status, text, _ = self.call("--only", "right")
        self.assertEqual(status, 1)
        self.assertIn("not one trial has run on the GPU", text)

    def test_a_wrong_trial_is_named(self):
        self.program("golden", TRIALS.replace("OTHERS", "echo 'test two::gpu ... FAILED'; exit 101"))
        status, text, _ = self.call("--only", "right")
        self.assertEqual(status, 1)
        self.assertIn("golden: wrong: two::gpu", text)
        self.assertIn("golden ::gpu: 1 right, 1 wrong, 0 ignored", text)

    def test_other_bits_are_a_failure(self):
        self.program("mnist", MNIST.replace("CONTENT", "date +%N"))
        status, text, _ = self.call("--only", "right")
        self.assertEqual(status, 1)
        self.assertIn("the same training twice left other bits", text)

    def test_a_part_that_hangs_is_ended_and_the_next_one_runs(self):
        self.special("costs) echo 'a first line'; sleep 1000;;")
        limits = (self.root / "scripts" / "kit" / "calls.py").read_text()
        (self.root / "scripts" / "kit" / "calls.py").write_text(limits.replace("parts.costs, 40", "parts.costs, 2"))
        began = time.monotonic()
        status, text, _ = self.call("--only", "costs,step")
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(status, 1)
        self.assertIn("a first line", text)
        self.assertIn("ended by the watchdog after 2 s", text)
        self.assertIn("part step is done", text)

    def test_a_call_that_does_not_end_is_ended(self):
        text = (self.root / "scripts" / "kit" / "parts.py").read_text()
        (self.root / "scripts" / "kit" / "parts.py").write_text(
            text.replace("def costs(call):\n", "def costs(call):\n    import time\n    time.sleep(1000)\n")
        )
        limits = (self.root / "scripts" / "kit" / "calls.py").read_text()
        self.assertIn("        240,", limits)
        (self.root / "scripts" / "kit" / "calls.py").write_text(limits.replace("        240,", "        8,"))
        status, text, _ = self.call("--only", "costs")
        self.assertEqual(status, 1)
        self.assertIn("the first call did not end within its time", text)

    def test_a_long_summary_is_cut_and_the_log_is_not(self):
        self.special("costs) i=0; while [ $i -lt 2000 ]; do echo line $i of many; i=$((i+1)); done;;")
        status, text, _ = self.call("--only", "costs")
        self.assertEqual(status, 0, text)
        self.assertIn("more lines, in log.txt.xz", text)
        self.assertIn("line 0 of many", text)
        self.assertIn("line 1999 of many", text)
        import lzma

        log = lzma.open(self.root / "results" / "log.txt.xz", "rt").read()
        self.assertIn("line 1000 of many", log)

    @unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount"), "needs a small disk")
    def test_a_full_disk_is_said_and_the_summary_is_whole(self):
        output = self.root / "results"
        output.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", output], capture_output=True)
        if mounted.returncode:
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", output])
        self.special("costs) i=0; while [ $i -lt 4000 ]; do echo line $i of many; i=$((i+1)); done;;")
        status, text, _ = self.call("--only", "costs,step")
        self.assertEqual(status, 1)
        self.assertIn("cannot write log.txt: No space left on device", text)
        self.assertIn("part step is done", text)


class Pieces(unittest.TestCase):
    def test_children_go_with_a_program_that_is_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            mark = pathlib.Path(folder) / "alive"
            script = f"(sleep 2; touch {mark}) & echo started; sleep 100"
            finished = process.run("a name", ["sh", "-c", script], dict(os.environ), 0.5)
            self.assertTrue(finished.timed_out)
            self.assertEqual(finished.output, "started\n")
            self.assertIn("a name: ended by the watchdog", finished.problem)
            time.sleep(2.5)
            self.assertFalse(mark.exists())

    def test_what_a_program_says_last_is_its_problem(self):
        finished = process.run("it", ["sh", "-c", "echo one; echo two >&2; exit 7"], dict(os.environ), 10)
        self.assertEqual(finished.problem, "it: status 7: two")
        self.assertIn("no such program", process.run("it", ["/no such program"], {}, 1).problem)

    def test_trials_are_counted_line_by_line(self):
        text = "test a::gpu    ... ok\ntest b::gpu ... FAILED\ntest c::gpu ... ignored\nnoise ... ok\n"
        found, failed = parts.counts(text)
        self.assertEqual(found, {"ok": 1, "FAILED": 1, "ignored": 1})
        self.assertEqual(failed, ["b::gpu"])

    def test_a_driver_is_looked_for_in_three_ways(self):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder) / "icd.d"
            place.mkdir()
            (place / "nvidia_icd.json").write_text("{}")
            before, vulkan.PLACES = vulkan.PLACES, [str(place)]
            self.addCleanup(setattr, vulkan, "PLACES", before)
            found = vulkan.ways(pathlib.Path(folder))
            self.assertEqual(found[0], ("the default driver", {}))
            self.assertEqual(found[1][1]["VK_DRIVER_FILES"], str(place / "nvidia_icd.json"))
            own = json.loads(pathlib.Path(found[2][1]["VK_DRIVER_FILES"]).read_text())
            self.assertEqual(own["ICD"]["library_path"], "libEGL_nvidia.so.0")

    def test_the_parts_fit_their_calls(self):
        for name, plan in calls.CALLS.items():
            seconds = sum(part[2] for part in plan.parts)
            self.assertLessEqual(seconds, plan.limit - calls.END, name)
            characters = sum(part[3] for part in [calls.SMOKE, *plan.parts])
            self.assertLess(characters, results.MOST_CHARACTERS, name)


if __name__ == "__main__":
    unittest.main()
