"""Runs the programs under bench/ one after another. Called by `make bench`, on an otherwise idle machine.

sfu.py has its own target (`make bench-sfu`), because it takes 15 minutes and needs other servers. record.py
has one (`make bench-record`), because it takes 8 minutes.

A program prints its results and keeps them as JSON under bench/results/; it fails only if it could not
measure. STAGES=join runs only join.
"""

import sys
from collections.abc import Iterator

from commands import Command
from stages import ROOT, Stage, run

INTERPRETERS = {".py": sys.executable, ".mjs": "node"}
OWN_TARGETS = ("sfu", "record")


def stages() -> Iterator[Stage]:
    for program in sorted((ROOT / "bench").glob("*")):
        interpreter = INTERPRETERS.get(program.suffix)
        if interpreter is not None and not program.name.startswith("_") and program.stem not in OWN_TARGETS:
            yield Stage(program.stem, [Command([interpreter, str(program.relative_to(ROOT))])])


if __name__ == "__main__":
    (ROOT / "bench" / "results").mkdir(parents=True, exist_ok=True)
    sys.exit(run(list(stages())))
