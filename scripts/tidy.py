"""Runs clang-tidy over C++ files that differ from main, or over all of native/ with ALL=1.

Called by `make tidy`. The checks and the reasons against others are in .clang-tidy. It is no part of `make
check`, because a file takes about 15 seconds. BASE names another branch to compare with.
"""

import os
import sys
from pathlib import Path

import affected
from check import native_files
from commands import Command
from stages import Stage, run

BUILD = "build/clang"


def sources(changed: list[Path] | None) -> list[str]:
    """The .cc files to read; `changed` are paths relative to the root, and None means all. A header is read
    with the .cc file of its name."""
    everything = [path for path in native_files() if path.endswith(".cc")]
    if changed is None:
        return everything
    stems = {path.with_suffix("") for path in changed if path.suffix in (".h", ".cc")}
    return [path for path in everything if Path(path).with_suffix("") in stems]


def main() -> int:
    changed = None if os.environ.get("ALL") else affected.changed_files(os.environ.get("BASE", "main"))
    files = sources(changed)
    if not files:
        print("No C++ file differs.")
        return 0
    tidy = [Command(["clang-tidy-19", "--quiet", "-p", BUILD, file]) for file in files]
    configure = ["cmake", "-S", "native", "--preset", "clang", f"-DPython_EXECUTABLE={sys.executable}"]
    return run([Stage("tidy", tidy, [Command(configure)], parallel=True)])


if __name__ == "__main__":
    sys.exit(main())
