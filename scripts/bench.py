"""Every program under bench/, one after another, each on an otherwise idle machine. Called by `make bench`.

sfu.py has a target of its own (`make bench-sfu`), as it takes a quarter of an hour and others' servers.

A program prints its figures and keeps them as JSON under bench/results/; it fails only if it could not
measure. STAGES=join runs one.
"""

import sys
from collections.abc import Iterator

from stages import ROOT, Command, Stage, run

INTERPRETERS = {".py": sys.executable, ".mjs": "node"}


def stages() -> Iterator[Stage]:
    for program in sorted((ROOT / "bench").glob("*")):
        interpreter = INTERPRETERS.get(program.suffix)
        if interpreter is not None and not program.name.startswith("_") and program.stem != "sfu":
            yield Stage(program.stem, [Command([interpreter, str(program.relative_to(ROOT))])])


if __name__ == "__main__":
    (ROOT / "bench" / "results").mkdir(parents=True, exist_ok=True)
    sys.exit(run(list(stages())))
