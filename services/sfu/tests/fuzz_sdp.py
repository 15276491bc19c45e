"""Fuzzes the SDP parser: `python services/sfu/tests/fuzz_sdp.py --seconds 60 [--seed N]`.

Starts from the recorded offers and the corpora under NEXUS_TEST_DATA. Prints the input's file and exits 1 on
the first outcome that is neither an answer nor a typed error, or that takes longer than `--slow` seconds.
"""

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

# Beside this file, which is a program: its folder is on the path.
from test_sdp_hostile import OFFERS, corpora, mutate, survive  # type: ignore[import-not-found]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--slow", type=float, default=5.0)
    arguments.add_argument("--crash", type=Path, default=Path("fuzz_sdp.crash"))
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    corpus = [path.read_bytes() for path in [*OFFERS, *corpora()]]
    runs = answered = 0
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        data = mutate(rng.choice(corpus), rng)
        began = time.monotonic()
        try:
            answered += survive(data)
            problem = "" if time.monotonic() - began < options.slow else "too slow"
        except Exception:
            problem = traceback.format_exc()
        if problem:
            options.crash.write_bytes(data)
            sys.stderr.write(f"{problem}\nthe input is in {options.crash}\n")
            return 1
        runs += 1
    sys.stdout.write(f"{runs} inputs, {answered} answered, none fatal\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
