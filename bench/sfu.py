"""Compares the Nexus SFU with LiveKit and Janus on one machine: outgoing packets per CPU second at the same
offered load, latency, loss and memory. `make bench-sfu` runs everything; `bench/sfu.py --scenes livestream
--servers nexus janus` runs a part.

The server runs on one core and the load on the other; servers alternate (A B C A B C A B C) in each scene.
Rows, ratios and the curve of cost over load go to bench/results/<date>-sfu.json and .png, and the table into
docs/benchmarks.md. docs/architecture/bench-sfu.md explains the method and its fairness.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _load_livekit
from _evaluation import carries, growth, is_full, p99_beside_best, ratios, spreads
from _load import ROOT, Adapter, build
from _load_janus import JanusAdapter
from _load_livekit import LiveKitAdapter
from _load_nexus import NexusAdapter
from _machine import come_first, machine
from _measure import GENERATOR_CORE, Point
from _network import enter
from _report import draw, print_row, print_tables, write_documents
from _scenes import SCENES, Scene
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ADAPTERS: dict[str, type[Adapter]] = {"nexus": NexusAdapter, "livekit": LiveKitAdapter, "janus": JanusAdapter}
RATIO_SCENES = ("livestream", "meeting", "audio")
OTHER_SCENES = ("churn", "poor")
# Numbers of viewers of the livestream for the curve. A server's curve ends at the first number that it does
# not carry.
CURVE = (10, 25, 50, 100, 200, 300, 400, 600, 800, 1_000)
CURVE_SECONDS = 4


@dataclass(frozen=True, slots=True)
class Task:
    server: str
    scene: Scene
    gro: bool
    curve: bool = False


def tasks(options: argparse.Namespace) -> Iterator[Task]:
    """The tasks in their order. Within a scene the servers alternate, so that changes on the machine affect
    all of them."""
    scenes = [SCENES[name] for name in options.scenes]
    if options.participants:
        scenes = [
            replace(scene, participants=participants)
            for scene in scenes
            for participants in options.participants
        ]
    for gro in options.gro:
        for scene in scenes:
            for _ in range(options.alternations if not gro and scene.name in RATIO_SCENES else 1):
                if gro and scene.name not in RATIO_SCENES:
                    continue
                yield from (Task(server, scene, bool(gro)) for server in options.servers)
    if options.curve:
        for participants in CURVE:
            scene = replace(SCENES["livestream"], participants=participants)
            yield from (Task(server, scene, False, curve=True) for server in options.servers)


@dataclass(slots=True)
class Outcome:
    rows: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)  # points without a row, and why


def run(options: argparse.Namespace, console: Console) -> Outcome:
    outcome = Outcome()
    ended: set[str] = set()  # servers whose curve has ended
    planned = list(tasks(options))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(planned))
        for task in planned:
            progress.update(
                bar, description=f"{task.scene.name} {task.scene.participants} {task.server}", advance=1
            )
            if not (task.curve and task.server in ended):
                tried = attempts(task, options, console, outcome)
                if not task.curve:
                    outcome.rows += tried
                    continue
                outcome.curve += tried[-1:]
                if not (tried and carries(tried[-1])):
                    ended.add(task.server)
    return outcome


def attempts(
    task: Task, options: argparse.Namespace, console: Console, outcome: Outcome
) -> list[dict[str, Any]]:
    """One row, or two if the first is not valid, because other work may have disturbed it."""
    rows: list[dict[str, Any]] = []
    for _ in range(2):
        row = measured(task, options, console, outcome)
        if row is not None:
            rows.append(row)
            if is_full(row) or (carries(row) if task.curve else not row["void"]):
                break
    return rows


def measured(
    task: Task, options: argparse.Namespace, console: Console, outcome: Outcome
) -> dict[str, Any] | None:
    """Measures one point; None if the server or its signaling failed under the load."""
    seconds = min(CURVE_SECONDS, options.seconds) if task.curve else options.seconds
    point = Point(ADAPTERS[task.server](), task.scene, gro=task.gro, seconds=seconds, warmup=options.warmup)
    try:
        row = asyncio.run(point.measure())
    except Exception as error:  # a failing server can raise any error in its adapter
        what = {
            "server": task.server,
            "scene": task.scene.name,
            "participants": task.scene.participants,
            "why": repr(error),
        }
        outcome.failures.append(what)
        console.print(f"[red]failed: {what}[/red]")
        return None
    print_row(console, row)
    return row


def result_of(outcome: Outcome, machine_before: object, began: float) -> dict[str, Any]:
    rows, curve = outcome.rows, outcome.curve
    return {
        "bench": "sfu",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_before,
        "took_seconds": round(time.monotonic() - began),
        "ratios": ratios(rows),
        "spread": spreads(rows),
        "ratios_whole_core": ratios(rows, account="core"),
        "ratios_with_gro": ratios(rows, gro=True),
        "p99": {scene: p99_beside_best(rows, scene) for scene in RATIO_SCENES},
        "growth": growth(curve),
        "limit": newest_limit(),
        "rows": rows,
        "curve": curve,
        "failures": outcome.failures,
    }


def newest_limit() -> dict[str, Any] | None:
    """The newest result of bench/limit.py: Nexus's share of the throughput of a bare loop on this machine."""
    found = sorted((ROOT / "bench" / "results").glob("*-limit.json"))
    if not found:
        return None
    measured: dict[str, Any] = json.loads(found[-1].read_text())
    shares = [point["share_of_limit"] for point in measured["points"] if not point["gro"]]
    return {"at": measured["at"], "share_of_bare_loop": max(shares, default=None)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", nargs="+", default=list(ADAPTERS), choices=list(ADAPTERS))
    parser.add_argument("--scenes", nargs="*", default=[*RATIO_SCENES, *OTHER_SCENES], choices=list(SCENES))
    parser.add_argument("--participants", nargs="+", type=int, help="instead of the scene's own number")
    parser.add_argument(
        "--gro", nargs="+", type=int, default=[0, 1], choices=(0, 1), help="receivers without, with"
    )
    parser.add_argument("--alternations", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--warmup", type=float, default=2)
    parser.add_argument("--curve", action=argparse.BooleanOptionalAction, default=True, help="cost over load")
    parser.add_argument(
        "--readme",
        action="store_true",
        help="put the table into docs/benchmarks.md and its summary into README.md",
    )
    default = ROOT / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-sfu.json"
    parser.add_argument("--out", type=Path, default=default)
    return parser.parse_args()


def prepare(servers: Collection[str]) -> None:
    """Does the work that needs the machine's own network, or all of its cores."""
    build()
    if "livekit" in servers:
        _load_livekit.build()


def main() -> None:
    options = arguments()
    enter(lambda: prepare(options.servers))
    come_first()
    os.sched_setaffinity(0, {GENERATOR_CORE})  # this driver must not disturb the server
    console = Console(width=150)
    before, began = machine(), time.monotonic()
    result = result_of(run(options, console), before, began)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    draw(result, options.out.with_suffix(".png"))
    print_tables(console, result)
    if options.readme:
        write_documents(ROOT, result, options.out)


if __name__ == "__main__":
    main()
