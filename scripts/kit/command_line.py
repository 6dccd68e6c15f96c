"""The command line of scripts/hardware."""

import argparse
import pathlib

from . import calls, pack


def main(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="build and pack everything into one archive")
    packing.add_argument("--archive", type=pathlib.Path, default=pack.ARCHIVE, help="[default: local/hardware.tar.xz]")
    packing.add_argument(
        "--unpacked", type=pathlib.Path, metavar="FOLDER", help="no archive: a folder as it would unpack"
    )
    packing.add_argument(
        "--loader", type=pathlib.Path, metavar="FOLDER", help="take the Vulkan loader's .deb files from here"
    )
    packing.add_argument("--no-loader", action="store_true", help="leave the Vulkan loader out")
    for name in calls.CALLS:
        call = commands.add_parser(name, help=f"run the {name} call")
        call.add_argument("--output", type=pathlib.Path, default=pathlib.Path("results"), help="[default: results]")
        call.add_argument(
            "--rehearse",
            nargs="?",
            const="rehearsal",
            choices=["rehearsal", "shortest"],
            help="the same parts, smaller, a software driver being enough; shortest: so small that a test can run it",
        )
        call.add_argument("--only", metavar="PARTS", help="comma-separated parts, after smoke")
    parsed = parser.parse_args()
    if parsed.command == "pack":
        return pack.run(parsed)
    if parsed.output.exists() and any(parsed.output.iterdir()):
        parser.error(f"--output: expected an empty folder or none, found files in {parsed.output}")
    known = [name for name, *_ in calls.CALLS[parsed.command].parts]
    if unknown := set((parsed.only or "").split(",")) - {"", *known}:
        parser.error(f"--only: expected some of {', '.join(known)}, found {', '.join(sorted(unknown))}")
    return calls.run(parsed)
