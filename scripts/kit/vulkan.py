"""How a GPU's Vulkan driver is found: the ways in which one may be installed, and the loader where there is none."""

import ctypes
import json
import os
import pathlib

PLACES = [
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/usr/local/etc/vulkan/icd.d",
    "/usr/local/nvidia/share/vulkan/icd.d",
    "/usr/local/cuda/share/vulkan/icd.d",
    "/opt/nvidia/share/vulkan/icd.d",
]


def ways(folder):
    """Names with what each adds to the environment, to be tried in this order."""
    found = [("the default driver", {})]
    places = [pathlib.Path(place) for place in PLACES]
    for path in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        places.append(pathlib.Path(path).parent / "share/vulkan/icd.d")
    drivers = []
    for place in places:
        try:
            drivers += [str(path) for path in sorted(place.glob("nvidia*.json")) if str(path) not in drivers]
        except OSError:
            continue
    if drivers:
        found.append(("VK_DRIVER_FILES", named(":".join(drivers))))
    # A container may have NVIDIA's libraries and no file that names them. The EGL one needs no X.
    for library in ["libEGL_nvidia.so.0", "libGLX_nvidia.so.0"]:
        path = folder / f"{library.split('.')[0]}.json"
        driver = {"library_path": library, "api_version": "1.3.280"}
        try:
            path.write_text(json.dumps({"file_format_version": "1.0.1", "ICD": driver}))
        except OSError:
            continue
        found.append((f"a file of its own that names {library}", named(str(path))))
    return found


def named(paths):
    # Older loaders know the second name.
    return {"VK_DRIVER_FILES": paths, "VK_ICD_FILENAMES": paths}


def loader(packed, folder):
    """LD_LIBRARY_PATH with the packed libraries that this machine lacks, and their names."""
    lacking = []
    for path in sorted(packed.rglob("*.so.[0-9]")):
        try:
            ctypes.CDLL(path.name)
        except OSError:
            folder.mkdir(exist_ok=True)
            (folder / path.name).symlink_to(path.resolve())
            lacking.append(path.name)
    before = os.environ.get("LD_LIBRARY_PATH", "")
    return ":".join(part for part in [before, str(folder) if lacking else ""] if part), lacking
