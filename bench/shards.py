"""Checks that a room spread over several shards (threads of one SFU) forwards the bench's scenes correctly.

It does not measure speed, because on two cores the shards share a core with the generator or with each other.
It runs small loads of every scene: all participants must be connected, every stream must receive packets, and
no packet may be lost or dropped.

    .venv/bin/python bench/shards.py [--shards 2]

Prints each row with its faults, and exits with 1 if there are any.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from _load import build
from _load_nexus import NexusAdapter
from _measure import GENERATOR_CORE, Point
from _network import enter
from _report import print_row
from _scenes import SCENES
from rich.console import Console

# Enough that every shard has publishers and viewers.
SMALL = (("livestream", 20), ("meeting", 5), ("audio", 16), ("churn", 20))
DELIVERED = 0.99
# With churn, the last part of a second is missing, and newcomers begin with a low layer.
DELIVERED_IN_CHURN = 0.9
# Drops of packets that came too early, or that a slot already had, which also occur with one shard.
HARMLESS = ("layer_not_forwarded", "waiting_for_keyframe", "transport_not_ready", "slot_rejected")


def faults(row: Mapping[str, Any]) -> list[str]:
    """The faults of a row. A void row (the generator had too little CPU) is not a fault by itself."""
    seen, churn = row["seen"], row["churn_per_second"] > 0
    found = []
    if not churn and seen["connected"] != seen["peers"]:
        found.append(f"{seen['peers'] - seen['connected']} of {seen['peers']} are not connected")
    if seen["silent_streams"]:
        found.append(f"{seen['silent_streams']} of {seen['receive_streams']} streams got nothing")
    if seen["loss"]:
        found.append(f"{seen['loss']:.3%} lost")
    least = DELIVERED_IN_CHURN if churn else DELIVERED
    if row["delivered"] is None or row["delivered"] < least:
        found.append(f"{row['delivered']} of what was sent came through")
    if churn and row["first_frame"]["saw_none"]:
        found.append(f"{row['first_frame']['saw_none']} newcomers received no frame")
    for name, count in (row["counters"] or {}).items():
        if name.startswith("drop.") and name.removeprefix("drop.") not in HARMLESS:
            found.append(f"{count} x {name}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    enter(build)
    os.sched_setaffinity(0, {GENERATOR_CORE})
    console = Console(width=150)
    wrong = False
    for name, participants in SMALL:
        scene = replace(SCENES[name], participants=participants)
        point = Point(NexusAdapter(options.shards), scene, gro=False, seconds=3, warmup=2)
        row = asyncio.run(point.measure())
        print_row(console, row)
        for fault in faults(row):
            wrong = True
            console.print(f"  [red]{fault}[/red]")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
