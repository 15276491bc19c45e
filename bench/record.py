"""Measures what recordings cost and lose: `make bench-record` or `python bench/record.py [sections]`.

Everything is real: clients send over UDP to an SFU process, recorder processes read its taps over gRPC, spool
with fdatasync and upload to an S3 server (versitygw), and NATS carries jobs and events. A recorder has a core
to itself; the rest is on the other core. Sections:

    load    tracks per core, memory per track, cost to the SFU, keyframes, skew of audio and video
    taps    memory of what is not acknowledged, and taps that flood a publisher with keyframe requests
    kills   packets lost by kill -9, and the time until another recorder reads on
    hour    CPU time of making the file of an hour

CPU time of a recorder is that of its whole process, including the kernel's work for it. Other work on the
machine makes it larger, never smaller. Writes bench/results/record.json and record.png.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import _recording_hour
import _recording_kills
import _recording_load
import _recording_taps
from _load import ROOT, build
from _load_nexus import nexus_version
from _machine import come_first, machine
from _network import enter
from _recording_report import draw, print_summary, write_document
from _recording_system import OTHER_CORE, RecordingSystem
from rich.console import Console

SECTIONS: Final = ("load", "taps", "kills", "hour")


class Progress:
    """Prints a line for each step, with the time since the beginning."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __call__(self, text: str) -> None:
        self._console.print(f"[dim]{self.seconds:5.0f} s[/dim]  {text}")


async def with_load(
    folder: Path, options: argparse.Namespace, result: dict[str, Any], progress: Progress
) -> None:
    result["load"] = []
    async with RecordingSystem(folder) as system:
        for tracks in sorted(options.tracks):
            progress(f"load: {tracks} videos of 1.5 Mbit/s with Opus")
            point = await _recording_load.measure(system, tracks)
            result["load"].append(asdict(point))
            marks = f" [red]void: {'; '.join(point.void)}[/red]" if point.void else ""
            progress(f"load: {point.tracks_per_core:.0f} tracks per core{marks}")


async def with_taps(
    folder: Path, options: argparse.Namespace, result: dict[str, Any], progress: Progress
) -> None:
    progress(f"taps: records of {options.tapped} videos with Opus that are not acknowledged")
    async with RecordingSystem(folder) as system:
        await system.join(options.tapped)
        result["retention"] = asdict(await _recording_taps.measure_retention(system))
        progress("taps: keyframe requests without end")
        result["flood"] = asdict(await _recording_taps.measure_flood(system))


async def with_kills(
    folder: Path, options: argparse.Namespace, result: dict[str, Any], progress: Progress
) -> None:
    kills = options.recordings * _recording_kills.KILLS_PER_RECORDING
    progress(f"kills: {kills} times kill -9, with {options.participants} participants")
    async with RecordingSystem(folder) as system:
        found = await _recording_kills.measure(system, options.participants, options.recordings)
    result["kills"] = asdict(found)
    progress(f"kills: {found.packets_lost} of {found.packets:,} packets lost")


async def with_hour(
    folder: Path, options: argparse.Namespace, result: dict[str, Any], progress: Progress
) -> None:
    progress(f"hour: recording and file of {options.seconds} s")
    result["hour"] = asdict(await _recording_hour.measure(options.seconds, folder))


STEPS: Final[dict[str, Callable[..., Any]]] = {
    "load": with_load,
    "taps": with_taps,
    "kills": with_kills,
    "hour": with_hour,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--tracks", nargs="+", type=int, default=[20, 40, 60], help="loads of `load`")
    parser.add_argument("--tapped", type=int, default=20, help="participants of `taps`")
    parser.add_argument("--participants", type=int, default=3, help="of the recordings in `kills`")
    parser.add_argument("--recordings", type=int, default=3, help="of `kills`; each has two deaths")
    parser.add_argument("--seconds", type=int, default=3_600, help="length of the file in `hour`")
    parser.add_argument("--document", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "record.json")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    options = arguments()
    enter(build)
    come_first()
    os.sched_setaffinity(0, {OTHER_CORE})  # and with it every process that is not pinned elsewhere
    console = Console(width=150)
    progress = Progress(console)
    result: dict[str, Any] = {
        "bench": "record",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": nexus_version(),
        "machine": machine(),
    }
    for step in (STEPS[name] for name in SECTIONS if name in options.sections):
        with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="record-") as folder:
            asyncio.run(step(Path(folder), options, result, progress))
    result["took_seconds"] = round(progress.seconds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    if "load" in result:
        draw(result, options.out.with_suffix(".png"))
    print_summary(console, result)
    if options.document:
        write_document(ROOT / "docs" / "benchmarks.md", result)


if __name__ == "__main__":
    main()
