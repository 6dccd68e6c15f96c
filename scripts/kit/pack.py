"""The archive: programs without their symbols, tests, MNIST, recorded trainings, other engines' scripts, and the Vulkan
loader for machines that have a driver and no loader."""

import hashlib
import json
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "local" / "hardware.tar.xz"

EXAMPLES = ["hardware", "mnist", "throughput"]
TESTS = ["kernels", "golden", "library", "steps"]

MOST_BYTES = 45_000_000

# Debian's names of the loaders of Vulkan and EGL and what they load, none of which needs more than the C library.
LOADERS = ["libvulkan1", "libegl1", "libglvnd0", "libopengl0", "libgl1", "libglx0", "libgles2"]


def run(parsed):
    if not (ROOT / "Cargo.toml").is_file():
        print("hardware pack: expected the source tree, found none", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="hardware-pack-") as temporary:
        folder = parsed.unpacked or pathlib.Path(temporary) / "hardware"
        if folder.exists() and any(folder.iterdir()):
            print(f"hardware pack: expected an empty folder or none, found files in {folder}", file=sys.stderr)
            return 2
        (folder / "bin").mkdir(parents=True)
        programs(folder / "bin")
        data(folder / "data")
        ignored(folder)
        scripts(folder)
        if not parsed.no_loader:
            loader(folder / "loader", parsed.loader)
        manifest(folder)
        if parsed.unpacked:
            return 0
        archive(folder, parsed.archive)
    size = parsed.archive.stat().st_size
    print(f"{parsed.archive}: {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        print(f"hardware pack: expected at most {MOST_BYTES / 1e6:.0f} MB", file=sys.stderr)
        return 1
    return 0


def programs(folder):
    """Builds everything and copies it without symbols."""
    cargo = ["cargo", "build", "--release", "--locked", "--message-format=json", *named("--example", EXAMPLES)]
    test = ["cargo", "test", "--release", "--locked", "--no-run", "--message-format=json", *named("--test", TESTS)]
    found = {}
    for command in [cargo, test]:
        output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        for message in map(json.loads, output.splitlines()):
            if message.get("executable") and message["target"]["name"] in EXAMPLES + TESTS:
                found[message["target"]["name"]] = message["executable"]
    for name, path in found.items():
        shutil.copy2(path, folder / name)
        if shutil.which("strip"):
            subprocess.run(["strip", folder / name], check=True)
    if missing := set(EXAMPLES + TESTS) - set(found):
        sys.exit(f"hardware pack: cargo built no {', '.join(sorted(missing))}")


def named(flag, names):
    return [word for name in names for word in (flag, name)]


def data(folder):
    """MNIST from MNIST_DIR, the recorded trainings, and those of WGRAD_GOLDEN_DIR."""
    folder.mkdir()
    copies = {"golden": [ROOT / "tests" / "golden"]}
    # Only the recorded trainings may lie in several directories, of which a later one's files count.
    for name, variable, separator in [("mnist", "MNIST_DIR", None), ("golden_more", "WGRAD_GOLDEN_DIR", os.pathsep)]:
        value = os.environ.get(variable, "")
        if value:
            parts = value.split(separator) if separator else [value]
            copies[name] = [pathlib.Path(part) for part in parts if part]
        else:
            print(f"left out: {variable} is not set", file=sys.stderr)
    for name, sources in copies.items():
        (folder / name).mkdir()
        for path in (path for source in sources for path in sorted(source.iterdir())):
            if path.is_file() and path.suffix in {".json", ".safetensors", ".gz", ""}:
                shutil.copy(path, folder / name / path.name)
                (folder / name / path.name).chmod(0o644)


def ignored(folder):
    """The kernel trials that cannot run here, which are to come first where they can."""
    command = [folder / "bin" / "kernels", "::gpu", "--list", "--ignored"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    names = [line.rsplit(": ", 1)[0] for line in listed.splitlines() if line.endswith(": test")]
    (folder / "data" / "ignored.txt").write_text("".join(name + "\n" for name in names))


def scripts(folder):
    for name in ["scripts/hardware", "scripts/compare"]:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    ours = ["scripts/kit", "benches/peers"]
    for name in ours:
        (folder / name).mkdir(parents=True)
        for path in sorted((ROOT / name).glob("*.py")):
            shutil.copy(path, folder / name / path.name)


def loader(folder, given):
    """Unpacks the loader's packages, from a folder or by apt-get; without either they are left out."""
    if not shutil.which("dpkg-deb"):
        print("left out: the Vulkan loader (no dpkg-deb)", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as temporary:
        packages = given or pathlib.Path(temporary)
        if not given and shutil.which("apt-get"):
            command = ["apt-get", "download", *LOADERS]
            subprocess.run(command, cwd=temporary, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = sorted(packages.glob("*.deb"))
        if not found:
            print("left out: the Vulkan loader (no packages)", file=sys.stderr)
            return
        folder.mkdir()
        for package in found:
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        (folder / "PACKAGES.txt").write_text("".join(package.name + "\n" for package in found))


def manifest(folder):
    """What is packed: the commit, and each file's size and hash."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip() or "unknown"
    lines = [f"wgrad {commit}, packed {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}"]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            lines.append(f"{digest} {path.stat().st_size:>10} {path.relative_to(folder)}")
    (folder / "MANIFEST.txt").write_text("\n".join(lines) + "\n")


def archive(folder, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    # The dictionary reaches over all programs, which share most of their code.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 27}]
    with lzma.open(target, "wb", filters=filters) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(folder, arcname="hardware")
